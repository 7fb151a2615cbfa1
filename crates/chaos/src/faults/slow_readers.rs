//! Live clients that stop reading. The others hear everything in time, and memory stays bounded.

use anyhow::Result;
use futures_util::SinkExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{Fault, Limits, USUAL};
use crate::rig::Rig;
use crate::scene::Scene;

/// How many there are.
const CLIENTS: usize = 100;

/// As little as the system allows, so that what is not read waits in the service.
const BUFFER: u32 = 2_048;

pub(super) const FAULT: Fault = Fault {
    number: 44,
    name: "slow-readers",
    what: "100 live clients of everything stop reading; they go away when the time is over",
    strike,
    limits: Limits { served_percent: Some(80), timers: Some(std::time::Duration::from_secs(1)), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let runtime = scene.rig.runtime();
    let clients = (0..CLIENTS).map(|_| runtime.block_on(connect(scene.rig))).collect::<Result<Vec<_>>>()?;
    let lasted = scene.last();
    drop(clients);
    lasted
}

async fn connect(rig: &Rig) -> Result<WebSocketStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER)?;
    let tcp = socket.connect(rig.service()).await?;
    let mut request = format!("ws://{}/ws", rig.service()).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {}", Rig::token()).parse()?);
    let (mut stream, _) = tokio_tungstenite::client_async(request, tcp).await?;
    stream.send(Message::text(r#"{"action":"subscribe","channel":"tenant"}"#)).await?;
    Ok(stream)
}
