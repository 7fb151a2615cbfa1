//! A store and streams that somebody had a hand in: what is found beside running instances, by whoever asks and by the proof
//! that never ends, and what a repair mends while they go on.

use serde_json::{Value, json};
use testkit::{Plan, Service, until};

use crate::BINARY;

async fn served() -> Service {
    let settings = [("LIFECYCLE_VERIFICATION__EVERY", "1s"), ("LIFECYCLE_VERIFICATION__RECORDS_PER_SECOND", "1000")];
    let service = Service::start_on_servers(BINARY, &settings).await;
    for n in 0..30 {
        service.admin().create(Plan::later(&format!("c-{n:02}")).body()).await;
    }
    service
}

async fn all_is_told(service: &Service) {
    until("all is told", async || {
        let system = service.admin().get("/api/v1/system").await.expect(200);
        (system["head"] == system["published"]).then_some(())
    })
    .await;
}

/// What `/system` says of the proof that never ends, once it is `ok` or not as asked.
async fn until_verified(service: &Service, ok: bool) -> Value {
    until("the proof comes by", async || {
        let verification = service.admin().get("/api/v1/system").await.expect(200)["verification"].clone();
        let grounds = verification["grounds"].as_array()?;
        let all = grounds.len() == 3 && grounds.iter().all(|ground| ground["rounds"].as_u64() > Some(0));
        (all && verification["ok"] == json!(ok)).then_some(verification)
    })
    .await
}

fn invariants(report: &Value) -> Vec<(String, u64)> {
    let counts = report["invariants"].as_array().expect("counts").iter();
    let broken = counts.filter(|row| row["violations"] != json!(0));
    broken.map(|row| (row["id"].as_str().expect("an id").to_owned(), row["violations"].as_u64().unwrap_or(0))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_spoiled_is_found_told_and_mended_while_the_service_runs() {
    let mut service = served().await;
    all_is_told(&service).await;
    assert_eq!(service.verify().await.is_clean(), 30);
    let sound = until_verified(&service, true).await;
    assert!(sound["auditHead"]["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{sound:#}");

    let place = service.place();
    let of = |id: &str| format!("(SELECT number FROM campaigns WHERE id = '{id}')");
    place.psql(&format!("DELETE FROM timers WHERE campaign = {} AND kind = 'START_CAMPAIGN'", of("c-03")));
    place.psql(&format!("UPDATE timers SET fire_at = fire_at + interval '1 day' WHERE campaign = {}", of("c-05")));
    place.psql("UPDATE campaigns SET status = 'EXPIRED' WHERE id = 'c-07'");
    place.psql("UPDATE campaigns SET body = 'nonsense' WHERE id = 'c-09'");
    place.redis_command("XGROUP|CREATE", "lifecycle-events", &["reader", "$"]);
    let told = place.entry_ids("lifecycle-events");
    let (position, k) = told[told.len() / 2];
    place.redis_command("XDEL", "lifecycle-events", &[&format!("{position}-{k}")]);

    let broken = until_verified(&service, false).await;
    println!("{broken:#}");
    service.anonymous().get("/readyz").await.expect(200);
    let metrics = service.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("lifecycle_verification_violations{invariant=\"INV-3\"}"), "{metrics}");

    let found = service.verify().await;
    assert_eq!(found.code, Some(1), "{found:?}");
    let report = found.json();
    let ids: Vec<String> = invariants(&report).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["INV-1", "INV-3", "INV-6"], "{report:#}");
    assert!(report["violations"].as_array().is_some_and(|all| all.iter().all(|v| v["repairable"] == json!(true))));
    assert!(found.messages.contains("--repair"), "{}", found.messages);

    let repaired = service.run("verify", &["--repair", "--reason", "a hand slipped", "--output", "json"]).await;
    assert_eq!(repaired.is_clean(), 30);
    let mended = &repaired.json()["repaired"];
    assert_eq!(mended["campaigns"], json!(["default/c-03", "default/c-05", "default/c-07", "default/c-09"]));
    assert_eq!(mended["streams"], json!({ "lifecycle-events": position }));
    assert_eq!(place.entry_ids("lifecycle-events")[..told.len()], told, "the same entries at the same places");
    let group = place.redis_command("XINFO|GROUPS", "lifecycle-events", &[]);
    assert_eq!(group[0]["last-delivered-id"], json!(format!("{}-18446744073709551615", position - 1)), "{group:#}");
    let records = place.psql(
        "SELECT count(*), count(DISTINCT campaign) FROM journal \
         WHERE kind = 'notice' AND campaign IS NOT NULL AND data LIKE '%a hand slipped%'",
    );
    assert_eq!(records.trim(), "4|4");
    let of_stream = place.psql("SELECT count(*) FROM journal WHERE kind = 'notice' AND data LIKE '%stream.repaired%'");
    assert_eq!(of_stream.trim(), "1");

    let again = service.run("verify", &["--repair", "--output", "json"]).await;
    assert_eq!((again.is_clean(), &again.json()["repaired"]), (30, &Value::Null));
    until_verified(&service, true).await;
    assert_eq!(service.admin().campaign("c-07").await["status"], "CREATED");
    let (status, _) = service.stop().await;
    assert!(status.success());
    service.verify().await.is_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_mended_also_while_no_instance_runs() {
    let mut service = served().await;
    all_is_told(&service).await;
    let (status, _) = service.stop().await;
    assert!(status.success());
    let told = service.place().entry_ids("timer-events");
    let (position, k) = told[0];
    service.place().redis_command("XDEL", "timer-events", &[&format!("{position}-{k}")]);
    assert_eq!(service.verify().await.code, Some(1));
    let apart = service.run("verify", &["--without-streams", "--output", "json"]).await;
    assert_eq!((apart.is_clean(), &apart.json()["told"]), (30, &Value::Null));
    service.run("verify", &["--repair", "--output", "json"]).await.is_clean();
    assert_eq!(service.place().entry_ids("timer-events")[..told.len()], told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_a_record_cannot_be_mended_and_is_left_as_it_is() {
    let mut service = served().await;
    all_is_told(&service).await;
    let (status, _) = service.stop().await;
    assert!(status.success());
    let told = service.place().entry_ids("lifecycle-events");
    service.place().psql("DELETE FROM journal WHERE position = 20");
    service.place().psql("UPDATE campaigns SET owner = 'bob' WHERE id = 'c-07'");
    let tried = service.run("verify", &["--repair", "--output", "json"]).await;
    assert_eq!(tried.code, Some(1), "{tried:?}");
    assert!(tried.messages.contains("backup"), "{}", tried.messages);
    let report = tried.json();
    assert_eq!(report["chain"]["ok"], json!(false), "{report:#}");
    assert_eq!((&report["repairable"], &report["repaired"]), (&json!(0), &Value::Null), "{report:#}");
    assert_eq!(service.place().entry_ids("lifecycle-events"), told, "the stream may hold the last copy");
    let audit = service.run("audit", &["verify"]).await;
    assert_eq!(audit.code, Some(1), "{audit:?}");
}
