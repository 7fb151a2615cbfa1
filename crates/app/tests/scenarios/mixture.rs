//! Everything at once: clients that do whatever comes to mind, producers that repeat themselves, a listener that comes
//! back, and a service that is killed meanwhile. In the end the live feed and the history tell the same story.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::lifecycle::is_allowed;
use domain::{Status, Trigger};
use serde_json::{Value, json};
use testkit::{Answer, Api, Entry, Heard, Live, PATIENCE, Plan, Role, Service, Token, in_seconds};

use crate::chance::Chance;
use crate::live::cursor;
use crate::service_with;

const CLIENTS: u64 = 10;
const KILLS: usize = 4;
const IDS: u64 = 60;

/// Refusals that are fine whatever happens.
const EXPECTED: &[u16] = &[200, 201, 202, 404, 409, 412, 422];

/// One client, until the service is gone.
async fn act(api: Api, mut chance: Chance) {
    loop {
        let id = format!("m-{}", chance.below(IDS));
        let Some(answer) = one_act(&api, &mut chance, &id).await else { return };
        assert!(EXPECTED.contains(&answer.status), "{answer:?}");
    }
}

async fn one_act(api: &Api, chance: &mut Chance, id: &str) -> Option<Answer> {
    let path = format!("/api/v1/campaigns/{id}");
    let send = async |method: &str, path: &str, body: Value| {
        let call = api.call(method, path).json(&body);
        call.try_send().await.ok()
    };
    let (starts_in, lasts) = (chance.seconds(0, 2), chance.seconds(1, 3));
    match chance.below(11) {
        0..3 => {
            let plan = Plan::quick(id, starts_in, lasts).with("ownerId", json!("ada"));
            let plan =
                plan.with("autoClose", json!(chance.below(4) > 0)).with("rewardsEnabled", json!(chance.below(4) > 0));
            send("POST", "/api/v1/campaigns", plan.body().clone()).await
        }
        3 => send("PATCH", &path, json!({"endTime": in_seconds(lasts), "reason": "a change of mind"})).await,
        4 => {
            send("PATCH", &path, json!({"startTime": in_seconds(starts_in), "metadata": {"n": chance.below(9)}})).await
        }
        5 => {
            let to = chance.pick(&Status::ALL).as_str();
            send("POST", &format!("{path}/status"), json!({"to": to})).await
        }
        6 => send("POST", &format!("{path}/cancel"), json!({})).await,
        7 => {
            let name = format!("r-{}", chance.below(3));
            send("POST", &format!("{path}/timers"), json!({"name": name, "at": in_seconds(starts_in)})).await
        }
        8 => {
            let timers = api.call("GET", &format!("{path}/timers")).try_send().await.ok()?.json();
            let timers = timers["items"].as_array().filter(|timers| !timers.is_empty()).cloned();
            let Some(timers) = timers else { return api.call("GET", "/api/v1/campaigns").try_send().await.ok() };
            let timer = format!("{path}/timers/{}", chance.pick(&timers)["timerId"].as_str().unwrap_or("none"));
            if chance.below(2) == 0 {
                send("DELETE", &timer, json!({})).await
            } else {
                send("POST", &format!("{timer}/execute"), json!({})).await
            }
        }
        9 => {
            let total = chance.below(50);
            let event = json!({
                "eventId": format!("metric-{id}-{total}"), "eventType": "campaign.metric.recorded",
                "data": {"campaignId": id, "engagements": total},
            });
            send("POST", "/api/v1/events", event).await
        }
        _ => {
            let event = json!({
                "eventId": format!("cancel-{id}"), "eventType": "campaign.cancelled", "data": {"campaignId": id},
            });
            send("POST", "/api/v1/events", event).await
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_feed_and_the_history_tell_the_same_story() {
    let mut service = service_with(&[("LIFECYCLE_EVENTS__RETRY_WINDOW", "1s")]).await;
    let mut chance = Chance::new();
    let mut frames = Vec::new();
    for kill in 0..=KILLS {
        let api = service.admin();
        let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(act(api.clone(), chance.split()))).collect();
        let time = Duration::from_millis(500 + chance.below(1_500));
        let _ = tokio::time::timeout(time, listen(&service, &mut frames, PATIENCE)).await;
        if kill < KILLS {
            service.kill().await;
            service.verify().await.is_clean();
            service.launch().await;
        } else {
            service.stop().await;
        }
        for client in clients {
            client.await.expect("no panic");
        }
    }
    service.verify().await.is_clean();
    service.launch().await;
    listen(&service, &mut frames, Duration::from_secs(5)).await;
    compare(&service.admin(), &frames).await;
    service.finish().await;
}

/// What is told of the journal, as against answers to what we ask.
fn is_news(frame: &Value) -> bool {
    !matches!(frame["event"].as_str(), Some("subscribed" | "recovered"))
}

/// Listens to the tenant from the last of `frames` on, until nothing comes for `quiet`; what was heard is kept also when
/// this is cut short.
async fn listen(service: &Service, frames: &mut Vec<Value>, quiet: Duration) {
    let token = Token::of(&[Role::Admin]).mint();
    let mut live = Live::open(service, Entry::Header(&token)).await;
    // From the very beginning at first.
    let since = frames.last().map_or(json!("0-0"), |frame| frame["cursor"].clone());
    live.say(&json!({"action": "subscribe", "channel": "tenant", "since": since, "id": 1})).await;
    while let Heard::Frame(frame) = live.hear(quiet).await {
        assert!(frame["event"] != "error", "{frame}");
        assert!(frame["data"]["recovered"] != false, "{frame}");
        if is_news(&frame) {
            frames.push(frame);
        }
    }
}

async fn compare(api: &Api, frames: &[Value]) {
    let cursors: Vec<(u64, u64)> = frames.iter().map(cursor).collect();
    if let Some(pair) = cursors.windows(2).find(|pair| pair[0] >= pair[1]) {
        panic!("out of order or twice: {pair:?}");
    }
    let mut told: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for frame in frames.iter().filter(|f| f["event"] == "campaign.status.updated") {
        let text = |field: &str| frame["data"][field].as_str().unwrap_or_default().to_owned();
        told.entry(text("campaignId")).or_default().push((cursor(frame).0, text("toStatus")));
    }
    let campaigns = api.all("/api/v1/campaigns").await;
    assert!(campaigns.len() > 10, "only {} campaigns", campaigns.len());
    let mut moves = BTreeSet::new();
    for campaign in &campaigns {
        let id = campaign["campaignId"].as_str().expect("an id");
        let transitions = api.transitions(id).await;
        let history: Vec<(u64, String)> = transitions
            .iter()
            .map(|t| {
                (t["position"].as_u64().expect("a position"), t["toStatus"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        assert_eq!(told.get(id), Some(&history), "{id}");
        for transition in &transitions {
            let status = |field: &str| transition[field].as_str().map(|text| text.parse::<Status>().expect("a status"));
            let trigger: Trigger = transition["trigger"].as_str().unwrap_or_default().parse().expect("a trigger");
            let (from, to) = (status("fromStatus"), status("toStatus").expect("somewhere"));
            assert!(is_allowed(from, to, trigger), "{id}: {transition}");
            moves.insert((from, to, trigger));
        }
    }
    assert_eq!(told.len(), campaigns.len());
    assert!(moves.len() > 6, "too little happened: {moves:?}");
}
