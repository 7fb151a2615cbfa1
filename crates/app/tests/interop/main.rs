//! Clients of other teams, in Node.js (`tests/interop` at the root), against the real binary on PostgreSQL and Redis: a
//! producer of events, a reader of the outbound streams, a watcher over WebSocket, and the parser of the AsyncAPI project.

mod asyncapi;
mod node;
mod producer;
mod watcher;

use testkit::Service;

/// The program.
const BINARY: &str = env!("CARGO_BIN_EXE_lifecycle");

/// A service on the shared servers that lets its clients ask as often as they like.
async fn service() -> Service {
    let settings = [("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", "1000000"), ("LIFECYCLE_LIMITS__TOKEN_BURST", "1000000")];
    Service::start_on_servers(BINARY, &settings).await
}

#[tokio::test]
async fn the_clients_see_what_is_missing_and_promise_what_is_certain() {
    node::test(&["test/cursors.test.mjs", "test/plan.test.mjs"]).await;
}
