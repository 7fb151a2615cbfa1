//! Hot SQL, tested as SQL: no statement that the ports run walks through a whole table.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use domain::{Status, TimerId};
use lifecycle_adapters_embedded::Embedded;
use port_contracts::fixtures::{
    campaigns, command, command_key, commit_facts, definition, due, json, key, look, notice, now, owner, rebuild_order,
    seconds, tenant,
};
use port_contracts::orders::{FireDue, Order, run};
use ports::dead_letters::{DeadLetters, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::feed::{Channel, Feed, Outbox, Publisher};
use ports::inbound::{Inbound, RawEntry};
use ports::journal::{Actor, Position};
use ports::query::{CampaignFilter, PageRequest, Queries, TimerFilter};
use ports::store::{Scope, Store, TimerWrite};
use ports::verification::Verification;
use support::Fresh;

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Collects every statement of every connection of this process.
#[expect(clippy::unnecessary_wraps, reason = "diesel wants it so")]
fn listen() -> Option<Box<dyn Instrumentation>> {
    Some(Box::new(|event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let statement = text.split(" -- binds").next().unwrap_or_default().to_owned();
            SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(statement);
        }
    }))
}

#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Reads everything, and is asked for seldom: proofs, a look at one short list, a sum that must visit what it counts.
fn may_scan(statement: &str, detail: &str) -> bool {
    let whole_journal = statement.contains("AS decisions FROM journal") && detail.starts_with("SCAN fact");
    // Lists every campaign in order, along indexes.
    let every_key = statement.contains("UNION SELECT tenant, campaign FROM journal");
    // Rows that a subquery of the same statement made, one or a few.
    let made_here = ["SCAN due", "SCAN (subquery", "SCAN CONSTANT ROW"].iter().any(|s| detail.starts_with(s));
    // The oldest entry that is not dealt with: the first of the table.
    let first_of_all = statement.contains("ORDER BY `inbound`.`number` LIMIT")
        || statement.contains("ORDER BY `inbound`.`number` DESC")
        || statement.contains("ORDER BY `journal`.`position` DESC")
        || statement.contains("ORDER BY `campaigns`.`number` DESC")
        || statement.contains("FROM `publication`");
    // Walks the index of open letters, or of what waits, and nothing else.
    let partial_index = ["dead_letters_open", "inbound_new", "timers_retrying", "timers_due"];
    let partial = partial_index.iter().any(|index| detail.ends_with(index));
    whole_journal || every_key || made_here || first_of_all || partial
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_scans_a_table() {
    set_default_instrumentation(listen).expect("a listener");
    let fresh = Fresh::open();
    use_every_port(&fresh, &fresh.embedded()).await;
    let statements = SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut connection = fresh.intruder();
    let mut explained = 0;
    for statement in &statements {
        let verb = statement.split_whitespace().next().unwrap_or_default();
        let ours = !statement.contains("__diesel") && !statement.contains("pragma_") && !statement.contains("sqlite_");
        if !ours || !["SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE"].contains(&verb) {
            continue;
        }
        explained += 1;
        let plan = sql_query(format!("EXPLAIN QUERY PLAN {statement}"))
            .load::<PlanRow>(&mut connection)
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
        for PlanRow { detail } in &plan {
            let scan = detail.starts_with("SCAN") && !may_scan(statement, detail);
            assert!(!scan, "{statement}\n  does {detail}");
        }
    }
    assert!(explained > 40, "only {explained} statements were seen");
}

fn instant() -> domain::Timestamp {
    domain::Timestamp::from_timestamp(1_800_000_000, 0).expect("a date in 2027")
}

async fn use_every_port(fresh: &Fresh, embedded: &Arc<Embedded>) {
    let store: Arc<dyn Store> = embedded.clone();
    let acme = tenant("acme");
    let at = now(&store).await;
    let order = Order::create(&key("a"), definition(at)).named(command("c-1"));
    run(&store, vec![order]).await.expect("a campaign");
    look(&store, Scope::Campaigns { keys: vec![key("a")], commands: vec![command_key("c-1")] }).await;
    fresh.clock.advance(seconds(2));
    store.transact(due(), Arc::new(FireDue)).await.expect("it starts");
    let timers = port_contracts::fixtures::stored(&store, &key("a")).await.expect("it is there").timers;
    let (first, second) = (timers[0].id, timers[1].id);
    for write in [
        TimerWrite::Retry { id: first, at: at + seconds(9), attempts: 1, error: "e".to_owned() },
        TimerWrite::Hold { id: first },
        TimerWrite::Fail { id: first, attempts: 1, error: "e".to_owned() },
        TimerWrite::Cancel { id: second },
    ] {
        let changes =
            move |_: &ports::store::View| ports::store::Changes { timers: vec![write.clone()], ..Default::default() };
        port_contracts::fixtures::commit(&store, campaigns(&[key("a")]), changes).await.expect("a timer change");
    }
    store.forget_commands(at + seconds(60)).await.expect("forgetting");
    commit_facts(&store, vec![notice(at, "x")]).await;

    let queries: Arc<dyn Queries> = embedded.clone();
    queries.campaign(&key("a")).await.expect("reading");
    queries.dossier(&key("a")).await.expect("reading");
    queries.history(&key("a"), Position::START, 10).await.expect("reading");
    queries.timer(&acme, TimerId(first.0)).await.expect("reading");
    queries.forecast(&acme, at, at + seconds(99), 10).await.expect("reading");
    queries.counts(&acme, None).await.expect("reading");
    queries.counts(&acme, Some(owner("ada"))).await.expect("reading");
    queries.status().await.expect("reading");
    let full = CampaignFilter {
        statuses: vec![Status::Created, Status::Running],
        owner: Some(owner("ada")),
        from: Some(at),
        to: Some(at + seconds(60)),
        id_prefix: Some("a".to_owned()),
    };
    let filters = [
        CampaignFilter::default(),
        CampaignFilter { statuses: vec![Status::Running], ..CampaignFilter::default() },
        CampaignFilter { owner: full.owner.clone(), ..CampaignFilter::default() },
        CampaignFilter { from: full.from, to: full.to, ..CampaignFilter::default() },
        CampaignFilter { id_prefix: full.id_prefix.clone(), ..CampaignFilter::default() },
        full,
    ];
    for after in [None, Some(ports::query::PageCursor("c9".to_owned()))] {
        for filter in &filters {
            let page = PageRequest { after: after.clone(), limit: 10 };
            queries.campaigns(&acme, filter, &page).await.expect("reading");
        }
    }
    let place = ports::query::PageCursor("t1.00000000000000000000000000000000".to_owned());
    for filter in [TimerFilter::Pending, TimerFilter::Overdue, TimerFilter::Failed] {
        for (of, after) in [(None, None), (Some(owner("ada")), None), (None, Some(place.clone()))] {
            queries.timers(&acme, of, filter, &PageRequest { after, limit: 10 }).await.expect("reading");
        }
    }
    use_bus(embedded).await;
    use_desk(embedded).await;
    let verification: Arc<dyn Verification> = embedded.clone();
    verification.case_files(None, 10).await.expect("reading");
    verification.doubled_commands(Position::START, chrono::TimeDelta::days(7), 10).await.expect("reading");
    verification.check_chain(Position(1), "", 10).await.expect("reading");
    verification.rebuild(&rebuild_order()).await.expect("rebuilding");
}

async fn use_bus(embedded: &Arc<Embedded>) {
    let inbound: Arc<dyn Inbound> = embedded.clone();
    inbound.append(vec![RawEntry::default()]).await.expect("appending");
    let got = inbound.fetch("one", 1, 10, Duration::ZERO).await.expect("fetching");
    inbound.reclaim("two", 1, Duration::ZERO, 10).await.expect("reclaiming");
    inbound.oldest_unread().await.expect("asking");
    inbound.acknowledge(1, &[got[0].id.clone()]).await.expect("acknowledging");
    // Enough that the newest records at hand do not reach back to the first.
    let store: Arc<dyn Store> = embedded.clone();
    for _ in 0..3 {
        commit_facts(&store, (0..600).map(|_| notice(instant(), "x")).collect()).await;
    }
    loop {
        let top = Publisher::top(embedded.as_ref()).await.expect("the top");
        let records = Outbox::read(embedded.as_ref(), top, 1_000).await.expect("reading");
        if records.is_empty() {
            break;
        }
        embedded.publish(records).await.expect("publishing");
    }
    Outbox::read(embedded.as_ref(), Position(1), 10).await.expect("reading");
    embedded.floor().await.expect("the floor");
    let acme = tenant("acme");
    for channel in [
        Channel::Campaign(acme.clone(), key("a").id),
        Channel::Owner(acme.clone(), owner("ada")),
        Channel::Tenant(acme),
        Channel::System,
    ] {
        Feed::read(embedded.as_ref(), &channel, Position(0), Position(500), 10).await.expect("reading");
    }
}

async fn use_desk(embedded: &Arc<Embedded>) {
    let desk: Arc<dyn DeadLetters> = embedded.clone();
    let acme = tenant("acme");
    let letter = NewLetter {
        id: port_contracts::fixtures::new_id(),
        tenant: acme.clone(),
        kind: LetterKind::Event,
        origin: "1".to_owned(),
        event_type: "campaign.created".to_owned(),
        campaign: Some(key("a").id),
        code: "malformed_event".to_owned(),
        error: "e".to_owned(),
        attempts: 1,
        first_error_at: instant(),
        last_error_at: instant(),
        original: json("{}").as_str().to_owned(),
    };
    let id = letter.id;
    desk.add(vec![letter]).await.expect("adding");
    let filters = [
        LetterFilter::default(),
        LetterFilter { state: Some(LetterState::Open), ..LetterFilter::default() },
        LetterFilter { campaign: Some(key("a").id), ..LetterFilter::default() },
    ];
    for filter in filters {
        desk.list(&acme, &filter, &PageRequest { after: None, limit: 10 }).await.expect("reading");
    }
    desk.get(&acme, id).await.expect("reading");
    desk.open_count().await.expect("counting");
    let settlement = Settlement { by: Actor::system(), at: instant(), reason: None, detail: None };
    desk.settle(&acme, id, LetterState::Replayed, settlement).await.expect("settling");
}
