//! Bodies that are too large, too deep, or not what they should be: each gets its answer, and nothing is stored.

use std::sync::Arc;

use lifecycle_adapters_http::{Api, Input, MAX_BATCH_BODY, MAX_BODY, Operation};
use serde_json::{Value, json};

use crate::campaigns::definition;
use crate::client::{SERVICE, ask, ask_as};
use crate::world::World;

async fn nothing_is_stored(api: &Arc<Api>) {
    assert_eq!(ask(api, "GET /api/v1/campaigns").send().await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn what_is_not_json_is_400_with_its_place() {
    let api = World::new().api();
    for text in ["", "{", "nonsense", "{\"campaignId\":\"a\",}", "{} {}", "\u{feff}{}"] {
        let problem = ask(&api, "POST /api/v1/campaigns").text(text).send().await.problem(400, "malformed_json");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("line 1 column")), "{text}: {problem}");
    }
    nothing_is_stored(&api).await;
}

#[tokio::test]
async fn deep_json_is_400() {
    let api = World::new().api();
    for levels in [33, 200, 100_000] {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        ask(&api, "POST /api/v1/campaigns").text(&text).send().await.problem(400, "too_deep");
    }
    nothing_is_stored(&api).await;
}

#[tokio::test]
async fn invalid_utf8_is_400() {
    let api = World::new().api();
    let body = b"{\"campaignId\":\"\xff\"}";
    let ask = ask(&api, "POST /api/v1/campaigns").header("content-type", "application/json").bytes(body);
    ask.send().await.problem(400, "invalid_utf8");
    nothing_is_stored(&api).await;
}

#[tokio::test]
async fn a_wrong_field_is_422_and_the_problem_points_at_it() {
    let api = World::new().api();
    let with = |name: &str, value: Value| {
        let mut campaign = definition("a");
        campaign[name] = value;
        campaign
    };
    let cases = [
        (json!({}), "/campaignId"),
        (json!([]), ""),
        (with("campaignId", json!("a b")), "/campaignId"),
        (with("startTime", json!("tomorrow")), "/startTime"),
        (with("autoClose", json!("yes")), "/autoClose"),
        (with("metadata", json!([])), "/metadata"),
        (with("policy", json!({ "closedExpirySeconds": -1 })), "/policy/closedExpirySeconds"),
        (with("tenant", json!("rival")), "/tenant"),
        (with("version", json!(7)), "/version"),
    ];
    for (campaign, pointer) in cases {
        let problem = ask(&api, "POST /api/v1/campaigns").json(&campaign).send().await.problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert!(problem["errors"][0]["detail"].is_string());
    }
    nothing_is_stored(&api).await;
}

#[tokio::test]
async fn a_body_may_be_as_large_as_it_may_and_not_larger() {
    let api = World::new().api();
    for (path, max) in [("/api/v1/campaigns", MAX_BODY), ("/api/v1/campaigns/batch", MAX_BATCH_BODY)] {
        let fits = format!("\"{}\"", "x".repeat(max - 2));
        ask(&api, &format!("POST {path}")).text(&fits).send().await.problem(422, "invalid_field");
        let over = format!("\"{}\"", "x".repeat(max - 1));
        ask(&api, &format!("POST {path}")).text(&over).send().await.problem(413, "body_too_large");
        let announced = ask(&api, &format!("POST {path}")).text("{}").header("content-length", "99999999999");
        announced.send().await.problem(413, "body_too_large");
    }
    nothing_is_stored(&api).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408() {
    let api = World::new().api();
    let never = http_body_util::StreamBody::new(futures_util::stream::pending());
    let ask = ask(&api, "POST /api/v1/campaigns").header("content-type", "application/json");
    ask.send_body(never).await.problem(408, "body_too_slow");
}

#[tokio::test]
async fn another_content_type_is_415() {
    let api = World::new().api();
    for operation in Operation::ALL.iter().filter(|o| o.spec().input != Input::None) {
        let spec = operation.spec();
        let path = spec.path.replace(['{', '}'], "");
        let token = if *operation == Operation::AppendEvent { SERVICE } else { "acme/operator" };
        let bare = || ask_as(&api, token, &format!("{} {path}", spec.method));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            bare().header("content-type", kind).bytes(b"{}").send().await.problem(415, "unsupported_media_type");
        }
        bare().text("{}").header("content-encoding", "gzip").send().await.problem(415, "unsupported_media_type");
        if spec.input == Input::Optional {
            assert_ne!(bare().send().await.status.as_u16(), 415, "{path}");
            let typed = bare().header("content-type", "application/octet-stream").header("content-length", "0");
            assert_ne!(typed.send().await.status.as_u16(), 415, "a type of nothing: {path}");
        } else {
            bare().send().await.problem(415, "unsupported_media_type");
        }
        let charset = bare().header("content-type", "Application/JSON; charset=utf-8").bytes(b"{}").send().await;
        assert_ne!(charset.status.as_u16(), 415, "{path}");
    }
}

#[tokio::test]
async fn an_event_is_appended_for_the_tenant_of_the_token() {
    let world = World::new();
    let api = world.api();
    let event = json!({
        "eventId": "e-1",
        "eventType": "campaign.cancelled",
        "data": { "campaignId": "a" },
        "source": "main-api",
    });
    let receipt = ask_as(&api, SERVICE, "POST /api/v1/events").json(&event).send().await.ok(202);
    assert_eq!(receipt, json!({ "entryId": "7" }));
    let entries = world.entries.lock().expect("no panic").clone();
    let decoded = wire::inbound::decode(&entries[0]).expect("an event that can be read");
    assert_eq!((decoded.key.to_string().as_str(), decoded.id.as_str()), ("acme/a", "e-1"));
    assert_eq!(decoded.source, "main-api");
    let mut foreign = event.clone();
    foreign["tenant"] = json!("rival");
    ask_as(&api, SERVICE, "POST /api/v1/events").json(&foreign).send().await.problem(422, "invalid_field");
    assert_eq!(world.entries.lock().expect("no panic").len(), 1);
}
