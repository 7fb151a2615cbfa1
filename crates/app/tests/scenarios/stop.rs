//! An orderly stop in the middle of everything, and the start after it.

use std::time::Duration;

use testkit::{Entry, Live, Plan, Role, Token};

use crate::service;

#[tokio::test]
async fn a_stop_under_load_loses_nothing_that_was_answered() {
    let mut service = service().await;
    let api = service.admin();
    let mut live = Live::open(&service, Entry::Header(&Token::of(&[Role::Admin]).mint())).await;
    live.subscribe("tenant", None).await;
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let api = api.clone();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for n in 0.. {
                    let id = format!("c-{client}-{n}");
                    let call = api.call("POST", "/api/v1/campaigns").json(Plan::quick(&id, 0.3, 1.0).body());
                    match call.try_send().await {
                        Ok(answer) if answer.status == 201 => answered.push(id),
                        Ok(answer) => drop(answer.problem(503, "stopping")),
                        Err(_) => return answered,
                    }
                }
                answered
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let (status, took) = service.stop().await;
    assert!(status.success(), "{status}:\n{}", service.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (code, reason) = live.end().await;
    assert_eq!(code, 1012, "{reason}");
    let mut answered = Vec::new();
    for client in clients {
        answered.extend(client.await.expect("no panic"));
    }
    assert!(answered.len() > 20, "{}", answered.len());
    service.verify().await.is_clean();
    service.launch().await;
    let api = service.admin();
    for id in &answered {
        api.until_status(id, "EXPIRED").await;
    }
    service.finish().await;
}
