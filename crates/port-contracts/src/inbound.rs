//! The suite of the inbound stream (I1 to I7).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Command;
use ports::PortError;
use ports::inbound::{Delivery, EntryId, Inbound, RawEntry};

use crate::fixtures::{command, key, seconds};

/// An inbound stream of its own for one case.
#[async_trait]
pub trait InboundHarness: Send + Sync {
    /// The stream.
    fn inbound(&self) -> Arc<dyn Inbound>;

    /// Lets the stream's clock move on by `by` or a little more; where time cannot be moved, waits.
    async fn advance(&self, by: TimeDelta);

    /// Ends everything and opens the same data again, as a new process would.
    async fn reopen(&mut self);
}

/// One test per case of the inbound stream; `$make` gives a fresh [`InboundHarness`].
#[macro_export]
macro_rules! inbound_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            inbound {
                entries_are_delivered_oldest_first_as_they_came,
                entries_from_before_the_first_reader_are_delivered,
                each_entry_goes_to_one_consumer,
                a_waiting_reader_gets_what_is_appended,
                an_entry_stays_pending_until_it_is_acknowledged,
                unread_entries_survive_the_process,
                entries_of_a_lost_consumer_are_handed_on_once_idle,
                a_reclaimed_entry_is_not_idle_any_more,
                acknowledging_twice_or_the_unknown_does_nothing,
                what_cannot_be_decoded_is_delivered_with_the_reason,
                what_was_never_acknowledged_is_never_removed,
                who_comes_with_an_older_term_is_refused,
                who_waits_with_an_older_term_gets_nothing_of_what_comes,
            }
        }
    };
}

/// Nobody waits for nothing.
const AT_ONCE: Duration = Duration::ZERO;
/// The term of everybody where nobody takes over.
const TERM: u64 = 1;

fn raw(fields: &[(&str, &str)]) -> RawEntry {
    RawEntry { fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
}

/// An event that can be read: `campaign.cancelled` of the campaign `spring`.
fn event(id: &str) -> RawEntry {
    raw(&[
        ("eventId", id),
        ("eventType", "campaign.cancelled"),
        ("timestamp", "2027-01-15T08:00:00Z"),
        ("source", "main-api"),
        ("tenant", "acme"),
        ("correlationId", "order-66"),
        ("data", r#"{"campaignId":"spring","reason":"rain"}"#),
    ])
}

fn events(count: usize) -> Vec<RawEntry> {
    (0..count).map(|n| event(&format!("e-{n}"))).collect()
}

async fn fetch(h: &impl InboundHarness, consumer: &str, max: usize) -> Vec<Delivery> {
    h.inbound().fetch(consumer, TERM, max, AT_ONCE).await.expect("fetching")
}

async fn reclaim(h: &impl InboundHarness, consumer: &str, idle: Duration) -> Vec<Delivery> {
    h.inbound().reclaim(consumer, TERM, idle, 100).await.expect("reclaiming")
}

fn ids(deliveries: &[Delivery]) -> Vec<EntryId> {
    deliveries.iter().map(|delivery| delivery.id.clone()).collect()
}

/// I1: entries come in the order they were appended, with all that was sent.
pub async fn entries_are_delivered_oldest_first_as_they_came(h: &mut impl InboundHarness) {
    let appended = h.inbound().append(events(3)).await.expect("appending");
    let more = h.inbound().append(events(2)).await.expect("appending");
    let first = fetch(h, "one", 4).await;
    let second = fetch(h, "one", 4).await;
    assert_eq!([ids(&first), ids(&second)].concat(), [appended, more].concat());
    assert_eq!((first.len(), first[0].deliveries, &first[0].raw), (4, 1, &event("e-0")));
    let read = first[1].event.as_ref().expect("it can be read");
    assert_eq!(
        (&read.id, &read.key, read.event_type.as_str()),
        (&command("e-1"), &key("spring"), "campaign.cancelled")
    );
    assert_eq!((read.source.as_str(), read.correlation.as_deref()), ("main-api", Some("order-66")));
    assert!(matches!(read.command, Command::Cancel { .. }), "{:?}", read.command);
    assert!(fetch(h, "one", 4).await.is_empty(), "what was handed out is not new any more");
}

/// I1: what was appended before anybody read is delivered, also when it is a process before.
pub async fn entries_from_before_the_first_reader_are_delivered(h: &mut impl InboundHarness) {
    let appended = h.inbound().append(events(2)).await.expect("appending");
    h.reopen().await;
    assert_eq!(ids(&fetch(h, "one", 10).await), appended);
}

/// I1: the consumers of the group share the entries: each goes to one of them, none to nobody.
pub async fn each_entry_goes_to_one_consumer(h: &mut impl InboundHarness) {
    let appended: HashSet<_> = h.inbound().append(events(100)).await.expect("appending").into_iter().collect();
    let mut consumers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let inbound = h.inbound();
        consumers.spawn(async move {
            let mut got = Vec::new();
            loop {
                let some = inbound.fetch(&format!("consumer-{n}"), TERM, 7, AT_ONCE).await.expect("fetching");
                if some.is_empty() {
                    return got;
                }
                got.extend(ids(&some));
            }
        });
    }
    let mut got = Vec::new();
    while let Some(ended) = consumers.join_next().await {
        got.extend(ended.expect("no consumer fails"));
    }
    assert_eq!(got.len(), 100);
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), appended);
}

/// I1: a reader that waits gets what is appended meanwhile; one that waits in vain gets nothing, in time.
pub async fn a_waiting_reader_gets_what_is_appended(h: &mut impl InboundHarness) {
    let inbound = h.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", TERM, 10, Duration::from_secs(10)).await });
    tokio::task::yield_now().await;
    let appended = h.inbound().append(events(1)).await.expect("appending");
    let limit = Duration::from_secs(5);
    let got = tokio::time::timeout(limit, waiting).await.expect("it is woken").expect("no panic").expect("fetching");
    assert_eq!(ids(&got), appended);
    let in_vain = h.inbound();
    let in_vain = tokio::spawn(async move { in_vain.fetch("one", TERM, 10, Duration::from_millis(20)).await });
    h.advance(seconds(1)).await;
    let got = tokio::time::timeout(limit, in_vain).await.expect("it ends").expect("no panic").expect("fetching");
    assert!(got.is_empty());
}

/// I2: what was handed out and not acknowledged is pending, also in the next process; what was is gone.
pub async fn an_entry_stays_pending_until_it_is_acknowledged(h: &mut impl InboundHarness) {
    h.inbound().append(events(3)).await.expect("appending");
    let got = ids(&fetch(h, "one", 10).await);
    h.inbound().acknowledge(TERM, &got[1..2]).await.expect("acknowledging");
    h.reopen().await;
    assert!(fetch(h, "two", 10).await.is_empty(), "they are not new");
    let pending = reclaim(h, "two", Duration::ZERO).await;
    assert_eq!(ids(&pending), [got[0].clone(), got[2].clone()]);
    assert!(pending.iter().all(|delivery| delivery.deliveries == 2 && delivery.event.is_ok()));
    h.inbound().acknowledge(TERM, &ids(&pending)).await.expect("acknowledging");
    assert!(reclaim(h, "two", Duration::ZERO).await.is_empty());
    assert_eq!(h.inbound().oldest_unread().await.expect("asking"), None);
}

/// I2: what was appended and not read yet waits for the next process, and is known to wait.
pub async fn unread_entries_survive_the_process(h: &mut impl InboundHarness) {
    assert_eq!(h.inbound().oldest_unread().await.expect("asking"), None);
    h.inbound().append(events(1)).await.expect("appending");
    h.advance(seconds(1)).await;
    let appended = h.inbound().append(events(1)).await.expect("appending");
    h.reopen().await;
    let oldest = h.inbound().oldest_unread().await.expect("asking").expect("two wait");
    let got = fetch(h, "one", 10).await;
    assert_eq!((got.len(), got[0].appended_at, &got[1].id), (2, oldest, &appended[0]));
    h.inbound().acknowledge(TERM, &ids(&got)[..1]).await.expect("acknowledging");
    let next = h.inbound().oldest_unread().await.expect("asking");
    assert_eq!(next, Some(got[1].appended_at));
    assert!(next >= Some(oldest + seconds(1)));
}

/// I3: what a lost consumer held is handed to another once it was idle for long enough, and not before.
pub async fn entries_of_a_lost_consumer_are_handed_on_once_idle(h: &mut impl InboundHarness) {
    let idle = Duration::from_secs(2);
    h.inbound().append(events(3)).await.expect("appending");
    let lost = ids(&fetch(h, "lost", 10).await);
    assert!(reclaim(h, "two", idle).await.is_empty(), "too early");
    h.advance(seconds(2)).await;
    let some = h.inbound().reclaim("two", TERM, idle, 2).await.expect("reclaiming");
    let rest = h.inbound().reclaim("two", TERM, idle, 2).await.expect("reclaiming");
    assert_eq!([ids(&some), ids(&rest)].concat(), lost);
}

/// I3: an entry that was just handed on is not idle; its consumer may also take its own back.
pub async fn a_reclaimed_entry_is_not_idle_any_more(h: &mut impl InboundHarness) {
    let idle = Duration::from_secs(1);
    h.inbound().append(events(1)).await.expect("appending");
    fetch(h, "one", 10).await;
    h.advance(seconds(1)).await;
    assert_eq!(reclaim(h, "two", idle).await.len(), 1);
    assert!(reclaim(h, "one", idle).await.is_empty(), "two has just got it");
    h.advance(seconds(1)).await;
    let own = reclaim(h, "two", idle).await;
    assert_eq!((own.len(), own[0].deliveries), (1, 3));
}

/// I4: acknowledging again, or what nobody knows, changes nothing.
pub async fn acknowledging_twice_or_the_unknown_does_nothing(h: &mut impl InboundHarness) {
    h.inbound().append(events(2)).await.expect("appending");
    let got = ids(&fetch(h, "one", 1).await);
    let unknown = ["", "999999-0", "nonsense", "-1"].map(|id| EntryId(id.to_owned()));
    h.inbound().acknowledge(TERM, &got).await.expect("once");
    h.inbound().acknowledge(TERM, &got).await.expect("twice");
    h.inbound().acknowledge(TERM, &unknown).await.expect("unknown ones");
    h.inbound().acknowledge(TERM, &[]).await.expect("none");
    let rest = fetch(h, "one", 10).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(ids(&reclaim(h, "one", Duration::ZERO).await), ids(&rest));
}

/// I5: what cannot be decoded is delivered as it came, with what is wrong, and does not hold up the others.
pub async fn what_cannot_be_decoded_is_delivered_with_the_reason(h: &mut impl InboundHarness) {
    let mut unknown_type = event("e-1");
    unknown_type.fields[1].1 = String::from("campaign.exploded");
    let mut broken = event("e-2");
    broken.fields[6].1 = String::from("{");
    let odd = raw(&[("x", ""), ("x", "twice"), ("é\u{1f600}", "\u{fffd}\n\"")]);
    let wrong = [unknown_type, broken, RawEntry::default(), odd];
    h.inbound().append([wrong.to_vec(), vec![event("e-3")]].concat()).await.expect("appending");
    let got = fetch(h, "one", 10).await;
    assert_eq!(got.len(), 5);
    assert!(got.iter().all(|delivery| h.inbound().decode(&delivery.raw) == delivery.event));
    for (delivery, raw) in got.iter().zip(&wrong) {
        assert_eq!(&delivery.raw, raw);
        let reason = delivery.event.as_ref().expect_err("it cannot be read");
        assert!(!reason.message.is_empty());
    }
    let codes: Vec<_> = got[..2].iter().filter_map(|d| d.event.as_ref().err()).map(|e| e.code.as_str()).collect();
    assert_eq!(codes, ["unknown_event_type", "malformed_event"]);
    assert_eq!(got[4].event.as_ref().map(|event| event.id.clone()), Ok(command("e-3")));
}

/// I6: however much was acknowledged around it, what was not is still there.
pub async fn what_was_never_acknowledged_is_never_removed(h: &mut impl InboundHarness) {
    h.inbound().append(events(300)).await.expect("appending");
    let got = ids(&fetch(h, "one", 200).await);
    let kept: Vec<_> = got.iter().step_by(50).cloned().collect();
    let done: Vec<_> = got.iter().filter(|id| !kept.contains(id)).cloned().collect();
    h.inbound().acknowledge(TERM, &done).await.expect("acknowledging");
    h.advance(seconds(2)).await;
    h.reopen().await;
    h.inbound().append(events(1)).await.expect("appending");
    assert_eq!(ids(&reclaim(h, "two", Duration::ZERO).await), kept);
    assert_eq!(fetch(h, "two", 1_000).await.len(), 101);
}

fn is_refused<T: std::fmt::Debug>(answer: &Result<T, PortError>) -> bool {
    matches!(answer, Err(PortError::Contended { .. }))
}

/// I7: who was served before a higher term came gets nothing more, acknowledges nothing, and is told so.
pub async fn who_comes_with_an_older_term_is_refused(h: &mut impl InboundHarness) {
    let appended = h.inbound().append(events(3)).await.expect("appending");
    let held = ids(&h.inbound().fetch("old", 1, 1, AT_ONCE).await.expect("it is the only one"));
    let taken = h.inbound().reclaim("new", 2, AT_ONCE, 10).await.expect("it takes over");
    assert_eq!(ids(&taken), held);
    let fetched = h.inbound().fetch("old", 1, 10, AT_ONCE).await;
    assert!(is_refused(&fetched), "{fetched:?}");
    let reclaimed = h.inbound().reclaim("old", 1, AT_ONCE, 10).await;
    assert!(is_refused(&reclaimed), "{reclaimed:?}");
    let acknowledged = h.inbound().acknowledge(1, &held).await;
    assert!(is_refused(&acknowledged), "{acknowledged:?}");
    let pending = h.inbound().reclaim("new", 2, AT_ONCE, 10).await.expect("its term goes on");
    assert_eq!(ids(&pending), held, "nothing was acknowledged");
    let rest = h.inbound().fetch("newest", 3, 10, AT_ONCE).await.expect("a later term");
    assert_eq!(ids(&rest), appended[1..], "nothing was handed out");
    let acknowledged = h.inbound().acknowledge(2, &held).await;
    assert!(is_refused(&acknowledged), "{acknowledged:?}");
    h.inbound().acknowledge(3, &appended).await.expect("whoever has them");
    assert_eq!(h.inbound().oldest_unread().await.expect("asking"), None);
}

/// I7: so it is with one that waits: what comes after another one took over is not for it.
pub async fn who_waits_with_an_older_term_gets_nothing_of_what_comes(h: &mut impl InboundHarness) {
    assert!(h.inbound().fetch("old", 1, 10, AT_ONCE).await.expect("it is the only one").is_empty());
    let inbound = h.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("old", 1, 10, Duration::from_secs(10)).await });
    // Long enough to begin waiting; if it has not, there is less to see, and nothing goes wrong.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(h.inbound().reclaim("new", 2, AT_ONCE, 10).await.expect("it takes over").is_empty());
    let appended = h.inbound().append(events(2)).await.expect("appending");
    let limit = Duration::from_secs(5);
    let got = tokio::time::timeout(limit, waiting).await.expect("it is woken").expect("no panic");
    assert!(is_refused(&got), "{got:?}");
    let got = h.inbound().fetch("new", 2, 10, AT_ONCE).await.expect("fetching");
    assert_eq!(ids(&got), appended);
    assert!(got.iter().all(|delivery| delivery.deliveries == 1), "{got:?}");
}
