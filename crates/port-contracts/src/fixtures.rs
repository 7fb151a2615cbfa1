//! Small makers of keys, definitions, facts and ids, and ways to look into a store. What changes campaigns lives in
//! `orders`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use domain::{
    Campaign, CampaignId, CampaignKey, CommandId, Definition, JsonText, OwnerId, PolicyOverrides, TenantId, TimerName,
    Timestamp, Window,
};
use ports::PortError;
use ports::clock::Ids;
use ports::feed::Outbox;
use ports::journal::{Actor, ActorKind, Cause, Entry, Fact, Position, Record};
use ports::store::{Changes, CommandKey, Decision, MAX_BATCH, Receipt, Scope, Store, View};
use ports::verification::RebuildOrder;
use uuid::Uuid;

/// A tenant.
pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant id")
}

/// An owner.
pub fn owner(name: &str) -> OwnerId {
    OwnerId::parse(name).expect("an owner id")
}

/// A campaign of the tenant `acme`.
pub fn key(id: &str) -> CampaignKey {
    key_of("acme", id)
}

/// A campaign of some tenant.
pub fn key_of(of: &str, id: &str) -> CampaignKey {
    CampaignKey { tenant: tenant(of), id: CampaignId::parse(id).expect("a campaign id") }
}

/// A command's id.
pub fn command(id: &str) -> CommandId {
    CommandId::parse(id).expect("a command id")
}

/// A command of the tenant `acme`.
pub fn command_key(id: &str) -> CommandKey {
    CommandKey { tenant: tenant("acme"), sender: "call".to_owned(), id: command(id) }
}

/// A reminder's name.
pub fn timer_name(name: &str) -> TimerName {
    TimerName::parse(name).expect("a timer name")
}

/// A JSON object.
pub fn json(text: &str) -> JsonText {
    JsonText::new(text).expect("a small object")
}

/// A duration that stores keep exactly.
pub fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// A campaign that starts a second after `now` and runs for an hour.
pub fn definition(now: Timestamp) -> Definition {
    starting(now + seconds(1))
}

/// A campaign that starts at `start` and runs for an hour.
pub fn starting(start: Timestamp) -> Definition {
    Definition {
        window: Window::new(start, start + seconds(3_600)).expect("a window"),
        auto_close: true,
        rewards_enabled: true,
        target_engagements: None,
        close_on_target: false,
        owner: Some(owner("ada")),
        policy: PolicyOverrides::default(),
        metadata: json(r#"{"name":"spring"}"#),
    }
}

/// A new id that sorts after all before it. Cases need no randomness.
pub fn new_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1_700_000_000_000);
    let millis = NEXT.fetch_add(1, Ordering::Relaxed);
    uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
}

struct NewIds;

impl Ids for NewIds {
    fn next(&self) -> Uuid {
        new_id()
    }
}

/// An order to rebuild a store, by an operator.
pub fn rebuild_order() -> RebuildOrder {
    let actor = Actor { kind: ActorKind::Operator, subject: "olga".to_owned() };
    RebuildOrder { actor, reason: "a contract".to_owned(), ids: Arc::new(NewIds) }
}

/// A fact of the tenant `acme`.
pub fn fact(at: Timestamp, entry: Entry) -> Fact {
    fact_of(&tenant("acme"), at, entry)
}

/// A fact of some tenant.
pub fn fact_of(tenant: &TenantId, at: Timestamp, entry: Entry) -> Fact {
    let actor = Actor { kind: ActorKind::Service, subject: "main-api".to_owned() };
    let cause = Cause { command: None, correlation: Some("contract".to_owned()) };
    Fact { id: new_id(), at, tenant: tenant.clone(), actor, cause, entry }
}

/// A notice, the simplest fact there is.
pub fn notice(at: Timestamp, subject: &str) -> Fact {
    let detail = json(r#"{"n":1}"#);
    fact(at, Entry::Notice { name: "contract.noted".to_owned(), campaign: None, subject: subject.to_owned(), detail })
}

struct Closure<F>(F);

impl<F: Fn(&View) -> Changes + Send + Sync> Decision for Closure<F> {
    fn decide(&self, view: &View) -> Changes {
        (self.0)(view)
    }
}

/// A decision out of a closure.
pub fn deciding(decide: impl Fn(&View) -> Changes + Send + Sync + 'static) -> Arc<dyn Decision> {
    Arc::new(Closure(decide))
}

/// The scope of these campaigns and no command.
pub fn campaigns(keys: &[CampaignKey]) -> Scope {
    Scope::Campaigns { keys: keys.to_vec(), commands: Vec::new() }
}

/// The scope of nothing at all.
pub fn nothing() -> Scope {
    campaigns(&[])
}

/// Everything that is due.
pub fn due() -> Scope {
    Scope::Due { limit: MAX_BATCH }
}

/// What a decision sees in `scope`; changes nothing.
pub async fn look(store: &Arc<dyn Store>, scope: Scope) -> View {
    let seen: Arc<Mutex<View>> = Arc::default();
    let sink = seen.clone();
    let copy = deciding(move |view| {
        let copy = View {
            now: view.now,
            campaigns: view.campaigns.clone(),
            unreadable: view.unreadable.clone(),
            busy: view.busy.clone(),
            inbox: view.inbox.clone(),
            due: view.due.clone(),
        };
        *sink.lock().unwrap_or_else(PoisonError::into_inner) = copy;
        Changes::default()
    });
    store.transact(scope, copy).await.expect("looking changes nothing and succeeds");
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One campaign as the store has it.
pub async fn stored(store: &Arc<dyn Store>, key: &CampaignKey) -> Option<Campaign> {
    look(store, campaigns(std::slice::from_ref(key))).await.campaigns.remove(key)
}

/// The store's clock.
pub async fn now(store: &Arc<dyn Store>) -> Timestamp {
    look(store, nothing()).await.now
}

/// Commits exactly `changes`, without holding a campaign.
pub async fn commit(
    store: &Arc<dyn Store>,
    scope: Scope,
    changes: impl Fn(&View) -> Changes + Send + Sync + 'static,
) -> Result<Receipt, PortError> {
    store.transact(scope, deciding(changes)).await
}

/// Commits these facts and nothing else.
pub async fn commit_facts(store: &Arc<dyn Store>, facts: Vec<Fact>) -> Receipt {
    let changes = move |_: &View| Changes { facts: facts.clone(), ..Changes::default() };
    commit(store, nothing(), changes).await.expect("facts alone are fine")
}

/// The whole journal.
pub async fn journal(outbox: &Arc<dyn Outbox>) -> Vec<Arc<Record>> {
    let mut records: Vec<Arc<Record>> = Vec::new();
    loop {
        let after = records.last().map_or(Position::START, |last| last.position);
        let more = outbox.read(after, ports::feed::MAX_READ).await.expect("the journal can be read");
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

/// The positions of these records.
pub fn positions<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>) -> Vec<u64> {
    records.into_iter().map(|record| record.position.0).collect()
}

/// The call was refused, and nothing was written.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(answer: Result<T, PortError>) {
    let error = answer.expect_err("the store had to refuse this");
    assert!(matches!(error, PortError::Refused { .. }), "refused is wanted, not {error:?}");
}
