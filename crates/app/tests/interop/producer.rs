//! Twenty thousand events of a Node.js producer: every campaign ends as the producer expects, nothing is applied twice,
//! what cannot be read is at the dead-letter desk, and other services read the whole story.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Api, PATIENCE, Role, Service, Token, millis_of, until};

use crate::node::{self, Talk, bus, of_type, summary};
use crate::service;

/// Another seed is another run; a failing one is repeated with this.
const SEED: &str = "7";
const ENTRIES: &str = "20000";
const TENANTS: [&str; 2] = ["default", "acme"];

#[tokio::test]
async fn every_campaign_of_a_node_producer_ends_as_it_expects() {
    let service = service().await;
    let told = run("producer.mjs", &service, &["--seed", SEED, "--entries", ENTRIES]).await;
    everything_is_as_expected(&service, &told).await;
    let api = service.admin();
    until("everything is published", async || {
        let system = api.get("/api/v1/system").await.expect(200);
        (system["published"] == system["head"]).then_some(())
    })
    .await;
    another_service_reads_the_whole_story(&service, summary(&told), &of_type(&told, "campaign")).await;
    entries_are_as_documented(&service).await;
    service.finish().await;
}

#[tokio::test]
async fn a_service_that_is_killed_again_and_again_makes_the_same_of_a_node_producers_events() {
    let mut service = service().await;
    let bus = bus(service.place());
    let entries = 6_000;
    let count = entries.to_string();
    let arguments = ["--seed", SEED, "--entries", &count, "--batch", "20", "--pause", "20"];
    let arguments: Vec<&str> = bus.iter().map(String::as_str).chain(arguments).collect();
    let mut producer = Talk::start("producer.mjs", &arguments, &[]);
    for _ in 0..3 {
        some_more_is_read(&service, entries).await;
        service.kill().await;
        service.launch().await;
    }
    producer.hang_up();
    let told = producer.end().await;
    everything_is_as_expected(&service, &told).await;
    service.finish().await;
}

async fn everything_is_as_expected(service: &Service, told: &[Value]) {
    all_is_read(service).await;
    for tenant in TENANTS {
        let api = service.caller(&Token::of(&[Role::Admin]).tenant(tenant));
        let of_tenant = |kind| of_type(told, kind).into_iter().filter(|line| line["tenant"] == tenant).collect();
        campaigns_are_as_expected(&api, of_tenant("campaign")).await;
        letters_are_as_expected(&api, of_tenant("letter")).await;
    }
    mirrored_letters_are_complete(service, &of_type(told, "letter"));
}

async fn run(program: &str, service: &Service, arguments: &[&str]) -> Vec<Value> {
    let bus = bus(service.place());
    let arguments: Vec<&str> = bus.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    node::run(program, &arguments, &[]).await
}

/// The service's consumer group.
fn group(service: &Service) -> Value {
    let groups = service.place().redis_command("XINFO|GROUPS", "campaign-events", &[]);
    let group = groups.as_array().expect("groups").iter().find(|group| group["name"] == "lifecycle-service");
    group.unwrap_or_else(|| panic!("the service has no group: {groups}")).clone()
}

/// Waits for the middle of things: something more of `entries` is read, or nothing is left.
async fn some_more_is_read(service: &Service, entries: u64) {
    let before = group(service)["entries-read"].clone();
    until("more entries are read", async || {
        let now = group(service);
        let all_are_there = service.place().redis_command("XLEN", "campaign-events", &[]) == entries;
        (now["entries-read"] != before || (all_are_there && now["lag"] == 0)).then_some(())
    })
    .await;
}

/// Waits until every entry is acknowledged, for as long as there is progress.
async fn all_is_read(service: &Service) {
    let mut before = (Value::Null, Instant::now());
    loop {
        let group = group(service);
        if group["lag"] == 0 && group["pending"] == 0 {
            break;
        }
        let now = json!([group["last-delivered-id"], group["pending"]]);
        if now != before.0 {
            before = (now, Instant::now());
        }
        assert!(before.1.elapsed() < PATIENCE * 3, "no progress: {group}\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pending = service.place().redis_command("XPENDING", "campaign-events", &["lifecycle-service"]);
    assert_eq!(pending[0], 0, "{pending}");
}

async fn campaigns_are_as_expected(api: &Api, expected: Vec<&Value>) {
    let campaigns = api.all("/api/v1/campaigns?limit=200").await;
    let mut found: BTreeMap<&str, &Value> =
        campaigns.iter().map(|campaign| (campaign["campaignId"].as_str().expect("an id"), campaign)).collect();
    assert_eq!(found.len(), campaigns.len(), "a campaign is listed twice");
    let mut wrong = Vec::new();
    for expected in &expected {
        let found = found.remove(expected["campaignId"].as_str().expect("an id"));
        if found.map(essence) != Some(essence(expected)) {
            wrong.push(format!("expected {expected}\n   found {}", found.unwrap_or(&Value::Null)));
        }
    }
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} campaigns are wrong:\n{shown}", wrong.len(), expected.len());
    assert!(found.is_empty(), "nobody told of {:?}", found.keys());
    let one = expected.last().expect("some");
    let alone = api.campaign(one["campaignId"].as_str().expect("an id")).await;
    assert_eq!(essence(&alone), essence(one));
}

/// What a producer knows of a campaign. The version counts what was applied: nothing was lost, and nothing came twice.
fn essence(campaign: &Value) -> Value {
    let kept = ["status", "version", "autoClose", "rewardsEnabled", "ownerId", "metadata"];
    let kept: Vec<&Value> = kept.iter().map(|name| &campaign[*name]).collect();
    json!([kept, millis_of(&campaign["startTime"]), millis_of(&campaign["endTime"])])
}

async fn letters_are_as_expected(api: &Api, expected: Vec<&Value>) {
    let letters = api.all("/api/v1/dlq?state=open&limit=200").await;
    let codes = |letters: &mut dyn Iterator<Item = &Value>| -> BTreeMap<String, String> {
        letters.map(|letter| (text(&letter["origin"]), text(&letter["code"]))).collect()
    };
    let (found, wanted) = (codes(&mut letters.iter()), codes(&mut expected.iter().copied()));
    let kinds: BTreeMap<String, &Value> = expected.iter().map(|l| (text(&l["origin"]), &l["kind"])).collect();
    for (origin, code) in &wanted {
        assert_eq!(found.get(origin), Some(code), "{} {origin}", kinds[origin]);
    }
    for letter in &letters {
        assert!(wanted.contains_key(&text(&letter["origin"])), "nobody expects {letter:#}");
        assert!(!text(&letter["error"]).is_empty(), "a letter tells why: {letter:#}");
    }
    assert_eq!(letters.len(), wanted.len(), "no entry has two letters");
}

fn mirrored_letters_are_complete(service: &Service, expected: &[&Value]) {
    let entries = service.place().redis_command("XRANGE", "campaign-events:dlq", &["-", "+"]);
    let mirrored = entries.as_array().expect("entries").iter().map(|entry| {
        let fields: Vec<String> = entry[1].as_array().expect("fields").iter().map(text).collect();
        let field = |name: &str| {
            let at = fields.chunks(2).find(|pair| pair[0] == name);
            at.unwrap_or_else(|| panic!("no {name}: {fields:?}"))[1].clone()
        };
        (field("originalId"), field("code"))
    });
    let mirrored: BTreeMap<String, String> = mirrored.collect();
    let expected: BTreeMap<String, String> = expected.iter().map(|l| (text(&l["origin"]), text(&l["code"]))).collect();
    assert_eq!(mirrored, expected);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn another_service_reads_the_whole_story(service: &Service, counts: &Value, campaigns: &[&Value]) {
    let first = run("reader.mjs", service, &["--count", "5000"]).await;
    let rest = run("reader.mjs", service, &["--consumer", "billing-2"]).await;
    let whole = run("reader.mjs", service, &["--group", "another"]).await;
    let (first, rest, whole) = (summary(&first), summary(&rest), summary(&whole));
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    assert_eq!(
        number(&first["entries"]) + number(&rest["entries"]),
        number(&whole["entries"]),
        "each entry is read once"
    );
    for name in ["notAscending", "malformed", "sequenceGaps"] {
        assert_eq!(whole[name], json!([]), "{name}");
    }
    for name in ["repeats", "joined", "pending"] {
        assert_eq!(whole[name], 0, "{name}: {whole}");
    }
    assert_eq!(whole["campaigns"], counts["campaigns"]);
    assert_eq!(whole["byType"]["campaign.initialized"], counts["campaigns"]);
    assert_eq!(whole["rejected"], counts["refused"]);
    let versions: u64 = campaigns.iter().map(|campaign| number(&campaign["version"])).sum();
    let refused: u64 = counts["refused"].as_object().expect("counts").values().map(number).sum();
    assert_eq!(number(&whole["entries"]), versions + refused, "an event for every change and every refusal: {whole}");
}

async fn entries_are_as_documented(service: &Service) {
    let document = service.run("asyncapi", &[]).await;
    let file = service.folder().join("asyncapi.json");
    std::fs::write(&file, &document.text).expect("it can be written");
    let told = run("conformance.mjs", service, &["--document", file.to_str().expect("a path")]).await;
    let summary = summary(&told);
    assert_eq!(summary["wrong"], json!([]), "{summary:#}");
    for channel in ["lifecycleEvents", "timerEvents", "notificationEvents", "systemEvents", "deadLetters"] {
        assert!(summary["checked"][channel].as_u64().is_some_and(|count| count > 0), "{channel}: {summary}");
    }
}
