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

/// One guess at a token, by a caller who names others in `X-Forwarded-For`.
async fn guess(service: &testkit::Service, forwarded: &str) -> u16 {
    let call = service.bearer("guess").call("GET", "/api/v1/campaigns").header("x-forwarded-for", forwarded);
    call.send().await.status
}

const FEW_GUESSES: [(&str, &str); 2] =
    [("LIFECYCLE_LIMITS__ADDRESS_BURST", "10"), ("LIFECYCLE_LIMITS__ADDRESS_PER_SECOND", "1")];

#[tokio::test]
async fn a_spoofed_forwarded_header_moves_no_limit() {
    let service = service_with(&FEW_GUESSES).await;
    let mut statuses = Vec::new();
    for n in 0..20 {
        statuses.push(guess(&service, &format!("192.0.2.{n}")).await);
    }
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    service.finish().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let proxies = ("LIFECYCLE_HTTP__TRUSTED_PROXIES", "127.0.0.0/8,::1");
    let service = service_with(&[FEW_GUESSES[0], FEW_GUESSES[1], proxies]).await;
    let mut statuses = Vec::new();
    for n in 0..20 {
        // What the client wrote itself stands before what the proxy adds.
        statuses.push(guess(&service, &format!("198.51.100.{n}, 192.0.2.1")).await);
    }
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    assert_eq!(guess(&service, "192.0.2.2").await, 401, "another client");
    assert_eq!(guess(&service, "192.0.2.1").await, 429, "the same client");
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
