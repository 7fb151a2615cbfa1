//! Mends what the log tells how it must be: campaigns and their timers in the store, and the streams. Everything mended is
//! written down in the log; what the log itself has lost cannot be mended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{CampaignKey, JsonText, TenantId};
use ports::PortError;
use ports::cache::Cache;
use ports::feed::Publisher;
use ports::journal::Position;
use ports::verification::{RebuildOrder, Streams, Verification};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::notices::Notices;
use crate::relay::Relay;

/// How often it is asked how far the streams were told again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A telling that does not get on for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a repair works with.
#[derive(Clone)]
pub struct RepairParts {
    /// The store.
    pub verification: Arc<dyn Verification>,
    /// What the world was told; none where nobody keeps it.
    pub streams: Option<Arc<dyn Streams>>,
    /// How far it was told.
    pub publisher: Arc<dyn Publisher>,
    /// Tells it again, unless another instance does.
    pub relay: Arc<Relay>,
    /// Campaigns at hand, which may be as wrong as those stored were.
    pub cache: Arc<dyn Cache>,
    /// Writes down what was done.
    pub notices: Notices,
}

/// What was mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Campaigns of which state or timers were different.
    pub campaigns: Vec<CampaignKey>,
    /// Those whose log cannot be folded; left as they are.
    pub unreadable: Vec<CampaignKey>,
    /// Streams that were told again, and from where on.
    pub streams: BTreeMap<String, Position>,
}

/// Mends every campaign that differs from its log, and the `damaged` streams from these positions on.
///
/// # Errors
/// When store or streams cannot be used. What was mended until then is, and the rest is by the next repair.
pub async fn repair(
    parts: &RepairParts,
    order: &RebuildOrder,
    damaged: &BTreeMap<String, Position>,
) -> Result<Repaired, PortError> {
    let rebuilt = parts.verification.rebuild(order).await?;
    parts.cache.outdated(rebuilt.repaired.clone()).await?;
    let mut repaired = Repaired {
        campaigns: rebuilt.repaired.into_iter().map(|(key, _)| key).collect(),
        unreadable: rebuilt.unreadable,
        streams: BTreeMap::new(),
    };
    if let Some(streams) = parts.streams.as_ref().filter(|_| !damaged.is_empty()) {
        let goal = streams.told().await?;
        for (stream, from) in damaged {
            // First the record, then the deed: what is broken off in between is found, and done, again.
            let detail = serde_json::json!({ "reason": order.reason, "from": from.0 });
            let detail = JsonText::new(&detail.to_string()).unwrap_or_else(|_| JsonText::empty());
            parts.notices.write(TenantId::service(), order.actor.clone(), "stream.repaired", stream, detail).await?;
            streams.forget(stream, *from).await?;
            repaired.streams.insert(stream.clone(), *from);
        }
        tell_again(parts, goal).await?;
    }
    Ok(repaired)
}

/// Waits until the world was told up to `goal` again, by an instance that relays or else by this process.
async fn tell_again(parts: &RepairParts, goal: Position) -> Result<(), PortError> {
    let stop = CancellationToken::new();
    let (relay, token) = (Arc::clone(&parts.relay), stop.clone());
    let relaying = tokio::spawn(async move { relay.run(token).await });
    let told = wait_until_told(parts.publisher.as_ref(), goal).await;
    stop.cancel();
    // A relay that panics has told nothing; the hook has reported it.
    let _ = relaying.await;
    told
}

async fn wait_until_told(publisher: &dyn Publisher, goal: Position) -> Result<(), PortError> {
    let (mut best, mut since) = (Position::START, Instant::now());
    loop {
        let told = publisher.top().await?;
        if told >= goal {
            return Ok(());
        }
        if told > best {
            (best, since) = (told, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            let source = "the streams are not told any further; the next instance that serves goes on with it";
            return Err(PortError::Unavailable { what: "the relay", source: source.into() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
