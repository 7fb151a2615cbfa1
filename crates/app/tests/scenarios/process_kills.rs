//! `kill -9` of a service on its own file, at 20 random instants under load. What callers were told stands in a journal of
//! theirs; after each kill SQLite's own check and `verify` find nothing wrong with the file as it was left, and after each
//! start every command that was answered gets the same answer again. The power cuts are the store's own
//! (`crates/adapters-embedded/tests/power_cuts.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use testkit::{Answer, Api, PATIENCE, Plan, Service};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::service;

const KILLS: u32 = 20;
const CALLERS: usize = 4;
const LIFE: [&str; 5] = ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"];

/// What callers sent and were told, outside of what is killed; by id, which is the key as well.
#[derive(Default)]
struct Journal(Mutex<BTreeMap<String, Sent>>);

#[derive(Clone)]
struct Sent {
    body: Value,
    answer: Option<Answer>,
}

impl Journal {
    /// The next create: written down before it is sent.
    fn invent(&self, chance: &mut Chance) -> (String, Value) {
        let mut all = self.0.lock().expect("nobody panicked");
        let id = format!("k-{:05}", all.len());
        let plan = Plan::quick(&id, chance.seconds(1, 4), chance.seconds(6, 8));
        let waits = ["createdExpirySeconds", "runningExpirySeconds", "closedExpirySeconds"];
        // However long it is down, only the claim ends a life, and a start comes before the end.
        let plan = waits.into_iter().fold(plan, |plan, wait| plan.policy(wait, json!(3_600)));
        let body = plan.body().clone();
        all.insert(id.clone(), Sent { body: body.clone(), answer: None });
        (id, body)
    }

    fn answered(&self, id: &str, answer: Answer) {
        let mut all = self.0.lock().expect("nobody panicked");
        all.get_mut(id).expect("it was sent").answer = Some(answer);
    }

    fn all(&self) -> BTreeMap<String, Sent> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

async fn create(api: &Api, id: &str, body: &Value) -> Option<Answer> {
    let call = api.call("POST", "/api/v1/campaigns").header("idempotency-key", id);
    call.json(body).try_send().await.ok()
}

/// Creates until the service is gone.
async fn call(api: Api, journal: Arc<Journal>, mut chance: Chance) {
    loop {
        let (id, body) = journal.invent(&mut chance);
        let Some(answer) = create(&api, &id, &body).await else { return };
        answer.expect(201);
        journal.answered(&id, answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_process_is_killed_at_any_instant_is_whole_and_holds_what_was_answered() {
    let mut service = service().await;
    let (mut chance, journal) = (Chance::new(), Arc::new(Journal::default()));
    let mut met = 0;
    for kill in 0..KILLS {
        let before = journal.all().len();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(call(service.admin(), Arc::clone(&journal), chance.split()));
        }
        tokio::time::sleep(Duration::from_millis(20 + chance.below(280))).await;
        service.kill().await;
        callers.join_all().await;
        check_image(&service);
        let known = service.verify().await.is_clean();
        let sent = journal.all();
        let answered = sent.values().filter(|sent| sent.answer.is_some()).count();
        assert!(known >= answered as u64, "kill {kill}: {known} of {answered} that were answered are there");
        service.launch().await;
        met += settle(&service.admin(), &journal, before).await;
    }
    let all = journal.all();
    println!("{} creates, {met} of them unanswered at a kill", all.len());
    assert!(met > 0, "no kill met a create: nothing was tested");
    check_lives(&service.admin(), &all).await;
    service.finish().await;
}

/// Sends everything since the `from`th once more: what was answered is told the same, what was not is told now. Answers how
/// many were not.
async fn settle(api: &Api, journal: &Journal, from: usize) -> usize {
    let mut unanswered = 0;
    for (id, Sent { body, answer }) in journal.all().into_iter().skip(from) {
        let again = create(api, &id, &body).await.expect("nobody kills it now");
        again.expect(201);
        if let Some(first) = answer {
            assert_eq!((first.status, &first.text), (again.status, &again.text), "{id}");
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{id} was done again");
        } else {
            unanswered += 1;
            journal.answered(&id, again);
        }
    }
    unanswered
}

/// SQLite's own check of the files as the kill left them: of a copy, since looking moves the log into the database.
fn check_image(service: &Service) {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), service.folder().join("data"));
    for file in ["lifecycle.db", "lifecycle.db-wal"] {
        if data.join(file).exists() {
            std::fs::copy(data.join(file), folder.path().join(file)).expect("copying");
        }
    }
    assert_eq!(integrity(&folder.path().join("lifecycle.db")), ["ok"]);
}

fn integrity(database: &Path) -> Vec<String> {
    let mut connection = SqliteConnection::establish(database.to_str().expect("UTF-8")).expect("it opens");
    let check = diesel::select(sql::<Text>("integrity_check FROM pragma_integrity_check"));
    check.load(&mut connection).expect("it can be checked")
}

/// Each lives its life once, and there is nobody else.
async fn check_lives(api: &Api, all: &BTreeMap<String, Sent>) {
    let latest = Instant::now() + PATIENCE;
    loop {
        let open = api.get("/api/v1/campaigns?status=CREATED,RUNNING,CLOSED,REWARD_CLAIM&limit=1").await.expect(200);
        if open["items"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(Instant::now() < latest, "these go on for ever: {open}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut there: Vec<String> = Vec::new();
    for campaign in api.all("/api/v1/campaigns").await {
        there.push(campaign["campaignId"].as_str().expect("an id").to_owned());
    }
    there.sort_unstable();
    assert!(there.iter().eq(all.keys()), "{} campaigns of {} commands", there.len(), all.len());
    for id in all.keys() {
        assert_eq!(api.path_of(id).await, LIFE, "{id}");
    }
}
