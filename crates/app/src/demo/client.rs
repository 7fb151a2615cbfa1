//! The demo's own client: it speaks to the service as anybody does, over HTTP and WebSocket.

use std::net::SocketAddr;

use domain::Timestamp;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::script::{Deed, instant};
use crate::failure::{Failure, chain};

/// Speaks HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    base: String,
    token: String,
}

impl Http {
    /// A client of the service at `address`.
    pub(crate) fn new(address: SocketAddr, token: String) -> Result<Self, Failure> {
        let client = Client::builder().no_proxy().build().map_err(|error| Failure::internal(&error))?;
        Ok(Self { client, base: format!("http://{address}/api/v1"), token })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn send(request: RequestBuilder, body: &Value) -> Result<(), Failure> {
        let answer = request.header(CONTENT_TYPE, "application/json").body(body.to_string()).send().await;
        let answer = answer.map_err(|error| Failure::Unavailable(chain(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(Failure::Check(format!("the service answered {status}: {text}")))
    }

    /// Creates a campaign.
    pub(crate) async fn create(&self, body: &Value) -> Result<(), Failure> {
        Self::send(self.request(Method::POST, "/campaigns"), body).await
    }

    /// Does `deed` to the campaign `id`.
    pub(crate) async fn act(&self, id: &str, deed: Deed, beginning: Timestamp) -> Result<(), Failure> {
        let campaign = format!("/campaigns/{id}");
        match deed {
            Deed::Cancel => {
                let body = json!({ "reason": "the sponsor withdrew" });
                Self::send(self.request(Method::POST, &format!("{campaign}/cancel")), &body).await
            }
            Deed::Become(to) => {
                let body = json!({ "to": to, "reason": "by hand" });
                Self::send(self.request(Method::POST, &format!("{campaign}/status")), &body).await
            }
            Deed::Remind(at) => {
                let body = json!({ "name": "half-time", "at": instant(beginning, at) });
                Self::send(self.request(Method::POST, &format!("{campaign}/timers")), &body).await
            }
            Deed::MoveEnd(to) => {
                let version = self.version(&campaign).await?;
                let body = json!({ "endTime": instant(beginning, to), "reason": "it goes well" });
                Self::send(self.request(Method::PATCH, &campaign).header(IF_MATCH, version), &body).await
            }
            Deed::Engagements(total) => {
                let body = json!({
                    "eventId": format!("demo-{id}-{total}"),
                    "eventType": "campaign.metric.recorded",
                    "source": "demo",
                    "data": { "campaignId": id, "engagements": total },
                });
                Self::send(self.request(Method::POST, "/events"), &body).await
            }
        }
    }

    async fn version(&self, campaign: &str) -> Result<String, Failure> {
        let answer = self.request(Method::GET, campaign).send().await;
        let answer = answer.map_err(|error| Failure::Unavailable(chain(&error)))?;
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| Failure::Check(format!("{campaign} has no ETag")))
    }
}

/// Listens to everything that happens in the tenant; answers when it is heard. Frames come as they are, until the
/// connection ends.
pub(crate) async fn listen(address: SocketAddr, token: &str) -> Result<mpsc::Receiver<Value>, Failure> {
    let trouble = |error: tokio_tungstenite::tungstenite::Error| Failure::Unavailable(chain(&error));
    let mut request = format!("ws://{address}/ws").into_client_request().map_err(trouble)?;
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| Failure::internal(&error))?;
    request.headers_mut().insert("authorization", bearer);
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = client_async(request, stream).await.map_err(trouble)?;
    let subscribe = json!({ "action": "subscribe", "channel": "tenant", "id": 1 }).to_string();
    socket.send(Message::text(subscribe)).await.map_err(trouble)?;
    let (frames, heard) = mpsc::channel(1_024);
    let (ready, subscribed) = tokio::sync::oneshot::channel();
    tokio::spawn(forward(socket, frames, ready));
    subscribed.await.map_err(|_| Failure::Check("the service did not accept the subscription".to_owned()))?;
    Ok(heard)
}

async fn forward(
    mut socket: WebSocketStream<TcpStream>,
    frames: mpsc::Sender<Value>,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(frame) = serde_json::from_str::<Value>(&text) else { continue };
        match frame["event"].as_str() {
            Some("subscribed") => {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(());
                }
            }
            Some("error") => return,
            _ => {
                if frames.send(frame).await.is_err() {
                    return;
                }
            }
        }
    }
}
