//! Tokens that must not work, over HTTP: 401 with a challenge, and nothing happens.

use serde_json::{Value, json};
use testkit::{Plan, Role, Service, Token};

use crate::service;

const RESERVED_TENANT: &str = concat!(
    "eyJhbGciOiJIUzI1NiJ9.",
    "eyJzdWIiOiJhIiwidGVuYW50IjoiX3NlcnZpY2UiLCJyb2xlcyI6WyJhZG1pbiJdLCJleHAiOjQxMDI0NDQ4MDB9.",
    "VWsVUe_M2IaTRIv5QYOV6y2YAzsXR4ko2TvhwWcfvk4"
);
const NO_OWNER: &str = concat!(
    "eyJhbGciOiJIUzI1NiJ9.",
    "eyJzdWIiOiJhIiwidGVuYW50IjoiZGVmYXVsdCIsInJvbGVzIjpbInZpZXdlciJdLCJvd25lciI6bnVsbCwiZXhwIjo0MTAyNDQ0ODAwfQ.",
    "fEiNUnp_Z2a2d1OKByx_IS455wZt3agIpeDQZbuvJfA"
);

async fn is_refused(service: &Service, token: &str) {
    let api = service.bearer(token);
    for answer in [
        api.get("/api/v1/campaigns").await,
        api.post("/api/v1/campaigns", Plan::later("c").body()).await,
        api.get("/api/v1/system").await,
    ] {
        answer.problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").is_some_and(|text| text.starts_with("Bearer")), "{answer:?}");
        assert!(!answer.text.contains(testkit::SECRET));
    }
}

#[tokio::test]
async fn no_token_and_bad_tokens_are_refused_and_nothing_is_stored() {
    let service = service().await;
    service.anonymous().get("/api/v1/campaigns").await.problem(401, "unauthenticated");
    let admin = Token::of(&[Role::Admin]);
    let good = admin.mint();
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    for token in [
        admin.clone().seconds(-60).mint(),
        admin.clone().secret("another secret of sufficient length").mint(),
        Token::of(&[]).mint(),
        format!("{head}."),
        format!("{head}.{}", signature.to_uppercase()),
        format!("{good}x"),
        "nonsense".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(20_000),
        // {"alg":"none"}.{"sub":"a","tenant":"default","roles":["admin"],"exp":4102444800}.
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwidGVuYW50IjoiZGVmYXVsdCIsInJvbGVzIjpbImFkbWluIl0sImV4cCI6NDEwMjQ0NDgwMH0."
            .to_owned(),
        // Well signed: {"sub":"a","tenant":"_service","roles":["admin"],"exp":4102444800}
        RESERVED_TENANT.to_owned(),
        // Well signed: {"sub":"a","tenant":"default","roles":["viewer"],"owner":null,"exp":4102444800}
        NO_OWNER.to_owned(),
    ] {
        is_refused(&service, &token).await;
    }
    let api = service.admin();
    for header in ["Basic YTpi", "Bearer", &format!("Token {good}"), &format!("Bearer {good}, Bearer {good}")] {
        let call = service.anonymous().call("GET", "/api/v1/campaigns").header("authorization", header);
        call.send().await.problem(401, "unauthenticated");
    }
    assert_eq!(api.all("/api/v1/campaigns").await, Vec::<Value>::new());
    service.finish().await;
}

#[tokio::test]
async fn what_another_tenant_has_is_like_what_is_not_there() {
    let service = service().await;
    let acme = service.caller(&Token::of(&[Role::Admin]).tenant("acme"));
    let other = service.caller(&Token::of(&[Role::Admin]).tenant("other"));
    acme.create(Plan::later("secret").body()).await;
    let timer = acme.timer("secret", "START_CAMPAIGN").await;
    let paths = ["", "/lifecycle", "/transitions", "/timers"];
    for path in paths {
        let theirs = other.get(&format!("/api/v1/campaigns/secret{path}")).await;
        let absent = other.get(&format!("/api/v1/campaigns/absent{path}")).await;
        let (mut theirs, mut absent) =
            (theirs.problem(404, "unknown_campaign"), absent.problem(404, "unknown_campaign"));
        (theirs["requestId"], absent["requestId"]) = (Value::Null, Value::Null);
        assert_eq!(theirs, absent, "{path}");
    }
    other.patch("/api/v1/campaigns/secret", &json!({"autoClose": false})).await.problem(404, "unknown_campaign");
    other.move_to("secret", "RUNNING").await.problem(404, "unknown_campaign");
    other.post("/api/v1/campaigns/secret/cancel", &json!({})).await.problem(404, "unknown_campaign");
    let execute = format!("/api/v1/campaigns/secret/timers/{timer}/execute");
    other.post(&execute, &json!({})).await.problem(404, "unknown_campaign");
    assert!(other.all("/api/v1/campaigns").await.is_empty());
    assert!(other.all("/api/v1/timers").await.is_empty());
    other.create(Plan::later("secret").with("autoClose", json!(false)).body()).await;
    assert_eq!(acme.campaign("secret").await["autoClose"], true);
    assert_eq!(acme.campaign("secret").await["version"], 1);
    service.finish().await;
}

#[tokio::test]
async fn the_command_line_mints_a_token_that_works() {
    let service = service().await;
    let reserved = service.run("token", &["--tenant", "_service"]).await;
    assert_eq!((reserved.code, reserved.text.as_str()), (Some(2), ""), "{reserved:?}");
    let minted = service.run("token", &["--role", "operator"]).await;
    assert_eq!(minted.code, Some(0), "{minted:?}");
    let api = service.bearer(minted.text.trim());
    api.create(Plan::later("c").body()).await;
    api.event("e", "campaign.cancelled", &json!({"campaignId": "c"})).await.problem(403, "forbidden");
    service.finish().await;
}
