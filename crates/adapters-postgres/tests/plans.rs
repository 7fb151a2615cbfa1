//! Hot SQL on large tables: no statement of the write side walks through a whole one. The server itself counts.

mod support;

use std::sync::Arc;

use port_contracts::fixtures::{command, commit_facts, definition, due, journal, key, look, notice, now, seconds};
use port_contracts::orders::{FireDue, Order, run};
use ports::feed::Outbox;
use ports::store::{Scope, Store};
use support::Fresh;

/// As many as make a scan dear. Nobody checks what they mean: the rules are those of rows, not of campaigns.
const MANY: &str = "\
    SET session_replication_role = replica;
    SET synchronous_commit = off;
    INSERT INTO campaigns (tenant, id, version, status, start_at, end_at, body)
        SELECT 'bulk', 'b-' || n, 1, 'CREATED', now() + interval '1 day', now() + interval '2 days', '{}'
        FROM generate_series(1, 50000) n;
    INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, state, held, attempts, fire_at)
        SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1 + n % 50000, 'bulk', 'CUSTOM',
               'n-' || n, now() + interval '1 day' + n * interval '1 ms', 32767, 1, 'PENDING', false, 0,
               now() + interval '1 day' + n * interval '1 ms'
        FROM generate_series(1, 1000000) n;
    INSERT INTO inbox (tenant, sender, command, campaign, fingerprint, outcome, version, at)
        SELECT 'bulk', 'call', 'b-' || n, 'b-' || n, decode(repeat('00', 32), 'hex'), 'applied', 1, now()
        FROM generate_series(1, 100000) n;
    ANALYZE campaigns, timers, inbox;
";

const SCANS: &str = "\
    SELECT string_agg(relname || ' ' || seq_scan, ', ' ORDER BY relname) FROM pg_stat_user_tables
    WHERE relname IN ('campaigns', 'timers', 'inbox') OR relname LIKE 'journal\\_2%'";

const LOOKED_UP: &str = "\
    SELECT bool_and(idx_scan > 10) FROM pg_stat_user_tables WHERE relname IN ('campaigns', 'timers', 'inbox')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_statement_walks_through_a_large_table() {
    let mut fresh = Fresh::open().await;
    fresh.database.psql(MANY);
    let store: Arc<dyn Store> = fresh.postgres();
    let outbox: Arc<dyn Outbox> = fresh.postgres();
    // A journal that is not empty; the first sessions end, so that the server has counted what they did.
    for _ in 0..20 {
        commit_facts(&store, vec![notice(now(&store).await, "x"); 1_000]).await;
    }
    fresh.database.psql("ANALYZE journal");
    drop((store, outbox));
    fresh.close().await;
    let before = counted(&fresh);
    fresh.open_again().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let outbox: Arc<dyn Outbox> = fresh.postgres();

    // Often enough that the server plans a prepared statement once and for all.
    for n in 0..12 {
        let at = now(&store).await;
        let id = format!("c-{n}");
        let order = Order::create(&key(&id), definition(at)).named(command(&id));
        run(&store, vec![order]).await.expect("a campaign");
        let order = Order::engage(&key(&id), 1).named(command(&format!("{id}-again")));
        run(&store, vec![order]).await.expect("a change");
        fresh.move_clock(seconds(2));
        let fired = store.transact(Scope::Due { limit: 100 }, Arc::new(FireDue)).await.expect("firing");
        assert_eq!(fired.due, 1);
        look(&store, due()).await;
        store.forget_commands(at - seconds(3_600)).await.expect("forgetting");
    }
    journal(&outbox).await;
    drop((store, outbox));
    fresh.close().await;
    assert_eq!(counted(&fresh), before, "a table was walked through");
    assert_eq!(fresh.database.psql(LOOKED_UP), "t", "nothing was counted at all");
}

/// Sessions tell what they did when they end.
fn counted(fresh: &Fresh) -> String {
    loop {
        let gone = fresh.database.psql(
            "SELECT count(*) = 0 FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'lifecycle/%'",
        );
        if gone == "t" {
            return fresh.database.psql(SCANS);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
