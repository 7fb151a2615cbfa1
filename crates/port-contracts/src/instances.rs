//! The suite of instances (N1, N2).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use ports::instances::{Instance, Instances};

use crate::fixtures::seconds;

/// A register of its own for one case.
#[async_trait]
pub trait InstancesHarness: Send + Sync {
    /// The register.
    fn instances(&self) -> Arc<dyn Instances>;

    /// Lets the store's clock move on by `by`.
    async fn advance(&self, by: TimeDelta);
}

/// One test per case of the register; `$make` gives a fresh [`InstancesHarness`].
#[macro_export]
macro_rules! instances_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            instances {
                who_beats_is_seen_with_the_last_beat,
                who_left_or_is_silent_is_not_seen,
                the_longest_running_comes_first,
            }
        }
    };
}

const WITHIN: Duration = Duration::from_secs(5);

fn instance(id: &str, started: i64) -> Instance {
    let started_at = Timestamp::from_timestamp(1_700_000_000 + started, 0).expect("in range");
    Instance { id: id.to_owned(), version: "1.2.3".to_owned(), started_at }
}

async fn names(h: &impl InstancesHarness) -> Vec<String> {
    let alive = h.instances().alive(WITHIN).await.expect("a list");
    alive.into_iter().map(|seen| seen.instance.id).collect()
}

/// N1: an instance is listed as it told of itself, and beating again moves its last sign of life.
pub async fn who_beats_is_seen_with_the_last_beat(h: &mut impl InstancesHarness) {
    assert!(names(h).await.is_empty());
    let one = instance("one", 0);
    h.instances().beat(&one).await.expect("a beat");
    let first = h.instances().alive(WITHIN).await.expect("a list");
    assert_eq!((first.len(), &first[0].instance), (1, &one));
    h.advance(seconds(2)).await;
    h.instances().beat(&one).await.expect("a beat");
    let second = h.instances().alive(WITHIN).await.expect("a list");
    assert_eq!((second.len(), &second[0].instance), (1, &one));
    assert!(second[0].seen_at >= first[0].seen_at + seconds(2));
}

/// N2: who left in order is gone at once, who is silent after a while; who beats again is back.
pub async fn who_left_or_is_silent_is_not_seen(h: &mut impl InstancesHarness) {
    let (one, two) = (instance("one", 0), instance("two", 1));
    h.instances().beat(&one).await.expect("a beat");
    h.instances().beat(&two).await.expect("a beat");
    h.instances().leave("two").await.expect("leaving");
    h.instances().leave("two").await.expect("leaving twice");
    h.instances().leave("nobody").await.expect("leaving without having been there");
    assert_eq!(names(h).await, ["one"]);
    h.advance(seconds(6)).await;
    assert!(names(h).await.is_empty(), "it is silent for longer than asked for");
    h.instances().beat(&one).await.expect("a beat");
    h.instances().beat(&two).await.expect("a beat");
    assert_eq!(names(h).await, ["one", "two"]);
}

/// N1: the list is in the order in which the instances started.
pub async fn the_longest_running_comes_first(h: &mut impl InstancesHarness) {
    for (id, started) in [("c", 2), ("a", 3), ("b", 1)] {
        h.instances().beat(&instance(id, started)).await.expect("a beat");
    }
    assert_eq!(names(h).await, ["b", "c", "a"]);
}
