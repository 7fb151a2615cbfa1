//! Events that came before their campaign: each waits for it, in order, for a limited time. And events whose campaign somebody
//! else holds, for as long as that lasts.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use chrono::TimeDelta;
use domain::{CampaignKey, Command, Timestamp};
use ports::inbound::{Delivery, EntryId, InboundEvent};

/// The longest time between two tries, where the campaign is not known.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// The same where somebody holds it, which ends at any time.
const LONGEST_PAUSE_FOR_HOLDER: TimeDelta = TimeDelta::seconds(1);

/// An event that came.
pub(crate) struct Arrival {
    pub(crate) event: InboundEvent,
    pub(crate) delivery: Delivery,
    /// When this process met it first.
    pub(crate) since: Timestamp,
}

struct Bench {
    arrivals: VecDeque<Arrival>,
    next_try: Timestamp,
    pause: TimeDelta,
}

/// The waiting room.
pub(crate) struct WaitingRoom {
    window: TimeDelta,
    places: usize,
    /// Sorted, so that the same events always are tried in the same order.
    benches: BTreeMap<CampaignKey, Bench>,
    /// Every entry in the room, and every one called up and not yet settled.
    inside: HashSet<EntryId>,
    /// The pauses of benches that were called up and may be needed again.
    pauses: HashMap<CampaignKey, TimeDelta>,
}

impl WaitingRoom {
    pub(crate) fn new(window: Duration, places: usize) -> Self {
        Self {
            window: TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX),
            places,
            benches: BTreeMap::new(),
            inside: HashSet::new(),
            pauses: HashMap::new(),
        }
    }

    /// Whether this entry waits here.
    pub(crate) fn holds(&self, id: &EntryId) -> bool {
        self.inside.contains(id)
    }

    /// How many wait here.
    pub(crate) fn len(&self) -> usize {
        self.inside.len()
    }

    /// When the next bench is called up.
    pub(crate) fn next_try(&self) -> Option<Timestamp> {
        self.benches.values().map(|b| b.next_try).min()
    }

    /// Takes new arrivals in and answers everything that is to be tried now, in an order in which it can work: per
    /// campaign first its create, then what waited, then what is new.
    pub(crate) fn admit(&mut self, arrivals: Vec<Arrival>, now: Timestamp) -> Vec<Arrival> {
        self.inside.clear();
        self.pauses.clear();
        let mut order: Vec<CampaignKey> = Vec::new();
        let mut by_campaign: HashMap<CampaignKey, Vec<Arrival>> = HashMap::new();
        for arrival in arrivals {
            let key = arrival.event.key.clone();
            by_campaign
                .entry(key.clone())
                .or_insert_with(|| {
                    order.push(key);
                    Vec::new()
                })
                .push(arrival);
        }
        for (key, bench) in &self.benches {
            if bench.next_try <= now && !by_campaign.contains_key(key) {
                order.push(key.clone());
            }
        }
        let mut ready = Vec::new();
        for key in order {
            let fresh = by_campaign.remove(&key).unwrap_or_default();
            let (creates, others): (Vec<_>, Vec<_>) =
                fresh.into_iter().partition(|a| matches!(a.event.command, Command::Create { .. }));
            match self.benches.remove(&key) {
                Some(mut bench) if creates.is_empty() && bench.next_try > now => {
                    bench.arrivals.extend(others);
                    self.benches.insert(key, bench);
                }
                Some(bench) => {
                    self.pauses.insert(key, bench.pause);
                    ready.extend(creates);
                    ready.extend(bench.arrivals);
                    ready.extend(others);
                }
                None => {
                    ready.extend(creates);
                    ready.extend(others);
                }
            }
        }
        self.inside = self.benches.values().flat_map(|b| &b.arrivals).map(|a| a.delivery.id.clone()).collect();
        ready
    }

    /// Lets an arrival wait (again) for its campaign to become known. Gives back one for which it is too late, or no room.
    pub(crate) fn wait(&mut self, arrival: Arrival, now: Timestamp) -> Option<Arrival> {
        let deadline = arrival.since + self.window;
        if now >= deadline { Some(arrival) } else { self.seat(arrival, now, LONGEST_PAUSE, deadline) }
    }

    /// Lets an arrival wait (again) until nobody holds its campaign. Gives back one for which there is no room.
    pub(crate) fn wait_for_holder(&mut self, arrival: Arrival, now: Timestamp) -> Option<Arrival> {
        self.seat(arrival, now, LONGEST_PAUSE_FOR_HOLDER, Timestamp::MAX_UTC)
    }

    fn seat(&mut self, arrival: Arrival, now: Timestamp, longest: TimeDelta, deadline: Timestamp) -> Option<Arrival> {
        if self.inside.len() >= self.places {
            return Some(arrival);
        }
        let key = &arrival.event.key;
        let pause = self.pauses.get(key).map_or(TimeDelta::milliseconds(250), |p| (*p * 2).min(longest));
        let bench = self.benches.entry(key.clone()).or_insert_with(|| Bench {
            arrivals: VecDeque::new(),
            next_try: (now + pause).min(deadline),
            pause,
        });
        self.inside.insert(arrival.delivery.id.clone());
        bench.arrivals.push_back(arrival);
        None
    }
}

#[cfg(test)]
mod tests {
    use domain::{CampaignId, CommandId, Definition, JsonText, PolicyOverrides, Requester, TenantId, Window};
    use ports::inbound::RawEntry;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    fn arrival(entry: &str, campaign: &str, create: bool, now: Timestamp) -> Arrival {
        let command = if create {
            let window = Window::new(at(0), at(1_000)).expect("in order");
            Command::Create {
                definition: Definition {
                    window,
                    auto_close: true,
                    rewards_enabled: true,
                    target_engagements: None,
                    close_on_target: false,
                    owner: None,
                    policy: PolicyOverrides::default(),
                    metadata: JsonText::empty(),
                },
            }
        } else {
            Command::Cancel { by: Requester::Producer, reason: None }
        };
        let event = InboundEvent {
            id: CommandId::parse(entry).expect("valid"),
            event_type: "campaign.x".to_owned(),
            source: "test".to_owned(),
            correlation: None,
            key: CampaignKey { tenant: TenantId::default_tenant(), id: CampaignId::parse(campaign).expect("valid") },
            command,
            expected_version: None,
            fingerprint: [0; 32],
        };
        let delivery = Delivery {
            id: EntryId(entry.to_owned()),
            raw: RawEntry::default(),
            event: Ok(event.clone()),
            appended_at: now,
            deliveries: 1,
        };
        Arrival { event, delivery, since: now }
    }

    fn names(arrivals: &[Arrival]) -> Vec<&str> {
        arrivals.iter().map(|a| a.delivery.id.0.as_str()).collect()
    }

    fn room() -> WaitingRoom {
        WaitingRoom::new(Duration::from_mins(1), 100)
    }

    #[test]
    fn a_create_goes_before_what_came_ahead_of_it() {
        let mut room = room();
        let batch =
            vec![arrival("u1", "a", false, at(0)), arrival("c", "a", true, at(0)), arrival("u2", "a", false, at(0))];
        assert_eq!(names(&room.admit(batch, at(0))), ["c", "u1", "u2"]);
    }

    #[test]
    fn later_events_queue_behind_one_that_waits_and_the_create_frees_them_in_order() {
        let mut room = room();
        for early in room.admit(vec![arrival("u1", "a", false, at(0))], at(0)) {
            assert!(room.wait(early, at(0)).is_none());
        }
        assert!(room.admit(vec![arrival("u2", "a", false, at(0))], at(0)).is_empty());
        assert!(room.holds(&EntryId("u1".to_owned())) && room.holds(&EntryId("u2".to_owned())));
        let freed = room.admit(vec![arrival("u3", "a", false, at(0)), arrival("c", "a", true, at(0))], at(0));
        assert_eq!(names(&freed), ["c", "u1", "u2", "u3"]);
        assert!(!room.holds(&EntryId("u1".to_owned())));
    }

    #[test]
    fn who_waits_is_called_up_again_with_growing_pauses_until_the_window_is_over() {
        let mut room = room();
        let mut waiting = room.admit(vec![arrival("u", "a", false, at(0))], at(0)).remove(0);
        let mut tries = 0;
        let mut now = at(0);
        loop {
            match room.wait(waiting, now) {
                Some(late) => {
                    assert_eq!(now - late.since, TimeDelta::seconds(60));
                    break;
                }
                None => now = room.next_try().expect("somebody waits"),
            }
            waiting = room.admit(Vec::new(), now).remove(0);
            tries += 1;
        }
        assert!((10..30).contains(&tries), "{tries} tries in a minute");
    }

    #[test]
    fn who_waits_for_a_holder_is_called_up_each_second_for_as_long_as_it_takes_and_keeps_its_place() {
        let mut room = room();
        let mut waiting = room.admit(vec![arrival("u1", "a", false, at(0))], at(0));
        let mut now = at(0);
        for _ in 0..1_000 {
            for arrival in waiting {
                assert!(room.wait_for_holder(arrival, now).is_none());
            }
            let next = room.next_try().expect("somebody waits");
            assert!(now < next && next - now <= TimeDelta::seconds(1));
            now = next;
            waiting = room.admit(Vec::new(), now);
        }
        assert!(now > at(900) && names(&waiting) == ["u1"]);
        for arrival in waiting {
            assert!(room.wait_for_holder(arrival, now).is_none());
        }
        assert!(room.admit(vec![arrival("u2", "a", false, now)], now).is_empty());
        assert_eq!(names(&room.admit(Vec::new(), now + TimeDelta::seconds(1))), ["u1", "u2"]);
    }

    #[test]
    fn a_full_room_turns_the_next_one_away() {
        let mut room = WaitingRoom::new(Duration::from_mins(1), 1);
        let mut ready = room.admit(vec![arrival("u1", "a", false, at(0)), arrival("u2", "b", false, at(0))], at(0));
        let second = ready.pop().expect("two");
        let first = ready.pop().expect("two");
        assert!(room.wait(first, at(0)).is_none());
        assert!(room.wait(second, at(0)).is_some());
    }
}
