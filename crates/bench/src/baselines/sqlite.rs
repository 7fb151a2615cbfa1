//! The limit: bare `SQLite`, the same pragmas and the same rows for each transition (state, log, timers), and nothing else.

use std::time::Instant;

use anyhow::Result;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::bench::Bench;
use crate::readings;

diesel::table! {
    campaign (id) {
        id -> BigInt,
        status -> Text,
        version -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    log (position) {
        position -> BigInt,
        campaign -> BigInt,
        data -> Text,
    }
}

diesel::table! {
    timer (id) {
        id -> BigInt,
        campaign -> BigInt,
        due -> BigInt,
        pending -> Bool,
    }
}

const BATCH: usize = 500;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (report, scale) = (&bench.report, bench.scale);
    for run in 1..=scale.runs {
        let count = scale.bursts[0];
        report.progress(&format!("embedded: bare SQLite {run}/{}: {count} transitions", scale.runs));
        report.record(readings::bare_sqlite_batched(), transitions(count, BATCH)?);
        report.add("embedded", "baseline: bare SQLite, one per commit", "1/s", transitions(count / 4, 1)?);
    }
    Ok(())
}

fn transitions(count: usize, batch: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bare.db");
    let mut db = SqliteConnection::establish(&path.to_string_lossy())?;
    db.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE campaign (id INTEGER PRIMARY KEY, status TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL);
         CREATE TABLE log (position INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, data TEXT NOT NULL);
         CREATE TABLE timer (id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, due INTEGER NOT NULL, pending INTEGER NOT NULL);
         CREATE INDEX due ON timer (due) WHERE pending;
         CREATE INDEX of_campaign ON timer (campaign);",
    )?;
    let body = "x".repeat(900);
    let data = "x".repeat(700);
    let all: Vec<i64> = (0..i64::try_from(count)?).collect();
    db.transaction(|db| {
        for id in &all {
            diesel::insert_into(campaign::table)
                .values((
                    campaign::id.eq(id),
                    campaign::status.eq("CREATED"),
                    campaign::version.eq(1),
                    campaign::body.eq(&body),
                ))
                .execute(db)?;
            for (n, due) in [(0, 0), (1, 86_400)] {
                arm(db, id * 4 + n, *id, due)?;
            }
        }
        diesel::result::QueryResult::Ok(())
    })?;
    let begun = Instant::now();
    for chunk in all.chunks(batch) {
        db.transaction(|db| {
            for id in chunk {
                let _: String = campaign::table.find(id).select(campaign::body).first(db)?;
                diesel::update(campaign::table.find(id))
                    .set((campaign::status.eq("RUNNING"), campaign::version.eq(2), campaign::body.eq(&body)))
                    .execute(db)?;
                diesel::insert_into(log::table)
                    .values((log::position.eq(id + 1), log::campaign.eq(id), log::data.eq(&data)))
                    .execute(db)?;
                for n in [0, 1] {
                    diesel::update(timer::table.find(id * 4 + n)).set(timer::pending.eq(false)).execute(db)?;
                }
                for n in [2, 3] {
                    arm(db, id * 4 + n, *id, 86_400)?;
                }
            }
            diesel::result::QueryResult::Ok(())
        })?;
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    Ok(rate)
}

fn arm(db: &mut SqliteConnection, id: i64, of: i64, due: i64) -> QueryResult<usize> {
    diesel::insert_into(timer::table)
        .values((timer::id.eq(id), timer::campaign.eq(of), timer::due.eq(due), timer::pending.eq(true)))
        .execute(db)
}
