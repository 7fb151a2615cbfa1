//! Without authentication: one person on one machine does everything without a token, and no web page does anything.

use serde_json::json;
use testkit::{Entry, Live, Plan};

use crate::service_with;

#[tokio::test]
async fn without_authentication_no_token_is_needed_and_pages_of_others_are_refused() {
    let service = service_with(&[("LIFECYCLE_AUTH__MODE", "off")]).await;
    assert!(service.log().contains("auth.mode is off"), "{}", service.log());
    let api = service.anonymous();
    let mut live = Live::open(&service, Entry::Nothing).await;
    assert_eq!(live.subscribe("tenant", None).await["event"], "subscribed");
    api.create(Plan::later("c").body()).await;
    live.until(|f| f["data"]["campaignId"] == "c").await;

    let cancel = "/api/v1/campaigns/c/cancel";
    let own = format!("http://{}", service.address());
    for (name, value) in [("origin", "http://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        api.call("POST", cancel).header(name, value).send().await.problem(403, "origin_not_allowed");
    }
    let rebound = api.call("POST", cancel).header("host", "evil.example").header("origin", "http://evil.example");
    rebound.send().await.problem(403, "origin_not_allowed");
    api.call("GET", "/ws").header("host", "evil.example").send().await.problem(403, "origin_not_allowed");
    assert_eq!(api.campaign("c").await["status"], "CREATED");
    let allowed = api.call("POST", cancel).header("origin", &own).send().await;
    assert_eq!(allowed.expect(200)["status"], json!("CANCELLED"));
    service.finish().await;
}
