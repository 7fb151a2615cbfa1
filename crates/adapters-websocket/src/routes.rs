//! Who listens to which channel, and the hand-over of frames to them: encoded once for each channel, shared by
//! reference count, never waiting for anybody. What comes at once goes over at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::feed::Channel;
use ports::journal::{Position, Record};

use crate::encode::{Encoded, frames_for};
use crate::mailbox::{Delivery, Mailbox, Refused, RouteId};

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

impl State {
    /// The channels of `records` that somebody listens to, in the order of their first record, each with its records.
    fn heard<'r>(&self, records: &'r [Arc<Record>]) -> Vec<(Channel, Vec<&'r Record>)> {
        let mut heard: Vec<(Channel, Vec<&Record>)> = Vec::new();
        let mut places = HashMap::new();
        for record in records {
            for channel in channels_of(record).into_iter().flatten().filter(|c| self.channels.contains_key(c)) {
                let place = *places.entry(channel).or_insert_with_key(|channel| {
                    heard.push((channel.clone(), Vec::new()));
                    heard.len() - 1
                });
                heard[place].1.push(record);
            }
        }
        heard
    }
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

    /// Hands `records` over, up to the first that does not follow the one before, if there is such a [`Gap`]; answers to
    /// how many. What a channel has of them is handed over together.
    pub(crate) fn route(&self, records: &[Arc<Record>]) -> Result<usize, Gap> {
        let mut state = self.state();
        let known = records.partition_point(|record| record.position <= state.routed);
        let due = state.routed.0 + 1;
        let following = (due..).zip(&records[known..]).take_while(|(due, record)| record.position.0 == *due).count();
        let fresh = &records[known..known + following];
        let mut reached = 0;
        for (channel, records) in state.heard(fresh) {
            let Some(listeners) = state.channels.get_mut(&channel) else { continue };
            let frames = frames_for(records, &channel);
            listeners.retain(|listener| {
                reached += 1;
                offer(listener, &frames)
            });
            if listeners.is_empty() {
                state.channels.remove(&channel);
            }
        }
        if let Some(last) = fresh.last() {
            state.routed = last.position;
        }
        if known + following < records.len() { Err(Gap) } else { Ok(reached) }
    }

    /// Goes on behind `position`; whoever listens has to read what is between from the feed.
    pub(crate) fn skip_to(&self, position: Position) {
        let mut state = self.state();
        if position <= state.routed {
            return;
        }
        // In the order of channels: nobody's turn depends on how a map is laid out.
        let mut channels: Vec<_> = state.channels.drain().collect();
        channels.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for listener in channels.into_iter().flat_map(|(_, listeners)| listeners) {
            listener.mailbox.cut(listener.route);
        }
        state.routed = position;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while routing leaves a record half handed over; it is handed over again, and cursors drop repeats.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record does not follow the one before.
#[derive(Debug)]
pub(crate) struct Gap;

/// Puts all of `frames` into the listener's mailbox; false when it does not listen any more.
fn offer(listener: &Listener, frames: &[Arc<Encoded>]) -> bool {
    for frames in frames {
        let delivery = Delivery { route: listener.route, frames: Arc::clone(frames) };
        match listener.mailbox.put(delivery) {
            Ok(()) => {}
            Err(Refused::Full) => {
                metrics::counter!("lifecycle_websocket_overflows_total").increment(1);
                return false;
            }
            Err(Refused::Closed) => return false,
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
    use futures_util::FutureExt as _;
    use ports::journal::{Actor, Cause, Entry, Fact};
    use uuid::Uuid;

    use super::*;
    use crate::mailbox::Mail;
    use crate::subscriptions::Reached;

    fn record(position: u64, tenant: TenantId, entry: Entry) -> Record {
        let at = Timestamp::default();
        let fact = Fact { id: Uuid::nil(), at, tenant, actor: Actor::system(), cause: Cause::default(), entry };
        Record { position: Position(position), fact }
    }

    fn rejected(positions: impl IntoIterator<Item = u64>) -> Vec<Arc<Record>> {
        positions.into_iter().map(|position| Arc::new(rejection(position))).collect()
    }

    fn rejection(position: u64) -> Record {
        let campaign = CampaignId::parse("c-1").expect("an id");
        let [command, code, message] = ["cancel", "x", "y"].map(str::to_owned);
        record(position, TenantId::default_tenant(), Entry::Rejected { campaign, command, code, message })
    }

    fn notice(tenant: TenantId) -> Record {
        let [name, subject] = ["instance.started", "this"].map(str::to_owned);
        record(1, tenant, Entry::Notice { name, campaign: None, subject, detail: JsonText::empty() })
    }

    fn listener(mailbox: &Arc<Mailbox>) -> Listener {
        Listener { route: 1, mailbox: Arc::clone(mailbox) }
    }

    /// How many frames wait together, and what is known after them.
    fn told(mailbox: &Mailbox) -> Option<(usize, Position)> {
        let Some(Mail::Frames(delivery)) = mailbox.next().now_or_never() else { return None };
        let unsent = delivery.frames.after(Reached::whole(Position::START))?;
        Some((unsent.frames, unsent.reached.cursor().position))
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
        for record in [rejection(1), notice(TenantId::default_tenant()), notice(TenantId::service())] {
            let listed: Vec<Channel> = channels_of(&record).into_iter().flatten().collect();
            for channel in &all {
                assert_eq!(listed.contains(channel), channel.has(&record), "{channel:?}");
            }
        }
    }

    #[test]
    fn a_full_mailbox_ends_its_route_and_says_so_and_leaves_nothing_behind() {
        let routes = Routes::new(Position::START);
        let mailbox = Arc::new(Mailbox::new(1));
        assert_eq!(routes.add(&tenant(), listener(&mailbox)), Position::START);
        for position in 1..=3 {
            routes.route(&rejected([position])).expect("they follow each other");
        }
        assert!(matches!(mailbox.next().now_or_never(), Some(Mail::Cut(routes)) if routes == [1]));
        assert_eq!(told(&mailbox), Some((1, Position(1))));
        assert_eq!(told(&mailbox), None);
        assert!(routes.state().channels.is_empty());
        assert_eq!(routes.routed(), Position(3));
    }

    #[test]
    fn what_comes_at_once_is_handed_over_at_once_and_only_what_is_new_and_whole() {
        let routes = Routes::new(Position(3));
        let mailbox = Arc::new(Mailbox::new(usize::MAX));
        routes.add(&tenant(), listener(&mailbox));
        assert!(routes.route(&rejected([2, 3, 4, 5, 6, 9])).is_err());
        assert_eq!(told(&mailbox), Some((3, Position(6))));
        assert_eq!(told(&mailbox), None);
        assert_eq!(routes.routed(), Position(6));
    }

    #[test]
    fn much_at_once_comes_in_pieces_of_whole_frames() {
        let routes = Routes::new(Position::START);
        let mailbox = Arc::new(Mailbox::new(usize::MAX));
        routes.add(&tenant(), listener(&mailbox));
        routes.route(&rejected(1..=200)).expect("they follow each other");
        let pieces: Vec<_> = std::iter::from_fn(|| told(&mailbox)).collect();
        assert!(pieces.len() > 1, "{pieces:?}");
        assert_eq!(pieces.iter().map(|(frames, _)| frames).sum::<usize>(), 200);
        assert_eq!(pieces.last().map(|(_, position)| *position), Some(Position(200)));
    }

    #[test]
    fn a_gap_is_noticed_and_skipping_it_ends_every_route() {
        let routes = Routes::new(Position(4));
        let mailbox = Arc::new(Mailbox::new(usize::MAX));
        routes.add(&tenant(), listener(&mailbox));
        assert!(matches!(routes.route(&rejected([4])), Ok(0)));
        assert!(routes.route(&rejected([6])).is_err());
        routes.skip_to(Position(6));
        assert!(matches!(mailbox.next().now_or_never(), Some(Mail::Cut(routes)) if routes == [1]));
        assert!(routes.state().channels.is_empty());
        assert_eq!(routes.add(&tenant(), listener(&mailbox)), Position(6));
    }

    #[tokio::test]
    async fn those_who_are_cut_off_are_woken_in_the_order_of_their_channels() {
        let routes = Routes::new(Position::START);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let channels: Vec<_> = (10..40)
            .map(|n| {
                Channel::Campaign(TenantId::default_tenant(), CampaignId::parse(&format!("c-{n}")).expect("an id"))
            })
            .collect();
        let mut waiting = tokio::task::JoinSet::new();
        for channel in channels.iter().rev().cloned() {
            let mailbox = Arc::new(Mailbox::new(1));
            routes.add(&channel, listener(&mailbox));
            let woken = Arc::clone(&woken);
            waiting.spawn(async move {
                mailbox.next().await;
                woken.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
            });
        }
        tokio::task::yield_now().await;
        routes.skip_to(Position(7));
        waiting.join_all().await;
        assert_eq!(*woken.lock().unwrap_or_else(PoisonError::into_inner), channels);
    }

    #[test]
    fn a_route_that_ended_leaves_no_trace() {
        let routes = Routes::new(Position::START);
        let [one, two] = [(); 2].map(|()| Arc::new(Mailbox::new(usize::MAX)));
        for mailbox in [&one, &two] {
            routes.add(&tenant(), listener(mailbox));
        }
        routes.remove(&tenant(), &one, 1);
        assert_eq!(routes.route(&rejected([1])).expect("the first"), 1);
        routes.remove(&tenant(), &two, 1);
        assert!(routes.state().channels.is_empty());
    }
}
