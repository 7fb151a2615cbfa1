//! Beginning a subscription: with a snapshot, or where the client left off.

use domain::{CampaignKey, OwnerId};
use ports::PortError;
use ports::feed::Channel;
use tokio::time::timeout;
use wire::frames::Cursor;

use crate::Hub;
use crate::connection::Connection;
use crate::goodbye::Goodbye;
use crate::snapshot;
use crate::snapshots::Reading;
use crate::socket::Stream;
use crate::subscriptions::{Progress, Reached, Resume, Subscription};
use crate::visibility::{self, Refused};

/// Why there is no snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoSnapshot {
    /// There is nothing of that name that the caller may see.
    NotFound,
    /// The store does not answer.
    Unavailable,
}

impl<S: Stream> Connection<'_, S> {
    /// Subscribes to the channel `name`; subscribing again begins anew.
    pub(crate) async fn subscribe(&mut self, name: &str, since: Option<&str>, id: Option<u64>) -> Result<(), Goodbye> {
        let channel = match visibility::channel(name, &self.caller.principal) {
            Ok(channel) => channel,
            Err(Refused::Unknown(message)) => return self.refuse(id, Some(name), "unknown_channel", &message).await,
            Err(Refused::Forbidden(message)) => return self.refuse(id, Some(name), "forbidden", message).await,
        };
        let Ok(since) = since.map(str::parse::<Cursor>).transpose() else {
            return self.refuse(id, Some(name), "invalid_cursor", "since must be a cursor such as 42-0").await;
        };
        self.subscriptions.remove(name);
        if self.subscriptions.len() >= self.hub.settings.max_subscriptions {
            let message = "unsubscribe from something first, or open another connection";
            return self.refuse(id, Some(name), "too_many_subscriptions", message).await;
        }
        let mut subscription = Subscription::new(channel, name.to_owned());
        let begun = match since {
            None => self.begin(&mut subscription, id).await,
            Some(since) => self.resume(&mut subscription, since, id).await,
        };
        match begun {
            Ok(sent) => {
                // Also when sending failed: the connection's end ends it.
                self.subscriptions.add(subscription);
                sent
            }
            Err(refused) => {
                self.subscriptions.stop_listening(&mut subscription);
                let (code, message) = match refused {
                    NoSnapshot::NotFound => ("not_found", "there is no such campaign"),
                    NoSnapshot::Unavailable => ("unavailable", "temporarily unavailable; try again"),
                };
                self.refuse(id, Some(name), code, message).await
            }
        }
    }

    /// Begins with a snapshot.
    async fn begin(
        &mut self,
        subscription: &mut Subscription,
        id: Option<u64>,
    ) -> Result<Result<(), Goodbye>, NoSnapshot> {
        let snapshot = self.renew(subscription).await?;
        let answer = self.answer(id, Some(&subscription.name));
        Ok(self.send(answer.subscribed(subscription.reached.cursor(), Some(&snapshot.0))).await)
    }

    /// Begins where the client left off, if the feed reaches back and knows that place; otherwise with a snapshot.
    async fn resume(
        &mut self,
        subscription: &mut Subscription,
        since: Cursor,
        id: Option<u64>,
    ) -> Result<Result<(), Goodbye>, NoSnapshot> {
        if !can_resume(self.hub, since).await? {
            metrics::counter!("lifecycle_websocket_resumes_total", "outcome" => "snapshot").increment(1);
            let snapshot = self.renew(subscription).await?;
            let answer = self.answer(id, Some(&subscription.name));
            let cursor = subscription.reached.cursor();
            return Ok(match self.send(answer.subscribed(cursor, Some(&snapshot.0))).await {
                Ok(()) => self.send(answer.recovered(cursor, Some(&snapshot.0))).await,
                gone => gone,
            });
        }
        if !exists(self.hub, &subscription.channel, self.caller.principal.owner.as_ref()).await? {
            return Err(NoSnapshot::NotFound);
        }
        subscription.reached = Reached::at(since);
        subscription.progress = Progress::Behind { since: None, resume: Some(Resume { id, records: 0 }) };
        let answer = self.answer(id, Some(&subscription.name));
        Ok(self.send(answer.subscribed(since, None)).await)
    }

    /// Listens, then takes a snapshot: what happens between is heard, and what the snapshot knows is not said again.
    pub(crate) async fn renew(&mut self, subscription: &mut Subscription) -> Result<Reading, NoSnapshot> {
        let listening_after = self.subscriptions.listen(subscription);
        let owner = self.caller.principal.owner.as_ref();
        let channel = &subscription.channel;
        let read = async {
            let snapshot = snapshot::take(self.hub.deps.queries.as_ref(), channel, owner);
            in_turn(self.hub, snapshot).await?.map(Reading::new).ok_or(NoSnapshot::NotFound)
        };
        let snapshot = self.hub.snapshots.take(channel, owner, read).await?;
        let head = snapshot.1;
        subscription.reached = Reached::whole(head);
        subscription.progress = Progress::Live;
        if head < listening_after {
            self.subscriptions.stop_listening(subscription);
            subscription.progress = Progress::Behind { since: None, resume: None };
        }
        Ok(snapshot)
    }
}

/// Whether everything after `since` can still be read, and `since` is of this journal at all.
async fn can_resume(hub: &Hub, since: Cursor) -> Result<bool, NoSnapshot> {
    let deps = &hub.deps;
    if in_turn(hub, deps.feed.floor()).await? > Reached::at(since).complete() {
        return Ok(false);
    }
    if since.position <= deps.feed.top() {
        return Ok(true);
    }
    // The cursor of a snapshot may be of facts that are committed and not yet published.
    Ok(since.position <= in_turn(hub, deps.queries.status()).await?.head)
}

/// Whether somebody who sees only campaigns of `owner`, if one is given, sees that there is such a channel.
async fn exists(hub: &Hub, channel: &Channel, owner: Option<&OwnerId>) -> Result<bool, NoSnapshot> {
    let Channel::Campaign(tenant, id) = channel else { return Ok(true) };
    let key = CampaignKey { tenant: tenant.clone(), id: id.clone() };
    let campaign = in_turn(hub, hub.deps.queries.campaign(&key)).await?;
    Ok(campaign.is_some_and(|campaign| snapshot::is_of(&campaign, owner)))
}

/// Waits for a turn, however many wait, and then for an answer of the store or the feed.
async fn in_turn<T>(hub: &Hub, question: impl Future<Output = Result<T, PortError>>) -> Result<T, NoSnapshot> {
    let _turn = hub.reads.acquire().await.map_err(|_| NoSnapshot::Unavailable)?;
    answered(hub, question).await
}

/// Waits for an answer of the store or the feed, but not for ever.
pub(crate) async fn answered<T>(
    hub: &Hub,
    question: impl Future<Output = Result<T, PortError>>,
) -> Result<T, NoSnapshot> {
    match timeout(hub.settings.read_limit, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a WebSocket client cannot be served");
            Err(NoSnapshot::Unavailable)
        }
        Err(_) => {
            tracing::warn!("a WebSocket client cannot be served: the store does not answer in time");
            Err(NoSnapshot::Unavailable)
        }
    }
}
