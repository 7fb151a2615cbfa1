//! Bodies, paths and parameters that make no sense: each gets its documented answer, nothing is stored.

use serde_json::{Value, json};
use testkit::{Answer, Api, Plan};

use crate::service;

async fn send(api: &Api, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    api.call("POST", "/api/v1/campaigns").body(content_type, body.into()).send().await
}

#[tokio::test]
async fn bodies_that_are_no_campaign_are_refused_and_nothing_is_stored() {
    let service = service().await;
    let api = service.admin();
    let json = "application/json";
    let good = Plan::later("c").body().to_string();
    for text in ["", "{", "{\"campaignId\":", "nonsense", "{'campaignId':'c'}", "{}{}", "[1,", "\u{feff}{}", "NaN"] {
        send(&api, json, text).await.problem(400, "malformed_json");
    }
    for text in ["null", "[]", "42", "\"text\"", "{}", "true"] {
        send(&api, json, text).await.problem(422, "invalid_field");
    }
    for (field, value) in [
        ("campaignId", json!({})),
        ("campaignId", json!(1.5)),
        ("campaignId", Value::Null),
        ("startTime", json!(1_795_420_800)),
        ("endTime", json!(true)),
        ("autoClose", json!("yes")),
        ("durationHours", json!(-1)),
        ("durationHours", json!(1e30)),
        ("targetEngagements", json!("many")),
        ("policy", json!([])),
        ("policy", json!({"rewardClaimSeconds": "long"})),
    ] {
        let body = Plan::later("c").with(field, value.clone()).body().to_string();
        let problem = send(&api, json, body).await.problem(422, "invalid_field");
        let pointer = problem["errors"][0].to_string();
        assert!(pointer.contains(field), "{field} = {value}: {problem}");
    }
    let deep = format!(r#"{{"campaignId":"c","metadata":{}1{}}}"#, r#"{"a":"#.repeat(200), "}".repeat(200));
    send(&api, json, deep).await.problem(400, "too_deep");
    send(&api, json, format!("{}{}", "[".repeat(200), "]".repeat(200))).await.problem(400, "too_deep");
    send(&api, json, b"{\"campaignId\":\"\xff\xfe\"}".to_vec()).await.problem(400, "invalid_utf8");
    send(&api, json, b"{\"campaignId\":\"c\",\"metadata\":{\"a\":\"\xc3\x28\"}}".to_vec())
        .await
        .problem(400, "invalid_utf8");
    send(&api, json, vec![b' '; 10 * 1024 * 1024]).await.problem(413, "body_too_large");
    let huge = format!(r#"{{"campaignId":"c","metadata":{{"a":"{}"}}}}"#, "x".repeat(10 * 1024 * 1024));
    send(&api, json, huge).await.problem(413, "body_too_large");
    for kind in ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""] {
        send(&api, kind, good.clone()).await.problem(415, "unsupported_media_type");
    }
    let packed = api.call("POST", "/api/v1/campaigns").header("content-encoding", "gzip").body(json, good.clone());
    packed.send().await.problem(415, "unsupported_media_type");
    send(&api, json, good.replacen('{', "{\"campaignId\":\"d\",", 1)).await.problem(422, "invalid_field");

    assert_eq!(api.all("/api/v1/campaigns").await, Vec::<Value>::new());
    service.anonymous().get("/readyz").await.expect(200);
    send(&api, "application/json; charset=utf-8", good).await.expect(201);
    service.finish().await;
}

#[tokio::test]
async fn paths_methods_and_parameters_that_are_not_there_are_refused() {
    let service = service().await;
    let api = service.admin();
    for path in ["/nothing", "/api/v1", "/api/v2/campaigns", "/api/v1/campaigns/", "/api/v1/campaigns/c/x", "//"] {
        api.get(path).await.problem(404, "not_found");
    }
    let answer = api.call("DELETE", "/api/v1/campaigns").send().await;
    answer.problem(405, "method_not_allowed");
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "cursor=nonsense",
        "cursor=",
        "status=DONE",
        "status=",
        "owner=a%20b",
        "from=yesterday",
        "unheard=of",
        "limit=5&limit=6",
        "q=%ff",
        "cursor=%00",
    ] {
        api.get(&format!("/api/v1/campaigns?{query}")).await.problem(400, "invalid_parameter");
    }
    for query in ["state=late", "cursor=nonsense"] {
        api.get(&format!("/api/v1/timers?{query}")).await.problem(400, "invalid_parameter");
    }
    for query in [
        "bucket=0",
        "bucket=fortnight",
        "from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z",
        "bucket=1&to=2027-11-01T00:00:00Z",
    ] {
        api.get(&format!("/api/v1/forecast?{query}")).await.problem(400, "invalid_parameter");
    }
    api.get("/api/v1/campaigns/%ff%fe").await.problem(404, "unknown_campaign");
    api.get("/api/v1/campaigns/..%2f..%2fetc").await.problem(404, "unknown_campaign");
    api.get("/api/v1/dlq/nonsense").await.problem(404, "unknown_letter");
    let long = format!("/api/v1/campaigns/{}", "x".repeat(5_000));
    api.get(&long).await.problem(404, "unknown_campaign");
    service.finish().await;
}

#[tokio::test]
async fn an_unknown_setting_is_an_error_that_names_it() {
    let service = service().await;
    for (name, value, expected) in [
        ("LIFECYCLE_HTTP__LISTN", "127.0.0.1:0", "listn"),
        ("LIFECYCLE_HTTP__LISTEN", "everywhere", "listen"),
        ("LIFECYCLE_TIMERS__BATCH", "0", "batch"),
        ("LIFECYCLE_AUTH__HS256_SECRET", "short", "hs256_secret"),
        ("LIFECYCLE_AUTH__MODE", "maybe", "mode"),
    ] {
        let mut command = service.command("serve");
        command.env(name, value).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output =
            tokio::time::timeout(testkit::PATIENCE, command.output()).await.expect("it ends").expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(!output.status.success(), "{name}={value}");
        assert!(text.contains(expected), "{name}={value}: {text}");
    }
    service.finish().await;
}
