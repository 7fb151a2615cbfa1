//! Names of the readings that goals, ratios, checks and charts look for. Whoever measures and whoever looks call the same
//! function, so a reading that is renamed keeps its goal. Readings that nobody looks for are named where they are measured.

/// What a reading is called, and in what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
}

fn named(scenario: &'static str, what: impl Into<String>, unit: &'static str) -> Named {
    Named { scenario, what: what.into(), unit }
}

const PER_SECOND: &str = "1/s";
const MS: &str = "ms";
const MIB: &str = "MiB";

pub(crate) const P50: &str = "p50";
pub(crate) const P99: &str = "p99";
pub(crate) const P999: &str = "p99.9";
pub(crate) const WORST: &str = "worst";

/// Transitions, due → committed.
pub(crate) fn burst_rate(count: usize) -> Named {
    named("burst", format!("{count} timers due at once: transitions, due → committed"), PER_SECOND)
}

pub(crate) fn burst_lateness(count: usize) -> Named {
    named("burst", format!("{count} timers due at once: lateness p99"), MS)
}

/// The most that the service took while `count` campaigns were created and started.
pub(crate) fn burst_memory(count: usize) -> Named {
    named("burst", format!("{count} timers due at once: memory at most"), MIB)
}

pub(crate) fn bare_sql_batched() -> Named {
    named("burst", "baseline: bare SQL, batches of 500 on two connections", PER_SECOND)
}

/// Connections of [`bare_sql_single`], each with a transaction open at any time.
pub(crate) const BARE_SINGLE_CONNECTIONS: u8 = 16;

pub(crate) fn bare_sql_single() -> Named {
    let what = format!("baseline: bare SQL, a transaction each on {BARE_SINGLE_CONNECTIONS} connections");
    named("burst", what, PER_SECOND)
}

/// The programs of `bench/peers` that fire timers.
pub(crate) const PEERS: [&str; 2] = ["bullmq", "graphile-worker"];

/// graphile-worker is bound by the disk's flushes: at a higher rate one would measure its queue.
pub(crate) const PEER_STEADY: usize = 100;

pub(crate) fn peer_rate(peer: &str, count: usize) -> Named {
    named("peers", format!("{peer}: {count} timers due at once"), PER_SECOND)
}

pub(crate) fn peer_burst_lateness(peer: &str, count: usize) -> Named {
    named("peers", format!("{peer}: {count} timers due at once, lateness p99"), MS)
}

pub(crate) fn peer_lateness(peer: &str, which: &str) -> Named {
    named("peers", format!("{peer}: {PEER_STEADY} timers/s, due → committed, {which}"), MS)
}

/// Where a timer's lateness ends.
pub(crate) const COMMITTED: &str = "committed";
pub(crate) const ON_STREAM: &str = "event on the stream";

pub(crate) fn lateness(rate: usize, end: &str, which: &str) -> Named {
    named("steady", format!("{rate} timers/s: due → {end}, {which}"), MS)
}

pub(crate) fn backlog_rate(pending: usize, count: usize) -> Named {
    named("backlog", format!("{pending} pending timers: {count} due at once"), PER_SECOND)
}

pub(crate) fn backlog_burst_lateness(pending: usize, count: usize) -> Named {
    named("backlog", format!("{pending} pending timers: {count} due at once, lateness p99"), MS)
}

pub(crate) fn backlog_lateness(pending: usize, rate: usize, which: &str) -> Named {
    named("backlog", format!("{pending} pending timers: {rate} timers/s, due → committed, {which}"), MS)
}

pub(crate) fn backlog_memory(pending: usize) -> Named {
    named("backlog", format!("{pending} pending timers: memory, idle"), MIB)
}

pub(crate) fn backlog_ready(pending: usize) -> Named {
    named("backlog", format!("{pending} pending timers: start to ready"), MS)
}

pub(crate) fn ingest_rate() -> Named {
    named("ingest", "campaign.created, first to last event", PER_SECOND)
}

/// The rate at which latency is measured.
pub(crate) const INGEST_MODERATE: usize = 2_000;

/// From the XADD to the event that answers it.
pub(crate) fn ingest_latency(rate: usize, which: &str) -> Named {
    named("ingest", format!("{rate} events/s: XADD → outbound event, {which}"), MS)
}

pub(crate) fn bare_xadd_pipelined() -> Named {
    named("ingest", "baseline: bare XADD, pipelines of 256 on one connection", PER_SECOND)
}

pub(crate) fn bare_xadd_single() -> Named {
    named("ingest", "baseline: bare XADD, one by one on 50 connections", PER_SECOND)
}

/// Connections that single creates are sent on.
pub(crate) const API_CONNECTIONS: usize = 32;
/// Connections that pages are asked for on: with both cores busy, more of them would only wait for each other.
pub(crate) const GET_CONNECTIONS: usize = 16;
pub(crate) const GET_ONE: &str = "GET one";

/// What is asked for as often as it is answered.
pub(crate) fn get_rate(page: &str) -> Named {
    named("api", format!("{page}, {GET_CONNECTIONS} connections"), PER_SECOND)
}

pub(crate) fn get_latency(page: &str, which: &str) -> Named {
    named("api", format!("{page}: {which}"), MS)
}

/// On servers (`api`) or on a file (`embedded`).
pub(crate) fn create_rate(scenario: &'static str) -> Named {
    named(scenario, format!("POST /campaigns, {API_CONNECTIONS} connections"), PER_SECOND)
}

pub(crate) fn scale_rate(instances: usize, count: usize) -> Named {
    named("scale", format!("{instances} instances, {count} due at once"), PER_SECOND)
}

pub(crate) fn scale_lateness(instances: usize, count: usize) -> Named {
    named("scale", format!("{instances} instances, {count} due at once, lateness p99"), MS)
}

pub(crate) fn recovery(count: usize) -> Named {
    named("recover", format!("start → {count} overdue timers committed"), "s")
}

pub(crate) fn recovery_ready() -> Named {
    named("recover", "start to ready", MS)
}

pub(crate) fn embedded_rate() -> Named {
    named("embedded", "transitions, due → committed", PER_SECOND)
}

pub(crate) fn embedded_lateness(rate: usize, which: &str) -> Named {
    named("embedded", format!("lateness {which} at {rate}/s, due → committed"), MS)
}

pub(crate) fn bare_sqlite_batched() -> Named {
    named("embedded", "baseline: bare SQLite, batches of 500", PER_SECOND)
}

pub(crate) fn embedded_memory(pending: usize) -> Named {
    named("embedded", format!("memory, {pending} pending timers"), MIB)
}

pub(crate) fn embedded_ready(pending: usize) -> Named {
    named("embedded", format!("start to ready, {pending} pending timers"), MS)
}

/// From when a timer of a campaign was due to when each of so many clients in one room heard of it.
pub(crate) fn fanout_latency(clients: usize, which: &str) -> Named {
    named("fanout", format!("{clients} clients, one room: due → received, {which}"), MS)
}

pub(crate) fn fanout_memory(clients: usize) -> Named {
    named("fanout", format!("{clients} clients, one room: memory a client, idle"), "KiB")
}

/// The same room on `ws` for Node.js; a message is sent when it is made.
pub(crate) fn ws_latency(clients: usize, which: &str) -> Named {
    named("fanout", format!("ws, {clients} clients, one room: sent → received, {which}"), MS)
}

pub(crate) fn soak_memory_at_end() -> Named {
    named("soak", "memory at the end", MIB)
}

pub(crate) fn ratio(what: &str, unit: &'static str) -> Named {
    named("ratios", what, unit)
}
