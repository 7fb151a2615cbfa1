//! The limit of PostgreSQL: bare SQL for the same transition on bare tables. The peers in `bench/peers` have the same tables.
//!
//! What is read decides what is written, so a transaction is two round trips: BEGIN and the read, then all writes and COMMIT.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls, Statement};

const SCHEMA: &str = "bench_bare_sql";
/// Sizes in bytes as the service's rows and events have them.
const BODY: usize = 900;
const LOGGED: usize = 700;
const EVENT: usize = 600;

const TABLES: &str = "
    CREATE TABLE campaign (id bigint PRIMARY KEY, status text NOT NULL, version bigint NOT NULL, body text NOT NULL)
        WITH (fillfactor = 85);
    CREATE TABLE log (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, campaign bigint NOT NULL, version bigint NOT NULL,
        data text NOT NULL, UNIQUE (campaign, version));
    CREATE TABLE timer (
        campaign bigint NOT NULL, kind text NOT NULL, due timestamptz NOT NULL, state text NOT NULL,
        completed_at timestamptz, PRIMARY KEY (campaign, kind)) WITH (fillfactor = 85);
    CREATE TABLE outbox (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, campaign bigint NOT NULL, payload text NOT NULL);";

/// Transitions a second in transactions of `batch`, on so many connections at a time.
pub(crate) async fn batched(url: &str, count: usize, connections: usize, batch: usize) -> Result<f64> {
    measure(url, count, connections, Work::Batches(batch)).await
}

/// Transitions a second in a transaction each, on so many connections at a time.
pub(crate) async fn one_by_one(url: &str, count: usize, connections: usize) -> Result<f64> {
    measure(url, count, connections, Work::OneByOne).await
}

#[derive(Clone, Copy)]
enum Work {
    OneByOne,
    Batches(usize),
}

async fn measure(url: &str, count: usize, connections: usize, work: Work) -> Result<f64> {
    ensure!(count > 0 && connections > 0 && !matches!(work, Work::Batches(0)), "nothing to measure");
    let admin = connect(url).await?;
    let rate = run(url, &admin, i64::try_from(count)?, connections, work).await;
    drop_schema(&admin).await?;
    rate
}

async fn run(url: &str, admin: &Client, count: i64, connections: usize, work: Work) -> Result<f64> {
    drop_schema(admin).await?;
    admin.batch_execute(&format!("CREATE SCHEMA {SCHEMA}; {TABLES}")).await?;
    let body = "x".repeat(BODY);
    admin
        .execute(
            "INSERT INTO campaign SELECT id, 'CREATED', 1, $2 FROM generate_series(0, $1::bigint - 1) AS id",
            &[&count, &body],
        )
        .await?;
    admin.execute("INSERT INTO timer SELECT id, 'START', now(), 'PENDING' FROM campaign", &[]).await?;
    admin.batch_execute("VACUUM ANALYZE campaign, timer").await?;

    let mut workers = Vec::new();
    for _ in 0..connections {
        workers.push(Worker::start(url, work).await?);
    }
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for (first, worker) in (0..).zip(workers) {
        let step = connections;
        running.spawn(async move {
            let ids: Vec<i64> = (first..count).step_by(step).collect();
            worker.work(&ids).await
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let elapsed = begun.elapsed();
    check(admin, count).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rate = count as f64 / elapsed.as_secs_f64();
    Ok(rate)
}

/// A connection with its statements prepared.
enum Worker {
    OneByOne { client: Client, read: Statement, writes: Writes },
    Batches { client: Client, size: usize, read: Statement, write: Statement },
}

struct Writes {
    advance: Statement,
    log: Statement,
    complete: Statement,
    arm: Statement,
    publish: Statement,
}

impl Worker {
    async fn start(url: &str, work: Work) -> Result<Self> {
        let client = connect(url).await?;
        Ok(match work {
            Work::OneByOne => {
                let read = client.prepare("SELECT version, body FROM campaign WHERE id = $1 FOR UPDATE").await?;
                let writes = Writes::prepare(&client).await?;
                Self::OneByOne { client, read, writes }
            }
            Work::Batches(size) => {
                let read = client.prepare(READ_BATCH).await?;
                let write = client.prepare(WRITE_BATCH).await?;
                Self::Batches { client, size, read, write }
            }
        })
    }

    async fn work(&self, ids: &[i64]) -> Result<()> {
        match self {
            Self::OneByOne { client, read, writes } => {
                for id in ids {
                    transition(client, read, writes, *id).await?;
                }
            }
            Self::Batches { client, size, read, write } => {
                for batch in ids.chunks(*size) {
                    transitions(client, read, write, batch).await?;
                }
            }
        }
        Ok(())
    }
}

impl Writes {
    async fn prepare(client: &Client) -> Result<Self> {
        Ok(Self {
            advance: client
                .prepare(
                    "UPDATE campaign SET status = 'RUNNING', version = version + 1, body = $3
                     WHERE id = $1 AND version = $2",
                )
                .await?,
            log: client.prepare("INSERT INTO log (campaign, version, data) VALUES ($1, $2, $3)").await?,
            complete: client
                .prepare(
                    "UPDATE timer SET state = 'COMPLETED', completed_at = now()
                     WHERE campaign = $1 AND kind = 'START' AND state = 'PENDING'",
                )
                .await?,
            arm: client
                .prepare(
                    "INSERT INTO timer (campaign, kind, due, state) VALUES ($1, 'END', now() + interval '1 day', 'PENDING')",
                )
                .await?,
            publish: client.prepare("INSERT INTO outbox (campaign, payload) VALUES ($1, $2)").await?,
        })
    }
}

/// The requests of a `try_join!` go out in its order, without waiting for answers, for they are first polled in it.
async fn transition(client: &Client, read: &Statement, writes: &Writes, id: i64) -> Result<()> {
    let (data, payload) = ("x".repeat(LOGGED), "x".repeat(EVENT));
    let ((), row) = tokio::try_join!(biased; client.batch_execute("BEGIN"), async {
        client.query_one(read, &[&id]).await
    })?;
    let version: i64 = row.try_get(0)?;
    let body: &str = row.try_get(1)?;
    let next = version + 1;
    let (advanced, logged, completed, armed, published, ()) = tokio::try_join!(
        biased;
        async { client.execute(&writes.advance, &[&id, &version, &body]).await },
        async { client.execute(&writes.log, &[&id, &next, &data]).await },
        async { client.execute(&writes.complete, &[&id]).await },
        async { client.execute(&writes.arm, &[&id]).await },
        async { client.execute(&writes.publish, &[&id, &payload]).await },
        client.batch_execute("COMMIT"),
    )?;
    ensure!(
        [advanced, logged, completed, armed, published] == [1; 5],
        "a statement for campaign {id} touched another number of rows than one"
    );
    Ok(())
}

const READ_BATCH: &str = "SELECT id, version, body FROM campaign WHERE id = ANY($1) ORDER BY id FOR UPDATE";

const WRITE_BATCH: &str = "
    WITH given AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
            AS given (campaign, version, body, data, payload)),
    advanced AS (
        UPDATE campaign SET status = 'RUNNING', version = given.version + 1, body = given.body
        FROM given WHERE id = given.campaign AND campaign.version = given.version RETURNING id),
    logged AS (INSERT INTO log (campaign, version, data) SELECT campaign, version + 1, data FROM given),
    completed AS (
        UPDATE timer SET state = 'COMPLETED', completed_at = now()
        FROM given WHERE timer.campaign = given.campaign AND kind = 'START' AND state = 'PENDING'),
    armed AS (
        INSERT INTO timer (campaign, kind, due, state)
        SELECT campaign, 'END', now() + interval '1 day', 'PENDING' FROM given),
    published AS (INSERT INTO outbox (campaign, payload) SELECT campaign, payload FROM given)
    SELECT count(*) FROM advanced";

async fn transitions(client: &Client, read: &Statement, write: &Statement, ids: &[i64]) -> Result<()> {
    let ((), rows) = tokio::try_join!(biased; client.batch_execute("BEGIN"), async {
        client.query(read, &[&ids]).await
    })?;
    let mut found = Vec::with_capacity(rows.len());
    let mut versions: Vec<i64> = Vec::with_capacity(rows.len());
    let mut bodies: Vec<&str> = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(row.try_get::<_, i64>(0)?);
        versions.push(row.try_get(1)?);
        bodies.push(row.try_get(2)?);
    }
    let data = vec!["x".repeat(LOGGED); found.len()];
    let payloads = vec!["x".repeat(EVENT); found.len()];
    let (advanced, ()) = tokio::try_join!(
        biased;
        async { client.query_one(write, &[&found, &versions, &bodies, &data, &payloads]).await },
        client.batch_execute("COMMIT"),
    )?;
    ensure!(usize::try_from(advanced.try_get::<_, i64>(0)?)? == ids.len(), "not every campaign of a batch advanced");
    Ok(())
}

/// A connection that works in the schema of this bench and reckons with a solid-state disk, as a server for such work does.
async fn connect(url: &str) -> Result<Client> {
    let mut config: Config = url.parse().context("the URL of PostgreSQL")?;
    config.options(format!("-c search_path={SCHEMA} -c random_page_cost=1.1"));
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with its client; what breaks it fails the client's next request.
    tokio::spawn(connection);
    Ok(client)
}

async fn drop_schema(admin: &Client) -> Result<()> {
    Ok(admin.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")).await?)
}

/// Exactly one transition of every campaign.
async fn check(admin: &Client, count: i64) -> Result<()> {
    let row = admin
        .query_one(
            "SELECT
                 (SELECT count(*) FROM campaign WHERE status = 'RUNNING' AND version = 2),
                 (SELECT count(*) FROM log), (SELECT count(DISTINCT campaign) FROM log WHERE version = 2),
                 (SELECT count(*) FROM outbox), (SELECT count(DISTINCT campaign) FROM outbox),
                 (SELECT count(*) FROM timer WHERE kind = 'START' AND state = 'COMPLETED'),
                 (SELECT count(*) FROM timer WHERE kind = 'END' AND state = 'PENDING')",
            &[],
        )
        .await?;
    let counts = (0..row.len()).map(|column| row.try_get(column)).collect::<Result<Vec<i64>, _>>()?;
    ensure!(
        counts.iter().all(|found| *found == count),
        "of {count} campaigns: moved, logged (twice), published (twice), completed, armed: {counts:?}"
    );
    Ok(())
}
