//! Every instance is restarted, one after the other, behind nginx: not one failed request, not one event missed.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::{Api, Entry, Heard, Live, Nginx, Plan, Role, Token};

use crate::fleet::Fleet;

/// Creates and reads, one call after the other, until told to stop; answers the campaigns that were created.
async fn call(api: Api, who: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut created = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let id = format!("r-{who}-{:04}", created.len());
        let answer = api.call("POST", "/api/v1/campaigns").header("idempotency-key", &id);
        let answer = answer.json(Plan::later(&id).body()).send().await;
        // Asked twice by the proxy, it is answered as the first time.
        assert!(matches!(answer.status, 200 | 201), "{id}: {} {}", answer.status, answer.text);
        api.get(&format!("/api/v1/campaigns/{id}")).await.expect(200);
        created.push(id);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    created
}

/// Listens until told to stop and all `expected` were seen; answers the campaigns it heard of, and how often it had to
/// connect again.
async fn listen(address: SocketAddr, stop: Arc<AtomicBool>) -> (BTreeSet<String>, u32) {
    let token = Token::of(&[Role::Admin]).mint();
    let (mut seen, mut cursors, mut connected) = (BTreeSet::new(), HashSet::new(), 0);
    let mut cursor: Option<String> = None;
    loop {
        let Ok(mut live) = Live::try_open_at(address, Entry::Header(&token), None).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        connected += 1;
        let mut subscribe = serde_json::json!({ "action": "subscribe", "channel": "tenant", "id": 1 });
        if let Some(cursor) = &cursor {
            subscribe["since"] = serde_json::json!(cursor);
        }
        live.say(&subscribe).await;
        loop {
            match live.hear(Duration::from_millis(500)).await {
                Heard::Frame(frame) => {
                    let lost = frame["event"] == "recovered" && frame["data"]["recovered"] == false;
                    assert!(!lost, "something was missed: {frame}");
                    let Some(at) = frame["cursor"].as_str() else { continue };
                    if let Some(campaign) = frame["data"]["campaignId"].as_str() {
                        let told = format!("{at} {} {}", frame["event"], frame["data"]);
                        assert!(cursors.insert(told), "heard twice: {frame}");
                        seen.insert(campaign.to_owned());
                    }
                    cursor = Some(at.to_owned());
                }
                Heard::Closed(..) => break,
                Heard::Silence if stop.load(Ordering::Relaxed) => return (seen, connected),
                Heard::Silence => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_nginx_costs_no_request_and_no_event() {
    let mut fleet = Fleet::start(3).await;
    for instance in &mut fleet.instances {
        instance.stay();
    }
    let addresses: Vec<SocketAddr> = fleet.instances.iter().map(testkit::Service::address).collect();
    let nginx = Nginx::start(&addresses).await;
    let stop = Arc::new(AtomicBool::new(false));
    let through = fleet.instances[0].admin_through(nginx.address());
    let listeners: Vec<_> = (0..5).map(|_| tokio::spawn(listen(nginx.address(), Arc::clone(&stop)))).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let callers: Vec<_> = (0..4).map(|who| tokio::spawn(call(through.clone(), who, Arc::clone(&stop)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for instance in &mut fleet.instances {
        let (status, took) = instance.stop().await;
        assert!(status.success() && took < Duration::from_secs(10), "{status} after {took:?}");
        instance.launch().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut created = BTreeSet::new();
    for caller in callers {
        created.extend(caller.await.unwrap_or_else(|error| panic!("{error}\n{}", nginx.log())));
    }
    assert!(created.len() > 100, "only {} calls", created.len());
    let mut reconnects = 0;
    for listener in listeners {
        let (seen, connected) = listener.await.expect("no listener fails");
        reconnects += connected - 1;
        let missed: Vec<_> = created.difference(&seen).collect();
        assert!(missed.is_empty(), "missed: {missed:?}");
    }
    assert!(reconnects >= 5, "only {reconnects} connections were cut: nothing was tested");
    println!("{} campaigns, {reconnects} reconnects", created.len());
    drop(nginx);
    fleet.finish().await;
}
