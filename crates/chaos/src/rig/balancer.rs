//! The balancer before the instances: a proxy that leads to those by turns that say they are ready; to all, where none does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use testkit::Proxy;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::http::is_ready;

/// How often it asks.
const PERIOD: Duration = Duration::from_millis(250);

/// A running balancer, gone when dropped.
pub(super) struct Balancer {
    proxy: Arc<Proxy>,
    asking: AbortHandle,
}

impl Balancer {
    pub(super) async fn before(instances: Vec<SocketAddr>) -> Result<Self> {
        let proxy = Arc::new(Proxy::to(&instances, 0).await?);
        let led = Arc::clone(&proxy);
        let asking = tokio::spawn(async move {
            loop {
                let ready = join_all(instances.iter().map(|instance| is_ready(*instance))).await;
                let chosen: Vec<_> = instances.iter().zip(ready).filter(|(_, ready)| *ready).map(|(i, _)| *i).collect();
                led.lead_to(if chosen.is_empty() { &instances } else { &chosen });
                sleep(PERIOD).await;
            }
        });
        Ok(Self { proxy, asking: asking.abort_handle() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.proxy.address()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.asking.abort();
    }
}
