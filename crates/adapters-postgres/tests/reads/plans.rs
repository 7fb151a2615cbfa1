//! Hot SQL, tested as SQL: with hundreds of thousands of rows, no ordinary read walks through a whole table.

use std::sync::Arc;
use std::time::Duration;

use domain::{Status, TimerId};
use lifecycle_adapters_postgres::{JournalFeed, PostgresSettings};
use port_contracts::fixtures::{definition, key, now, owner, seconds, tenant};
use port_contracts::orders::create;
use ports::dead_letters::{DeadLetters, LetterFilter, LetterState};
use ports::feed::{Channel, Feed, Outbox};
use ports::journal::Position;
use ports::query::{CampaignFilter, Page, PageRequest, Queries, TimerFilter};
use ports::store::Store;
use ports::verification::Verification;

use crate::support::Fresh;

const CAMPAIGNS: usize = 200_000;

/// Often enough that the server makes plans for all values.
const ROUNDS: u64 = 7;

/// How many rows one round may fetch by indexes: some hundreds for what one owner has, and never a whole tenant.
const FETCHED: u64 = 10_000;

/// From one campaign, 200,000 of three tenants and a thousand owners, few of them running, with a timer and a record each.
const MANY: &str = "
INSERT INTO campaigns (tenant, id, version, status, owner, start_at, end_at, body)
  SELECT CASE n % 20 WHEN 1 THEN 'globex' WHEN 2 THEN 'initech' ELSE 'acme' END,
         CASE n % 5000 WHEN 0 THEN 'rare-' ELSE 'c-' END || n, 1,
         CASE n % 4000 WHEN 7 THEN 'RUNNING' ELSE 'EXPIRED' END, 'owner-' || n % 1000,
         start_at + n * interval '1 second', end_at + n * interval '1 second', body
  FROM campaigns, generate_series(1, 200000) AS n;
INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, state, held, attempts, fire_at, completed_at)
  SELECT gen_random_uuid(), number, tenant, 'START_CAMPAIGN', '', start_at, 0, 1,
         CASE WHEN number % 3 = 0 THEN 'COMPLETED' WHEN number % 1000 = 1 THEN 'FAILED' ELSE 'PENDING' END, false, 0,
         CASE WHEN number % 3 <> 0 AND number % 1000 <> 1 THEN start_at END,
         CASE WHEN number % 3 = 0 THEN start_at END
  FROM campaigns WHERE NOT EXISTS (SELECT FROM timers WHERE campaign = number);
INSERT INTO journal (position, id, at, tenant, actor_kind, actor_subject, campaign, owner, sequence, kind, data, hash)
  SELECT 1 + n, gen_random_uuid(), at, CASE n % 20 WHEN 1 THEN 'globex' WHEN 2 THEN 'initech' ELSE 'acme' END,
         actor_kind, actor_subject, 'c-' || n, 'owner-' || n % 1000, 1, kind, data, hash
  FROM journal, generate_series(1, 200000) AS n;
UPDATE journal_head SET position = 200001;
ANALYZE";

/// Rows that were met on walks through whole tables, and those that were fetched by indexes.
const SCANS: &str = "
SELECT coalesce(sum(seq_tup_read), 0), coalesce(sum(idx_tup_fetch), 0) FROM pg_stat_user_tables
WHERE relname IN ('campaigns', 'timers') OR relname ~ '^journal_(20|default)'";

fn scans(fresh: &Fresh) -> (u64, u64) {
    let told = fresh.database.psql(SCANS);
    let (walked, fetched) = told.trim().split_once('|').expect("two numbers");
    (walked.parse().expect("a number"), fetched.parse().expect("a number"))
}

fn page(limit: usize) -> PageRequest {
    PageRequest { after: None, limit }
}

async fn two_pages<T, F: Future<Output = Page<T>>>(read: impl Fn(PageRequest) -> F) -> usize {
    let first = read(page(20)).await;
    let second = match first.next {
        Some(after) => read(PageRequest { after: Some(after), limit: 20 }).await.items.len(),
        None => 0,
    };
    first.items.len() + second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ordinary_read_walks_through_a_whole_table() {
    let mut fresh = Fresh::closed();
    // Always the same connection, so that statements are prepared once.
    let settings = PostgresSettings { readers: 1, ..fresh.settings() };
    fresh.open_with(settings.clone()).await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    create(&store, &key("first"), definition(at)).await;
    fresh.database.psql(MANY);
    fresh.close().await;
    fresh.open_with(settings).await;
    let postgres = fresh.postgres();
    let before = scans(&fresh);
    for _ in 0..ROUNDS {
        read_everything(&fresh, at).await;
    }
    drop(postgres);
    fresh.close().await;
    // A session tells what it did when it ends, or a moment before.
    let told = async {
        loop {
            let now = scans(&fresh);
            if now.1 > before.1 + 500 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                return scans(&fresh);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let after = tokio::time::timeout(Duration::from_secs(20), told).await.expect("statistics come");
    let walks = "SELECT relname, seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE seq_scan > 0";
    assert_eq!(after.0, before.0, "{}", fresh.database.psql(walks));
    let fetched = (after.1 - before.1) / ROUNDS;
    assert!(fetched < FETCHED, "a round fetches {fetched} rows");
}

async fn read_everything(fresh: &Fresh, at: domain::Timestamp) {
    let (postgres, acme) = (fresh.postgres(), tenant("acme"));
    let queries: Arc<dyn Queries> = postgres.clone();
    let none = CampaignFilter::default;
    let filters = [
        (none(), 40),
        (CampaignFilter { statuses: vec![Status::Running], ..none() }, 40),
        (CampaignFilter { statuses: vec![Status::Running, Status::Closed], ..none() }, 40),
        (CampaignFilter { owner: Some(owner("owner-7")), ..none() }, 40),
        (CampaignFilter { owner: Some(owner("owner-7")), statuses: vec![Status::Running], ..none() }, 40),
        (CampaignFilter { id_prefix: Some("rare-".to_owned()), ..none() }, 40),
        (CampaignFilter { from: Some(at), to: Some(at + seconds(400_000)), ..none() }, 40),
    ];
    for (filter, expected) in filters {
        let read = |page| {
            let (queries, acme, filter) = (queries.clone(), acme.clone(), filter.clone());
            async move { queries.campaigns(&acme, &filter, &page).await.expect("reading") }
        };
        assert_eq!(two_pages(read).await, expected, "{filter:?}");
    }
    for filter in [TimerFilter::Pending, TimerFilter::Overdue, TimerFilter::Failed] {
        for of in [None, Some(owner("owner-8"))] {
            let read = |page| {
                let (queries, acme, of) = (queries.clone(), acme.clone(), of.clone());
                async move { queries.timers(&acme, of, filter, &page).await.expect("reading") }
            };
            two_pages(read).await;
        }
    }
    queries.campaign(&key("c-77")).await.expect("reading").expect("it is there");
    queries.dossier(&key("c-77")).await.expect("reading").expect("it is there");
    assert_eq!(queries.history(&key("c-77"), Position::START, 100).await.expect("reading").len(), 1);
    queries.timer(&acme, TimerId(port_contracts::fixtures::new_id())).await.expect("reading");
    queries.forecast(&acme, at, at + seconds(60), 10).await.expect("reading");
    queries.counts(&acme, Some(owner("owner-9"))).await.expect("reading");
    queries.status().await.expect("reading");
    Outbox::read(postgres.as_ref(), Position(CAMPAIGNS as u64 - 10), 100).await.expect("reading");
    Outbox::read(postgres.as_ref(), Position(10), 100).await.expect("reading");
    Outbox::begin(postgres.as_ref()).await.expect("reading");
    let open = LetterFilter { state: Some(LetterState::Open), ..LetterFilter::default() };
    postgres.list(&acme, &open, &page(10)).await.expect("reading");
    postgres.open_count().await.expect("reading");
    postgres.case_files(Some(key("c-5")), 20).await.expect("reading");
    postgres.check_chain(Position(1_000), "", 20).await.expect("reading");
    read_channels(fresh).await;
}

async fn read_channels(fresh: &Fresh) {
    let (marks, told) = tokio::sync::watch::channel(Position(CAMPAIGNS as u64));
    let feed = JournalFeed::new(fresh.postgres());
    drop(marks);
    // Nobody gives marks any more: it takes the one there is, and ends.
    feed.run(told, tokio_util::sync::CancellationToken::new()).await;
    let acme = tenant("acme");
    let channels = [
        Channel::Campaign(acme.clone(), key("c-80").id),
        Channel::Owner(acme.clone(), owner("owner-11")),
        Channel::Tenant(acme),
        Channel::System,
    ];
    for channel in channels {
        for after in [Position(10), Position(CAMPAIGNS as u64 - 2_000)] {
            feed.read(&channel, after, Position(CAMPAIGNS as u64), 100).await.expect("reading");
        }
    }
    feed.floor().await.expect("reading");
}
