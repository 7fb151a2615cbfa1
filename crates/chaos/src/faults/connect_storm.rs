//! An instance is killed, and a crowd of live clients comes to the others at once. All are let in, and memory stays bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{Fault, USUAL};
use crate::interrupt::wait;
use crate::rig::Rig;
use crate::scene::Scene;

/// How many come.
const CLIENTS: usize = 2_000;

/// A client takes five files here: its own, and two of each proxy that leads it.
const FILES: u64 = 5 * CLIENTS as u64 + 1_000;

/// Until all are there.
const ATTACHED_WITHIN: Duration = Duration::from_secs(30);

/// How long one attempt may take, and the pause before the next.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// By how much an instance may grow: 32 KiB for each client, of which two instances have half each.
const GROWTH_KIB: u64 = 32 * CLIENTS as u64 / 2;

pub(super) const FAULT: Fault = Fault {
    number: 45,
    name: "connect-storm",
    what: "an instance is killed, and 2,000 live clients come to the balancer at once; they go when the time is over",
    strike,
    limits: USUAL,
    needs: Some(|| {
        let most = getrlimit(Resource::Nofile).maximum;
        most.is_some_and(|most| most < FILES).then(|| format!("a process may have no {FILES} files"))
    }),
};

/// Gone when dropped.
struct Crowd {
    attached: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    _clients: JoinSet<()>,
}

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let victim = scene.chance.below(scene.rig.instances.len());
    scene.rig.instances[victim].kill()?;
    let at_rest = memory(scene, victim)?;
    let mut highest = at_rest.clone();
    let crowd = Crowd::come(scene);
    let attached = wait(scene.profile.patience(ATTACHED_WITHIN), || {
        for (most, now) in highest.iter_mut().zip(memory(scene, victim).unwrap_or_default()) {
            *most = now.max(*most);
        }
        crowd.attached.load(Ordering::Relaxed) == CLIENTS
    })?;
    scene.last()?;
    let (there, refused) = (crowd.attached.load(Ordering::Relaxed), crowd.refused.load(Ordering::Relaxed));
    scene.note(format!("{there} of {CLIENTS} are there, all after {attached:?}, {refused} attempts in vain"));
    scene.in_time(attached, ATTACHED_WITHIN, format!("not all clients are there after {ATTACHED_WITHIN:?}"));
    for ((rest, most), now) in at_rest.iter().zip(highest).zip(memory(scene, victim)?) {
        let most = most.max(now);
        scene.note(format!("an instance held {} MiB, and at most {} MiB", rest / 1024, most / 1024));
        scene.measure(most <= rest + GROWTH_KIB, format!("an instance grew from {rest} to {most} KiB"));
    }
    drop(crowd);
    scene.rig.instances[victim].start()
}

/// What those hold that were not killed, in KiB.
fn memory(scene: &Scene<'_>, victim: usize) -> Result<Vec<u64>> {
    let others = scene.rig.instances.iter().filter(|instance| instance.number != victim);
    others.map(|instance| Ok(instance.holdings()?.memory_kib)).collect()
}

impl Crowd {
    fn come(scene: &Scene<'_>) -> Self {
        let (attached, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (runtime, service, token) = (scene.rig.runtime(), scene.rig.service(), Rig::token());
        let channel = format!("campaign:{}", crate::load::hot(scene.run, 0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (attached, refused) = (Arc::clone(&attached), Arc::clone(&refused));
            let (token, channel) = (token.clone(), channel.clone());
            let client = async move {
                loop {
                    if let Ok(Ok(mut stream)) = timeout(PATIENCE, attach(service, &token, &channel)).await {
                        attached.fetch_add(1, Ordering::Relaxed);
                        while stream.next().await.is_some_and(|message| message.is_ok()) {}
                        attached.fetch_sub(1, Ordering::Relaxed);
                    }
                    refused.fetch_add(1, Ordering::Relaxed);
                    sleep(PAUSE).await;
                }
            };
            clients.spawn_on(client, &runtime);
        }
        Self { attached, refused, _clients: clients }
    }
}

/// A client that was told that it is subscribed.
async fn attach(service: SocketAddr, token: &str, channel: &str) -> Result<WebSocketStream<TcpStream>> {
    let tcp = TcpStream::connect(service).await?;
    let mut request = format!("ws://{service}/ws").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let (mut stream, _) = tokio_tungstenite::client_async(request, tcp).await?;
    let subscribe = format!(r#"{{"action":"subscribe","channel":"{channel}"}}"#);
    stream.send(Message::text(subscribe)).await?;
    while let Some(message) = stream.next().await {
        if message?.to_text()?.contains("\"subscribed\"") {
            return Ok(stream);
        }
    }
    bail!("hung up")
}
