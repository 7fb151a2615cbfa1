//! What the guide for operators tells to type is typed here, word for word.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use testkit::{Place, Plan, Service, until};

use crate::BINARY;

/// The commands of the guide that ask the servers themselves.
fn commands() -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATIONS.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there").replace("\\\n", "");
    let asks = |line: &&str| line.starts_with("psql ") || line.starts_with("redis-cli ");
    guide.lines().filter(asks).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_psql_and_redis_cli_example_of_the_guide_runs() {
    let place = Arc::new(Place::own(BINARY));
    let service = Service::start_at(Arc::clone(&place), BINARY, &[]).await;
    let api = service.admin();
    api.create(Plan::later("first").body()).await;
    until("the streams are there", async || (!place.entry_ids("lifecycle-events").is_empty()).then_some(())).await;
    let commands = commands();
    assert!(commands.len() >= 7, "{commands:#?}");
    for command in commands {
        let output = Command::new("sh")
            .args(["-c", &command])
            .env("DATABASE_URL", place.database_url())
            .env("REDIS_URL", place.redis_url())
            .output()
            .expect("a shell");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !out.contains("ERR") && !err.contains("ERROR"), "{command}\n{out}\n{err}");
    }
    // The last one sent an event.
    api.until_status("by-hand", "CREATED").await;
    service.finish().await;
}
