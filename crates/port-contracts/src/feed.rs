//! The suite of what is published: the publisher (F2, F6, F7) and what live clients read (F3 to F5).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Event, Status, Step, TenantId, Timestamp, Trigger};
use ports::feed::{Channel, Feed, Live, LiveFeed, MAX_READ, Publisher};
use ports::journal::{CampaignStep, Entry, Fact, Position, Record};

use crate::fixtures::{assert_refused, fact_of, key_of, notice, owner, positions, tenant};

/// A publisher of its own for one case, with a journal before it and its readers behind it.
#[async_trait]
pub trait FeedHarness: Send + Sync {
    /// Who tells the world.
    fn publisher(&self) -> Arc<dyn Publisher>;

    /// What live clients read.
    fn feed(&self) -> Arc<dyn Feed>;

    /// Commits facts, so that they wait to be published; answers them at their places.
    async fn commit(&self, facts: Vec<Fact>) -> Vec<Arc<Record>>;

    /// Ends everything and opens the same data again, as a new process would.
    async fn reopen(&mut self);

    /// After how many batches a subscriber that takes none may lag.
    fn live_capacity(&self) -> usize;
}

/// One test per case of the publisher and the feed; `$make` gives a fresh [`FeedHarness`].
#[macro_export]
macro_rules! feed_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            feed {
                publishing_moves_the_top,
                what_is_published_already_is_dropped,
                a_batch_that_leaves_a_gap_is_refused,
                the_top_survives_the_process,
                nothing_above_the_top_is_shown,
                each_channel_shows_its_own,
                a_reader_in_small_steps_misses_and_repeats_nothing,
                a_subscription_gets_every_batch,
                subscribers_do_not_disturb_each_other,
                a_slow_subscriber_lags_once_and_goes_on,
                a_subscription_is_safe_to_drop_while_waiting,
                everything_after_the_floor_can_be_read,
                a_world_that_knows_nothing_is_told_from_the_beginning_on,
                the_fact_at_the_top_is_the_one_that_was_told,
            }
        }
    };
}

const PATIENCE: Duration = Duration::from_secs(10);

fn instant() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).expect("in range")
}

/// Facts of two tenants, several campaigns and owners, and the service itself.
fn mixed(count: u64) -> Vec<Fact> {
    (1..=count)
        .map(|n| {
            let of = if n % 3 == 0 { "globex" } else { "acme" };
            match n % 10 {
                0 => return fact_of(&TenantId::service(), instant(), notice(instant(), "one").entry),
                5 => return notice(instant(), "one"),
                _ => {}
            }
            let event = Event::StatusChanged {
                from: Status::Created,
                to: Status::Running,
                trigger: Trigger::Operator,
                reason: None,
                timer: None,
            };
            let step = CampaignStep {
                campaign: key_of(of, &format!("c-{}", n % 2)).id,
                owner: (n % 4 != 0).then(|| owner("ada")),
                status: Status::Running,
                step: Step { sequence: n, at: instant(), event, armed: Vec::new() },
                cancelled: Vec::new(),
                metadata: None,
            };
            fact_of(&tenant(of), instant(), Entry::Step(Box::new(step)))
        })
        .collect()
}

fn channels() -> [Channel; 7] {
    [
        Channel::Tenant(tenant("acme")),
        Channel::Tenant(tenant("globex")),
        Channel::Campaign(tenant("acme"), key_of("acme", "c-1").id),
        Channel::Campaign(tenant("globex"), key_of("globex", "c-0").id),
        Channel::Owner(tenant("acme"), owner("ada")),
        Channel::Owner(tenant("acme"), owner("nobody")),
        Channel::System,
    ]
}

async fn read(feed: &Arc<dyn Feed>, channel: &Channel, after: u64, up_to: u64) -> Vec<Arc<Record>> {
    feed.read(channel, Position(after), Position(up_to), MAX_READ).await.expect("reading")
}

/// F2: after a success the top is the last position of the batch.
pub async fn publishing_moves_the_top(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(5)).await;
    assert_eq!(h.publisher().top().await.expect("the top"), Position::START);
    h.publisher().publish(records[..2].to_vec()).await.expect("the first two");
    assert_eq!(h.publisher().top().await.expect("the top"), Position(2));
    h.publisher().publish(records[2..].to_vec()).await.expect("the others");
    assert_eq!((h.publisher().top().await.expect("the top"), h.feed().top()), (Position(5), Position(5)));
    h.publisher().publish(Vec::new()).await.expect("nothing is fine");
    assert_eq!(h.feed().top(), Position(5));
}

/// F2: what the world was told already is dropped, also as a part of a batch; nobody hears it twice.
/// F3: nothing is shown twice.
pub async fn what_is_published_already_is_dropped(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(6)).await;
    let mut live = h.feed().subscribe();
    h.publisher().publish(records[..3].to_vec()).await.expect("the first three");
    h.publisher().publish(records[..3].to_vec()).await.expect("the same again");
    h.publisher().publish(records[1..5].to_vec()).await.expect("some again, some new");
    h.publisher().publish(records[5..].to_vec()).await.expect("the last");
    assert_eq!(positions(&take_until(&mut live, Position(6)).await), [1, 2, 3, 4, 5, 6]);
    assert_eq!(h.publisher().top().await.expect("the top"), Position(6));
}

/// F2: a batch that does not continue right after the top is refused, and nobody hears of it.
pub async fn a_batch_that_leaves_a_gap_is_refused(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(6)).await;
    assert_refused(h.publisher().publish(records[1..].to_vec()).await);
    h.publisher().publish(records[..2].to_vec()).await.expect("the first two");
    assert_refused(h.publisher().publish(records[3..].to_vec()).await);
    let holes = vec![records[2].clone(), records[4].clone()];
    assert_refused(h.publisher().publish(holes).await);
    assert_eq!((h.publisher().top().await.expect("the top"), h.feed().top()), (Position(2), Position(2)));
}

/// F2: the next process goes on from what the world was told; the top never goes back.
pub async fn the_top_survives_the_process(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(6)).await;
    h.publisher().publish(records[..4].to_vec()).await.expect("the first four");
    h.reopen().await;
    // Where readers read the journal itself, all that a lost process committed may count as told.
    let top = h.publisher().top().await.expect("the top");
    assert!(top >= Position(4) && top == h.feed().top(), "{top}");
    h.publisher().publish(records[2..].to_vec()).await.expect("the next process goes on");
    assert_eq!(h.feed().top(), Position(6));
}

/// F3: what is committed and not yet published is not shown.
pub async fn nothing_above_the_top_is_shown(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(9)).await;
    for published in [0, 4, 9] {
        h.publisher().publish(records[..published].to_vec()).await.expect("the next few");
        let shown = read(&h.feed(), &Channel::Tenant(tenant("acme")), 0, u64::from(u32::MAX)).await;
        assert!(shown.iter().all(|record| record.position.0 <= published as u64), "{:?}", positions(&shown));
    }
}

/// F3: a channel shows exactly those published records that belong to it, in order, whole.
pub async fn each_channel_shows_its_own(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(40)).await;
    h.publisher().publish(records.clone()).await.expect("all");
    assert_shown(h, &records).await;
    // What was at hand is read anew.
    h.reopen().await;
    assert_shown(h, &records).await;
}

async fn assert_shown(h: &impl FeedHarness, records: &[Arc<Record>]) {
    for channel in channels() {
        for (after, up_to) in [(0, 40), (7, 40), (0, 23), (11, 12), (12, 12)] {
            let within = |record: &&Arc<Record>| (after + 1..=up_to).contains(&record.position.0);
            let wanted: Vec<_> = records.iter().filter(within).filter(|r| channel.has(r)).cloned().collect();
            let shown = read(&h.feed(), &channel, after, up_to).await;
            assert_eq!(shown, wanted, "{channel:?} from {after} to {up_to}");
        }
    }
}

/// F3: who reads in small steps gets the same.
pub async fn a_reader_in_small_steps_misses_and_repeats_nothing(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(40)).await;
    h.publisher().publish(records).await.expect("all");
    h.reopen().await;
    for channel in channels() {
        let whole = read(&h.feed(), &channel, 0, 40).await;
        let (mut pieces, mut after) = (Vec::new(), Position::START);
        loop {
            let piece = h.feed().read(&channel, after, Position(40), 3).await.expect("reading");
            assert!(piece.len() <= 3);
            let Some(last) = piece.last() else { break };
            after = last.position;
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole, "{channel:?}");
    }
}

/// Everything that `live` brings up to `last`, which must come without a gap.
async fn take_until(live: &mut Box<dyn LiveFeed>, last: Position) -> Vec<Arc<Record>> {
    let mut taken: Vec<Arc<Record>> = Vec::new();
    while taken.last().is_none_or(|record| record.position < last) {
        match tokio::time::timeout(PATIENCE, live.next()).await.expect("something comes") {
            Live::Records(records) => taken.extend(records.iter().cloned()),
            other => panic!("records are wanted, not {other:?}"),
        }
    }
    taken
}

/// F4: a subscription gets what is published after it began, whole and in order, and nothing from before.
pub async fn a_subscription_gets_every_batch(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(20)).await;
    h.publisher().publish(records[..5].to_vec()).await.expect("before");
    let mut live = h.feed().subscribe();
    for batch in records[5..].chunks(4) {
        h.publisher().publish(batch.to_vec()).await.expect("after");
    }
    assert_eq!(take_until(&mut live, Position(20)).await, records[5..]);
}

/// F4: one subscriber that reads, one that does not, one that left: each its own.
pub async fn subscribers_do_not_disturb_each_other(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(12)).await;
    let (mut quick, mut slow, gone) = (h.feed().subscribe(), h.feed().subscribe(), h.feed().subscribe());
    drop(gone);
    for (n, record) in records.iter().enumerate() {
        h.publisher().publish(vec![record.clone()]).await.expect("one by one");
        let taken = take_until(&mut quick, Position(n as u64 + 1)).await;
        assert_eq!(positions(&taken), [n as u64 + 1]);
    }
    assert_eq!(take_until(&mut slow, Position(12)).await, records);
}

/// F4: a subscriber that was too slow hears so once, then gets what follows without a gap up to the top.
pub async fn a_slow_subscriber_lags_once_and_goes_on(h: &mut impl FeedHarness) {
    let count = h.live_capacity() as u64 + 50;
    let mut records = Vec::new();
    for facts in mixed(count).chunks(MAX_READ) {
        records.extend(h.commit(facts.to_vec()).await);
    }
    let mut live = h.feed().subscribe();
    for record in &records {
        h.publisher().publish(vec![record.clone()]).await.expect("one by one");
    }
    let first = tokio::time::timeout(PATIENCE, live.next()).await.expect("something comes");
    assert!(matches!(first, Live::Lagged), "after {count} batches it must lag, and did not: {first:?}");
    let rest = positions(&take_until(&mut live, Position(count)).await);
    assert_eq!(rest, (rest[0]..=count).collect::<Vec<_>>());
    let missed = read(&h.feed(), &Channel::Tenant(tenant("acme")), 0, rest[0] - 1).await;
    assert!(!missed.is_empty(), "what was missed can be read");
}

/// F4: a wait that was given up takes nothing away.
pub async fn a_subscription_is_safe_to_drop_while_waiting(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(3)).await;
    let mut live = h.feed().subscribe();
    for (n, record) in records.iter().enumerate() {
        let given_up = tokio::time::timeout(Duration::from_millis(5), live.next()).await;
        assert!(given_up.is_err(), "nothing is there yet: {given_up:?}");
        h.publisher().publish(vec![record.clone()]).await.expect("one by one");
        assert_eq!(positions(&take_until(&mut live, Position(n as u64 + 1)).await), [n as u64 + 1]);
    }
}

/// F5: from the floor on, everything that was published can still be read.
pub async fn everything_after_the_floor_can_be_read(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(30)).await;
    h.publisher().publish(records.clone()).await.expect("all");
    h.reopen().await;
    let floor = h.feed().floor().await.expect("the floor");
    assert!(floor <= h.feed().top());
    for channel in channels() {
        let after: Vec<_> =
            records.iter().filter(|r| r.position > floor && channel.has(r)).map(|r| r.position.0).collect();
        assert_eq!(positions(&read(&h.feed(), &channel, floor.0, 30).await), after, "{channel:?}");
    }
}

/// F6: what lies before the beginning is never told; a beginning that was passed already changes nothing.
pub async fn a_world_that_knows_nothing_is_told_from_the_beginning_on(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(6)).await;
    h.publisher().begin_after(Position(2)).await.expect("the beginning");
    assert_eq!(h.publisher().top().await.expect("the top"), Position(2));
    let mut live = h.feed().subscribe();
    h.publisher().publish(records[..4].to_vec()).await.expect("some before, some after it");
    h.publisher().begin_after(Position(3)).await.expect("it was passed");
    h.publisher().publish(records[4..].to_vec()).await.expect("the others");
    assert_eq!(positions(&take_until(&mut live, Position(6)).await), [3, 4, 5, 6]);
    assert_eq!(h.publisher().top().await.expect("the top"), Position(6));
}

/// F7: where the fact at the top is known, it is the last one that was told; after a move of the top it is not known.
pub async fn the_fact_at_the_top_is_the_one_that_was_told(h: &mut impl FeedHarness) {
    let records = h.commit(mixed(6)).await;
    assert_eq!(h.publisher().told().await.expect("the top").fact, None);
    h.publisher().publish(records[..2].to_vec()).await.expect("the first two");
    let told = h.publisher().told().await.expect("the top");
    assert_eq!(told.position, Position(2));
    assert!(told.fact.is_none_or(|fact| fact == records[1].fact.id), "{told:?}");
    h.publisher().begin_after(Position(4)).await.expect("the beginning");
    let told = h.publisher().told().await.expect("the top");
    assert_eq!((told.position, told.fact), (Position(4), None));
}
