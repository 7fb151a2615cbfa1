//! Who listens to which channel, and the hand-over of frames to them: encoded once for each channel, shared by
//! reference count, never waiting for anybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::feed::Channel;
use ports::journal::{Position, Record};
use tokio::sync::{Notify, mpsc};

use crate::encode::{Encoded, frames_for};

/// One listening of one connection; never used again after it ended.
pub(crate) type RouteId = u32;

/// A frame for a connection.
pub(crate) struct Delivery {
    pub(crate) route: RouteId,
    pub(crate) frame: Arc<Encoded>,
}

/// Where a connection's frames are put. What does not fit is not lost: the connection is told which of its routes were
/// cut, and reads what it missed from the feed.
pub(crate) struct Mailbox {
    queue: mpsc::Sender<Delivery>,
    cut: Mutex<Vec<RouteId>>,
    wake: Notify,
}

impl Mailbox {
    /// A mailbox for `frames` frames, and its other end.
    pub(crate) fn new(frames: usize) -> (Arc<Self>, mpsc::Receiver<Delivery>) {
        let (queue, frames) = mpsc::channel(frames.max(1));
        (Arc::new(Self { queue, cut: Mutex::default(), wake: Notify::new() }), frames)
    }

    /// Waits until a route was cut. Safe to drop while waiting.
    pub(crate) async fn cut(&self) -> Vec<RouteId> {
        self.wake.notified().await;
        std::mem::take(&mut *self.cut.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn cut_off(&self, route: RouteId) {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).push(route);
        self.wake.notify_one();
    }
}

/// Somebody who listens to a channel.
pub(crate) struct Listener {
    pub(crate) route: RouteId,
    pub(crate) mailbox: Arc<Mailbox>,
}

/// All who listen.
pub(crate) struct Routes {
    state: Mutex<State>,
}

struct State {
    /// The last record that was handed over.
    routed: Position,
    channels: HashMap<Channel, Vec<Listener>>,
}

impl Routes {
    pub(crate) fn new(routed: Position) -> Self {
        Self { state: Mutex::new(State { routed, channels: HashMap::new() }) }
    }

    /// The last record that was handed over.
    pub(crate) fn routed(&self) -> Position {
        self.state().routed
    }

    /// Lets `listener` hear every record of `channel` after the position that this answers.
    pub(crate) fn add(&self, channel: &Channel, listener: Listener) -> Position {
        let mut state = self.state();
        match state.channels.get_mut(channel) {
            Some(listeners) => listeners.push(listener),
            None => {
                state.channels.insert(channel.clone(), vec![listener]);
            }
        }
        state.routed
    }

    /// Ends a listening, if it has not ended before.
    pub(crate) fn remove(&self, channel: &Channel, mailbox: &Arc<Mailbox>, route: RouteId) {
        let mut state = self.state();
        if let Some(listeners) = state.channels.get_mut(channel) {
            if let Some(at) = listeners.iter().position(|l| l.route == route && Arc::ptr_eq(&l.mailbox, mailbox)) {
                listeners.swap_remove(at);
            }
            if listeners.is_empty() {
                state.channels.remove(channel);
            }
        }
    }

    /// Hands `record` over; answers to how many, or that it does not follow the one before.
    pub(crate) fn route(&self, record: &Record) -> Result<usize, Gap> {
        let mut state = self.state();
        if record.position <= state.routed {
            return Ok(0);
        }
        if record.position.0 != state.routed.0 + 1 {
            return Err(Gap);
        }
        let mut reached = 0;
        for channel in channels_of(record).into_iter().flatten() {
            let Some(listeners) = state.channels.get_mut(&channel) else { continue };
            let frames = frames_for(record, &channel);
            listeners.retain(|listener| {
                reached += 1;
                offer(listener, &frames)
            });
            if listeners.is_empty() {
                state.channels.remove(&channel);
            }
        }
        state.routed = record.position;
        Ok(reached)
    }

    /// Goes on behind `position`; whoever listens has to read what is between from the feed.
    pub(crate) fn skip_to(&self, position: Position) {
        let mut state = self.state();
        if position <= state.routed {
            return;
        }
        for listener in state.channels.drain().flat_map(|(_, listeners)| listeners) {
            listener.mailbox.cut_off(listener.route);
        }
        state.routed = position;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while routing leaves a record half handed over; it is handed over again, and cursors drop repeats.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that does not follow the one before.
#[derive(Debug)]
pub(crate) struct Gap;

/// Puts all of `frames` into the listener's mailbox; false when it does not listen any more.
fn offer(listener: &Listener, frames: &[Arc<Encoded>]) -> bool {
    for frame in frames {
        let delivery = Delivery { route: listener.route, frame: Arc::clone(frame) };
        match listener.mailbox.queue.try_send(delivery) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                metrics::counter!("lifecycle_websocket_overflows_total").increment(1);
                listener.mailbox.cut_off(listener.route);
                return false;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return false,
        }
    }
    true
}

/// The channels that `record` belongs to: those for which [`Channel::has`] says so.
fn channels_of(record: &Record) -> [Option<Channel>; 4] {
    let tenant = &record.fact.tenant;
    let entry = &record.fact.entry;
    [
        entry.campaign().map(|id| Channel::Campaign(tenant.clone(), id.clone())),
        entry.owner().map(|id| Channel::Owner(tenant.clone(), id.clone())),
        Some(Channel::Tenant(tenant.clone())),
        Some(Channel::System).filter(|system| system.has(record)),
    ]
}

#[cfg(test)]
mod tests {
    use domain::{CampaignId, JsonText, OwnerId, TenantId, Timestamp};
    use ports::journal::{Actor, Cause, Entry, Fact};
    use uuid::Uuid;

    use super::*;

    fn record(position: u64, tenant: TenantId, entry: Entry) -> Record {
        let at = Timestamp::default();
        let fact = Fact { id: Uuid::nil(), at, tenant, actor: Actor::system(), cause: Cause::default(), entry };
        Record { position: Position(position), fact }
    }

    fn rejected(position: u64) -> Record {
        let campaign = CampaignId::parse("c-1").expect("an id");
        let [command, code, message] = ["cancel", "x", "y"].map(str::to_owned);
        record(position, TenantId::default_tenant(), Entry::Rejected { campaign, command, code, message })
    }

    fn notice(tenant: TenantId) -> Record {
        let [name, subject] = ["instance.started", "this"].map(str::to_owned);
        record(1, tenant, Entry::Notice { name, subject, detail: JsonText::empty() })
    }

    fn listener(mailbox: &Arc<Mailbox>) -> Listener {
        Listener { route: 1, mailbox: Arc::clone(mailbox) }
    }

    fn tenant() -> Channel {
        Channel::Tenant(TenantId::default_tenant())
    }

    #[test]
    fn a_record_goes_to_the_channels_that_have_it() {
        let own = TenantId::default_tenant();
        let all = [
            tenant(),
            Channel::System,
            Channel::Campaign(own.clone(), CampaignId::parse("c-1").expect("an id")),
            Channel::Campaign(own.clone(), CampaignId::parse("c-2").expect("an id")),
            Channel::Owner(own, OwnerId::parse("o-1").expect("an id")),
        ];
        for record in [rejected(1), notice(TenantId::default_tenant()), notice(TenantId::service())] {
            let listed: Vec<Channel> = channels_of(&record).into_iter().flatten().collect();
            for channel in &all {
                assert_eq!(listed.contains(channel), channel.has(&record), "{channel:?}");
            }
        }
    }

    #[test]
    fn a_full_mailbox_ends_its_route_and_says_so_and_leaves_nothing_behind() {
        let routes = Routes::new(Position::START);
        let (mailbox, mut frames) = Mailbox::new(1);
        assert_eq!(routes.add(&tenant(), listener(&mailbox)), Position::START);
        for position in 1..=3 {
            routes.route(&rejected(position)).expect("they follow each other");
        }
        assert!(frames.try_recv().is_ok_and(|delivery| delivery.frame.cursor.position == Position(1)));
        assert!(frames.try_recv().is_err());
        assert_eq!(*mailbox.cut.lock().expect("not poisoned"), [1]);
        assert!(routes.state().channels.is_empty());
        assert_eq!(routes.routed(), Position(3));
    }

    #[test]
    fn a_gap_is_noticed_and_skipping_it_ends_every_route() {
        let routes = Routes::new(Position(4));
        let (mailbox, _frames) = Mailbox::new(9);
        routes.add(&tenant(), listener(&mailbox));
        assert!(matches!(routes.route(&rejected(4)), Ok(0)));
        assert!(routes.route(&rejected(6)).is_err());
        routes.skip_to(Position(6));
        assert_eq!(*mailbox.cut.lock().expect("not poisoned"), [1]);
        assert!(routes.state().channels.is_empty());
        assert_eq!(routes.add(&tenant(), listener(&mailbox)), Position(6));
    }

    #[test]
    fn a_route_that_ended_leaves_no_trace() {
        let routes = Routes::new(Position::START);
        let ((one, _a), (two, _b)) = (Mailbox::new(9), Mailbox::new(9));
        for mailbox in [&one, &two] {
            routes.add(&tenant(), listener(mailbox));
        }
        routes.remove(&tenant(), &one, 1);
        assert_eq!(routes.route(&rejected(1)).expect("the first"), 1);
        routes.remove(&tenant(), &two, 1);
        assert!(routes.state().channels.is_empty());
    }
}
