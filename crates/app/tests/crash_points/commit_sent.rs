//! `kill -9` while PostgreSQL works on a COMMIT: the one step at which nobody can know how it ends. There is no point in the
//! program for it; a trigger that runs at the commit holds it up instead.

use testkit::{Answer, Api, Plan, until};

use crate::found::Found;
use crate::rig::{Rig, Wiring};

const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql \
    AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'; \
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()";

const COMMITTING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
    AND query LIKE '%COMMIT%' AND wait_event = 'PgSleep'";

/// Every session but the one that asks.
const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_sent_stands_though_its_sender_is_dead_and_the_repetition_tells_so() {
    let mut rig = Rig::start(Wiring::Servers).await;
    rig.service.place().psql(SLOW);
    let api = rig.api();
    let plan = Plan::later("spring");
    let sent = plan.clone();
    let sending = tokio::spawn(async move { create(&api, &sent).await.is_none() });
    let place = std::sync::Arc::clone(rig.service.place());
    let (count, others) = (|| place.psql(COMMITTING).trim().to_owned(), || place.psql(OTHERS).trim().to_owned());
    until("it is committing", async || (count() == "1").then_some(())).await;
    rig.service.kill().await;
    assert!(sending.await.expect("it ends"), "it was answered");
    rig.found("spring").await.is(Found::NOTHING, "the kill");
    until("the server is done with it", async || (others() == "0").then_some(())).await;
    let created = Found { log: 1, answers: Some(1), timers: 2, ..Found::NOTHING };
    rig.found("spring").await.is(created, "the commit");
    rig.service.place().psql("DROP TRIGGER slow ON inbox");
    rig.launch().await;
    let again = create(&rig.api(), &plan).await.expect("it runs");
    again.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(rig.api().path_of("spring").await, ["CREATED"]);
    rig.finish().await;
}

async fn create(api: &Api, plan: &Plan) -> Option<Answer> {
    let call = api.call("POST", "/api/v1/campaigns").header("idempotency-key", "spring");
    call.json(plan.body()).try_send().await.ok()
}
