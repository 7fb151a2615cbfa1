//! The suite of leases (E1 to E4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use ports::leases::Leases;

use crate::fixtures::seconds;

/// Leases of its own for one case.
#[async_trait]
pub trait LeasesHarness: Send + Sync {
    /// Who gives leases.
    fn leases(&self) -> Arc<dyn Leases>;

    /// Lets the store's clock move on by `by`.
    async fn advance(&self, by: TimeDelta);
}

/// One test per case of leases; `$make` gives a fresh [`LeasesHarness`].
#[macro_export]
macro_rules! leases_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            leases {
                only_one_of_many_gets_a_lease,
                a_holder_keeps_its_lease_by_asking_again,
                a_lease_that_ran_out_goes_to_the_next,
                a_released_lease_goes_to_the_next_at_once,
                nobody_else_can_release_a_lease,
                leases_of_different_names_are_different,
            }
        }
    };
}

const LASTING: Duration = Duration::from_secs(10);

async fn hold(h: &impl LeasesHarness, name: &'static str, holder: &str) -> Option<u64> {
    h.leases().hold(name, holder, LASTING).await.expect("an answer")
}

/// E1: of many who ask at once, one gets it.
pub async fn only_one_of_many_gets_a_lease(h: &mut impl LeasesHarness) {
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..16 {
        let leases = h.leases();
        asking.spawn(async move { leases.hold("relay", &format!("instance-{n}"), LASTING).await.expect("an answer") });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.into_iter().flatten().count(), 1);
}

/// E2: asking again keeps the lease, with its term, for as long as is asked for.
pub async fn a_holder_keeps_its_lease_by_asking_again(h: &mut impl LeasesHarness) {
    let term = hold(h, "relay", "one").await;
    assert!(term.is_some());
    for _ in 0..3 {
        h.advance(seconds(6)).await;
        assert_eq!(hold(h, "relay", "one").await, term);
        assert_eq!(hold(h, "relay", "two").await, None);
    }
}

/// E3: what ran out can be had by the next holder, also by the first one again.
/// E4: with a higher term each time.
pub async fn a_lease_that_ran_out_goes_to_the_next(h: &mut impl LeasesHarness) {
    let first = hold(h, "relay", "one").await.expect("it is free");
    h.advance(seconds(11)).await;
    let second = hold(h, "relay", "two").await.expect("it ran out");
    assert!(second > first);
    assert_eq!(hold(h, "relay", "one").await, None);
    h.advance(seconds(11)).await;
    assert!(hold(h, "relay", "one").await.expect("it ran out again") > second);
}

/// E3: what was released can be had at once.
/// E4: with a higher term.
pub async fn a_released_lease_goes_to_the_next_at_once(h: &mut impl LeasesHarness) {
    let first = hold(h, "relay", "one").await.expect("it is free");
    h.leases().release("relay", "one").await.expect("released");
    h.leases().release("relay", "one").await.expect("released twice");
    assert!(hold(h, "relay", "two").await.expect("it is free") > first);
}

/// E3: only its holder can release a lease.
pub async fn nobody_else_can_release_a_lease(h: &mut impl LeasesHarness) {
    let term = hold(h, "relay", "one").await;
    h.leases().release("relay", "two").await.expect("nothing happens");
    assert_eq!(hold(h, "relay", "two").await, None);
    assert_eq!(hold(h, "relay", "one").await, term);
}

/// E1: one lease says nothing of another.
pub async fn leases_of_different_names_are_different(h: &mut impl LeasesHarness) {
    assert!(hold(h, "relay", "one").await.is_some());
    assert!(hold(h, "maintenance", "two").await.is_some());
}
