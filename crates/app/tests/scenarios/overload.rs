//! Floods: whoever asks for more than there is gets 429 or 503 and a time to come back; what was accepted is kept, memory
//! is bounded, other callers are served, and soon after it is as if nothing had been.

use std::time::Duration;

use testkit::{Flood, Plan, Role, Token, time_of_a_change, until};

use crate::service_with;

const MIB: u64 = 1024 * 1024;

/// How long a flood lasts. Long enough to fill every queue many times over.
const LASTS: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_floods_is_told_to_come_back_and_another_tenant_is_served_meanwhile() {
    let settings = [("LIFECYCLE_LIMITS__TOKEN_BURST", "50"), ("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", "20")];
    let service = service_with(&settings).await;
    let greedy = service.caller(&Token::of(&[Role::Admin]).subject("greedy"));
    let modest = service.caller(&Token::of(&[Role::Admin]).tenant("other").subject("modest"));
    modest.create(Plan::later("calm").body()).await;
    let flood = Flood::begin(&greedy, "flood", 40);
    let mut slowest = Duration::ZERO;
    for _ in 0..30 {
        slowest = slowest.max(time_of_a_change(&modest, "calm").await);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let flooded = flood.end().await;
    assert!(flooded.odd.is_empty(), "{:?}", flooded.odd);
    assert!(flooded.shed > flooded.accepted.len(), "{} shed, {} not", flooded.shed, flooded.accepted.len());
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let kept = until("the caller may ask again", async || {
        let answer = greedy.get("/api/v1/campaigns?limit=1").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert!(kept.json()["items"].as_array().is_some_and(|items| !items.is_empty()));
    service.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_its_capacity_the_service_sheds_new_work_keeps_accepted_work_and_recovers() {
    let settings = [
        ("LIFECYCLE_COMMANDS__QUEUE", "8"),
        ("LIFECYCLE_COMMANDS__BATCH", "4"),
        ("LIFECYCLE_LIMITS__TOKEN_BURST", "1000000"),
        ("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", "1000000"),
    ];
    let service = service_with(&settings).await;
    let api = service.admin();
    api.create(Plan::later("calm").body()).await;
    let flood = Flood::begin(&api, "flood", 200);
    until("the flood is on", async || (flood.answered() > 500).then_some(())).await;
    let before = service.resident();
    tokio::time::sleep(LASTS).await;
    let after = service.resident();
    let flooded = flood.end().await;
    assert!(flooded.odd.is_empty(), "{:?}", flooded.odd.first());
    assert!(flooded.shed > 0, "it was no flood: {} accepted", flooded.accepted.len());
    assert!(after.saturating_sub(before) < 48 * MIB, "{} MiB more", after.saturating_sub(before) / MIB);
    until("changes are quick again", async || {
        (time_of_a_change(&api, "calm").await < Duration::from_millis(300)).then_some(())
    })
    .await;
    let kept = api.all("/api/v1/campaigns").await.len();
    assert_eq!(kept, flooded.accepted.len() + 1, "what was accepted is there, what was shed is not");
    service.finish().await;
}
