//! A cluster, of one node: all names share one slot.

use std::time::Duration;

use ports::cache::Cache as _;
use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use ports::journal::Position;

use crate::support::{connect, event, eventually, patient, records};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_works_with_all_names_in_one_slot() {
    // By default it is a fixed distance from the first port, where somebody else may be.
    let bus_port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let bus_port = bus_port.port().to_string();
    let server = test_servers::Redis::start_with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-announce-ip",
        "127.0.0.1",
        "--cluster-port",
        &bus_port,
    ]);
    server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually("the cluster is whole", async || server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")).await;
    let url = server.url().replace("redis://", "redis-cluster://");
    let redis = connect(patient(&url, "one")).await;
    let other = connect(patient(&url, "two")).await;
    redis.publisher().publish(records(1..=300)).await.expect("publishing");
    assert_eq!(other.publisher().top().await.expect("the top"), Position(300));
    let mut marks = other.marks();
    let told = marks.wait_for(|mark| *mark == Position(300));
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("it is called out").expect("it goes on");
    assert!(server.cli(&["XLEN", "{lifecycle}lifecycle-events"]).parse::<u32>().expect("a number") > 0);
    server.cli(&["DEL", "{lifecycle}system-events"]);
    assert_eq!(redis.publisher().top().await.expect("the top"), Position::START);

    let appended = redis.inbound().append(vec![event("e-1"), event("e-2")]).await.expect("appending");
    let got = other.inbound().fetch("two", 1, 10, Duration::from_millis(100)).await.expect("fetching");
    assert_eq!(got.iter().map(|delivery| delivery.id.clone()).collect::<Vec<_>>(), appended);
    other.inbound().acknowledge(1, &appended).await.expect("acknowledging");
    assert!(other.inbound().fetch("two", 1, 10, Duration::from_millis(10)).await.expect("fetching").is_empty());
    assert_eq!(redis.inbound().oldest_unread().await.expect("asking"), None);
    assert_eq!(redis.cache().get(&port_contracts::fixtures::key("spring")).await, None);
    redis.trimmer().trim_outbound(Position(200)).await.expect("trimming");
    redis.close().await;
    other.close().await;
}
