//! Rate limits: who asks too often is told to wait, and nobody else notices.

use testkit::{Entry, Live, Role, Token};

use crate::service_with;

#[tokio::test]
async fn a_caller_over_its_limit_is_told_when_to_come_back_and_others_are_served() {
    let settings = [("LIFECYCLE_LIMITS__TOKEN_BURST", "10"), ("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", "1")];
    let service = service_with(&settings).await;
    let greedy = service.caller(&Token::of(&[Role::Viewer]).subject("greedy"));
    let modest = service.caller(&Token::of(&[Role::Viewer]).subject("modest"));
    let mut refused = 0;
    for _ in 0..30 {
        let answer = greedy.get("/api/v1/campaigns").await;
        if answer.status != 200 {
            answer.problem(429, "rate_limited");
            let wait = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
            assert!(wait.is_some_and(|seconds| (1..=60).contains(&seconds)), "{answer:?}");
            refused += 1;
        }
    }
    assert!((10..=20).contains(&refused), "{refused} of 30");
    modest.get("/api/v1/campaigns").await.expect(200);
    service.anonymous().get("/readyz").await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn guessing_tokens_is_slowed_down_for_the_address_and_valid_tokens_are_not() {
    let settings = [("LIFECYCLE_LIMITS__ADDRESS_BURST", "10"), ("LIFECYCLE_LIMITS__ADDRESS_PER_SECOND", "1")];
    let service = service_with(&settings).await;
    let guesser = service.bearer("guess");
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(guesser.get("/api/v1/campaigns").await.status);
    }
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    service.admin().get("/api/v1/campaigns").await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn live_connections_are_counted_in_all_and_by_subject() {
    let settings =
        [("LIFECYCLE_WEBSOCKET__MAX_CONNECTIONS", "3"), ("LIFECYCLE_WEBSOCKET__MAX_CONNECTIONS_PER_SUBJECT", "2")];
    let service = service_with(&settings).await;
    let token = |subject: &str| Token::of(&[Role::Viewer]).subject(subject).mint();
    let (ada, eve) = (token("ada"), token("eve"));
    let mut open = Vec::new();
    for subject in [&ada, &ada] {
        let mut live = Live::open(&service, Entry::Header(subject)).await;
        assert_eq!(live.subscribe("tenant", None).await["event"], "subscribed");
        open.push(live);
    }
    assert_eq!(Live::open(&service, Entry::Header(&ada)).await.end().await.0, 4429, "too many of one subject");
    let mut other = Live::open(&service, Entry::Header(&eve)).await;
    assert_eq!(other.subscribe("tenant", None).await["event"], "subscribed");
    assert_eq!(Live::open(&service, Entry::Header(&eve)).await.end().await.0, 4429, "too many in all");
    open.pop();
    drop(other);
    testkit::until("a place is free again", async || {
        let mut live = Live::open(&service, Entry::Header(&eve)).await;
        (live.subscribe_or_end("tenant").await).then_some(())
    })
    .await;
    service.finish().await;
}
