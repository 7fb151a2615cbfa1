//! The publisher (F2, F6), and its rule: every stream holds every position exactly once, whatever happens to Redis.

use ports::PortError;
use ports::feed::Publisher as _;
use ports::journal::Position;

use crate::support::{World, instant, records};

const STREAMS: [&str; 4] = ["lifecycle-events", "timer-events", "system-events", "notification-events"];

/// What the streams hold must be what these positions become, each once.
pub(crate) async fn assert_told(world: &World, positions: std::ops::RangeInclusive<u64>) {
    let told = records(positions.clone());
    for stream in STREAMS {
        let mut wanted = Vec::new();
        for record in &told {
            if stream == "notification-events" {
                let frames = wire::frames::frames_of(record);
                wanted.extend(frames.iter().map(|frame| format!("{}-{}", record.position, frame.cursor.k)));
            } else {
                let events = wire::outbound::expand(record);
                let of_stream = events.iter().filter(|event| event.stream.name() == stream);
                wanted.extend(of_stream.map(wire::outbound::OutboundEvent::id));
            }
        }
        assert_eq!(world.ids(stream).await, wanted, "{stream} after {positions:?}");
    }
}

async fn top(world: &World) -> u64 {
    world.redis.publisher().top().await.expect("the top").0
}

/// As the relay does it: asks for the top, and tells everything after it.
pub(crate) async fn relay(world: &World, up_to: u64) -> u64 {
    let from = top(world).await;
    world.redis.publisher().publish(records(from + 1..=up_to)).await.expect("publishing");
    from
}

#[tokio::test]
async fn publishing_moves_the_top_and_repeats_are_dropped() {
    let mut world = World::fresh().await;
    let publisher = world.redis.publisher();
    assert_eq!(publisher.top().await.expect("the top"), Position::START);
    publisher.publish(Vec::new()).await.expect("nothing is fine");
    publisher.publish(records(1..=3)).await.expect("the first three");
    publisher.publish(records(1..=3)).await.expect("the same again");
    publisher.publish(records(2..=5)).await.expect("some again, some new");
    world.reopen().await;
    assert_eq!(top(&world).await, 5);
    world.redis.publisher().publish(records(3..=900)).await.expect("in several steps");
    assert_eq!(top(&world).await, 900);
    assert_told(&world, 1..=900).await;
}

#[tokio::test]
async fn a_batch_that_leaves_a_gap_is_refused() {
    let world = World::fresh().await;
    let publisher = world.redis.publisher();
    publisher.publish(records(1..=2)).await.expect("the first two");
    let holes = [records(3..=3), records(5..=5)].concat();
    for wrong in [records(4..=6), holes] {
        let error = publisher.publish(wrong).await.expect_err("there is a gap");
        assert!(matches!(error, PortError::Refused { .. }), "{error:?}");
    }
    assert_eq!(top(&world).await, 2);
    assert_told(&world, 1..=2).await;
}

#[tokio::test]
async fn entries_tell_what_happened() {
    let world = World::fresh().await;
    world.redis.publisher().publish(records(4..=4)).await.expect_err("there is a gap");
    world.redis.publisher().begin_after(Position(3)).await.expect("the beginning");
    world.redis.publisher().publish(records(4..=4)).await.expect("publishing");
    let (id, fields) = world.entries("lifecycle-events").await.remove(0);
    let field = |fields: &[String], name: &str| {
        fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone()).unwrap_or_default()
    };
    assert_eq!(
        (id.as_str(), field(&fields, "eventId").as_str(), field(&fields, "eventType").as_str()),
        ("4-0", "4-0", "campaign.status.changed")
    );
    let (id, fields) = world.entries("notification-events").await.remove(0);
    let shown = ["event", "timestamp", "tenant", "campaignId", "ownerId", "position"].map(|name| field(&fields, name));
    let at = wire::time::format(instant());
    assert_eq!(id, "4-0");
    assert_eq!(shown, ["campaign.status.updated", &at, "acme", "spring", "ada", "4"].map(str::to_owned));
    assert!(field(&fields, "data").contains("RUNNING"));
}

#[tokio::test]
async fn a_world_that_knows_nothing_is_told_from_the_beginning_on() {
    let world = World::fresh().await;
    let publisher = world.redis.publisher();
    publisher.begin_after(Position(2)).await.expect("the beginning");
    assert_eq!(top(&world).await, 2);
    publisher.publish(records(1..=4)).await.expect("some before, some after it");
    publisher.begin_after(Position(3)).await.expect("it was passed");
    publisher.publish(records(5..=6)).await.expect("the others");
    assert_eq!(top(&world).await, 6);
    assert_told(&world, 3..=6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_publish_at_once_tell_everything_once() {
    let world = World::fresh().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4 {
        let redis = world.other(&format!("relay-{n}")).await;
        tasks.spawn(async move {
            let publisher = redis.publisher();
            loop {
                let top = publisher.top().await.expect("the top").0;
                if top >= 300 {
                    return;
                }
                match publisher.publish(records(top + 1..=(top + 7).min(300))).await {
                    Ok(()) | Err(PortError::Refused { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nobody fails");
    }
    assert_told(&world, 1..=300).await;
}

#[tokio::test]
async fn a_stream_that_was_deleted_alone_is_told_again() {
    for stream in STREAMS {
        let world = World::fresh().await;
        relay(&world, 60).await;
        world.raw.call(&["DEL", &world.key(stream)]).await;
        if stream == "timer-events" {
            // Nothing was ever told there.
            assert_eq!(relay(&world, 70).await, 60);
        } else {
            let error = world.redis.publisher().publish(records(61..=61)).await.expect_err("a stream is gone");
            assert!(matches!(error, PortError::Contended { .. }) && error.may_retry(), "{error:?}");
            assert_eq!(relay(&world, 70).await, 0, "{stream}");
        }
        assert_told(&world, 1..=70).await;
    }
}

#[tokio::test]
async fn telling_again_goes_on_where_a_process_has_stopped() {
    let mut world = World::fresh().await;
    relay(&world, 60).await;
    world.raw.call(&["DEL", &world.key("lifecycle-events")]).await;
    assert_eq!(top(&world).await, 0);
    world.redis.publisher().publish(records(1..=23)).await.expect("a part");
    world.reopen().await;
    // Meanwhile another one goes, too.
    world.raw.call(&["DEL", &world.key("system-events")]).await;
    assert_eq!(relay(&world, 61).await, 0);
    assert_told(&world, 1..=61).await;
}

#[tokio::test]
async fn a_lost_mark_is_found_again() {
    let world = World::fresh().await;
    relay(&world, 60).await;
    world.raw.call(&["DEL", &world.key("lifecycle:mark")]).await;
    assert_eq!(relay(&world, 62).await, 0);
    assert_told(&world, 1..=62).await;
    // The mark and a stream at once.
    world.raw.call(&["DEL", &world.key("lifecycle:mark"), &world.key("notification-events")]).await;
    assert_eq!(relay(&world, 63).await, 0);
    assert_told(&world, 1..=63).await;
    // Set back by hand.
    world.raw.call(&["HSET", &world.key("lifecycle:mark"), "position", "10", "lifecycle-events", "9-0"]).await;
    assert_eq!(relay(&world, 64).await, 10);
    assert_told(&world, 1..=64).await;
}

#[tokio::test]
async fn everything_lost_is_told_again_as_far_back_as_the_outbox_reaches() {
    let world = World::fresh().await;
    relay(&world, 60).await;
    let keys = ["lifecycle:mark"].into_iter().chain(STREAMS).map(|name| world.key(name));
    for key in keys {
        world.raw.call(&["DEL", &key]).await;
    }
    assert_eq!(top(&world).await, 0);
    world.redis.publisher().begin_after(Position(20)).await.expect("the beginning");
    assert_eq!(relay(&world, 61).await, 20);
    assert_told(&world, 21..=61).await;
}

#[tokio::test]
async fn trimmed_streams_are_not_filled_again() {
    let world = World::fresh().await;
    relay(&world, 60).await;
    world.raw.call(&["XTRIM", &world.key("lifecycle-events"), "MAXLEN", "0"]).await;
    assert_eq!(relay(&world, 61).await, 60);
    world.raw.call(&["DEL", &world.key("lifecycle:mark")]).await;
    relay(&world, 62).await;
    assert_eq!(world.ids("lifecycle-events").await, ["61-0", "62-0"]);
}

#[tokio::test]
async fn an_entry_of_somebody_else_is_an_error_that_says_what_to_do() {
    let world = World::fresh().await;
    relay(&world, 20).await;
    let stream = world.key("lifecycle-events");
    world.raw.call(&["XADD", &stream, "*", "hello", "world"]).await;
    let error = world.redis.publisher().publish(records(21..=21)).await.expect_err("nothing is told behind it");
    assert!(matches!(error, PortError::Contended { .. }), "{error:?}");
    let error = world.redis.publisher().top().await.expect_err("it is seen");
    assert!(error.to_string().contains(&format!("DEL {stream}")), "{error}");
    world.raw.call(&["DEL", &stream]).await;
    assert_eq!(relay(&world, 22).await, 0);
    assert_told(&world, 1..=22).await;
}

#[tokio::test]
async fn a_key_of_another_kind_in_the_place_of_a_stream_is_refused() {
    let world = World::fresh().await;
    world.raw.call(&["SET", &world.key("timer-events"), "x"]).await;
    let error = world.redis.publisher().publish(records(1..=2)).await.expect_err("it is no stream");
    assert!(matches!(error, PortError::Refused { .. }), "{error:?}");
    assert!(world.ids("lifecycle-events").await.is_empty(), "nothing was written");
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_taught_again() {
    let world = World::fresh().await;
    relay(&world, 3).await;
    world.raw.call(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(relay(&world, 6).await, 3);
    assert_told(&world, 1..=6).await;
}

/// It was so once: an answer that was overtaken on its way set the mark back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn looking_at_the_top_does_not_move_the_mark_back() {
    let world = World::fresh().await;
    let other = world.other("two").await;
    let (mut marks, last) = (world.redis.marks(), Position(400));
    let mut looks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (publisher, marks) = (world.redis.publisher(), world.redis.marks());
        looks.spawn(async move {
            while *marks.borrow() < last {
                publisher.told().await.expect("the top");
            }
        });
    }
    let publishing = tokio::spawn(async move {
        for position in 1..=last.0 {
            other.publisher().publish(records(position..=position)).await.expect("publishing");
        }
    });
    let mut before = Position::START;
    while before < last {
        marks.changed().await.expect("it goes on");
        let seen = *marks.borrow_and_update();
        assert!(seen >= before, "from {before} back to {seen}");
        before = seen;
    }
    publishing.await.expect("no panic");
    while let Some(ended) = looks.join_next().await {
        ended.expect("nobody fails");
    }
}
