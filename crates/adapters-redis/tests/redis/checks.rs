//! What is noticed about a server, and what is said when there is no way to it.

use lifecycle_adapters_redis::{ConnectError, Level, Redis, RedisSettings};
use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use tokio_util::sync::CancellationToken;

use crate::support::{connect, event, patient, records};

async fn refused(settings: RedisSettings) -> ConnectError {
    match Redis::connect(settings, &CancellationToken::new()).await {
        Ok(_) => panic!("it had to be refused"),
        Err(error) => error,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let errors: Vec<_> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    errors.join("; ")
}

#[tokio::test]
async fn a_server_that_may_drop_keys_is_refused_unless_it_is_wanted() {
    let server = test_servers::Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let mut settings = patient(&server.url(), "one");
    let error = refused(settings.clone()).await.to_string();
    assert!(error.contains("allkeys-lru") && error.contains("LIFECYCLE_REDIS__ALLOW_EVICTION"), "{error}");
    settings.allow_eviction = true;
    let redis = connect(settings).await;
    let warnings: Vec<_> = redis.findings().iter().filter(|finding| finding.level == Level::Warning).collect();
    assert!(warnings.len() == 1 && warnings[0].text.contains("allkeys-lru"), "{warnings:?}");
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_worth_a_warning() {
    let server = test_servers::Redis::start_with(&["--appendonly", "no"]);
    let redis = connect(patient(&server.url(), "one")).await;
    let text: Vec<_> = redis.findings().iter().map(|finding| finding.text.as_str()).collect();
    assert!(text.iter().any(|text| text.contains("appendfsync to everysec")), "{text:?}");
    let server = test_servers::Redis::start();
    let redis = connect(patient(&server.url(), "one")).await;
    assert!(redis.findings().iter().all(|finding| finding.level == Level::Info), "{:?}", redis.findings());
}

#[tokio::test]
async fn a_user_with_few_rights_can_work() {
    let server = test_servers::Redis::start();
    let rights = "on >hunter2 ~app:* &app:* +@all -@admin -@dangerous +info";
    server.cli(&[&["ACL", "SETUSER", "app"], rights.split(' ').collect::<Vec<_>>().as_slice()].concat());
    let url = server.url().replace("redis://", "redis://app:hunter2@");
    let mut settings = patient(&url, "one");
    settings.prefix = "app:".to_owned();
    let redis = connect(settings.clone()).await;
    let found = redis.findings().iter().find(|finding| finding.text.contains("CONFIG")).expect("a finding");
    assert!(found.level == Level::Info && found.text.contains("could not be checked"), "{found:?}");
    redis.publisher().publish(records(1..=10)).await.expect("publishing");
    redis.inbound().append(vec![event("e-1")]).await.expect("appending");
    let got = redis.inbound().fetch("one", 1, 10, std::time::Duration::from_millis(100)).await.expect("fetching");
    redis.inbound().acknowledge(1, &[got[0].id.clone()]).await.expect("acknowledging");
    redis.trimmer().trim_inbound().await.expect("trimming");
    // Not even that much.
    server.cli(&["ACL", "SETUSER", "app", "-info"]);
    let redis = connect(settings).await;
    let found = redis.findings();
    assert!(found.len() == 1 && found[0].level == Level::Warning && found[0].text.contains("INFO"), "{found:?}");
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_said() {
    let server = test_servers::Redis::start_with(&["--requirepass", "hunter2"]);
    for wrong in ["redis://:hunter3@", "redis://ada:hunter2@", "redis://"] {
        let settings = patient(&server.url().replace("redis://", wrong), "one");
        let error = refused(settings).await;
        let text = chain(&error);
        assert!(matches!(error, ConnectError::Password { .. }) && text.contains("REDIS_URL"), "{wrong}: {error:?}");
        assert!(!text.contains("hunter"), "{text}");
    }
    connect(patient(&server.url().replace("redis://", "redis://:hunter2@"), "one")).await;
}

#[tokio::test]
async fn a_way_that_leads_nowhere_is_said() {
    let error = refused(patient("redis://127.0.0.1:1", "one")).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = refused(patient("redis://no-such-host.invalid", "one")).await;
    assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error:?}");
    let error = refused(patient("redis://127.0.0.1:1/x y", "one")).await;
    assert!(error.to_string().contains("REDIS_URL"), "{error:?}");
}

#[tokio::test]
async fn tls_is_checked_by_the_given_authority() {
    let (server, other) = (test_servers::Redis::start(), test_servers::Redis::start());
    let mut settings = patient(&server.tls_url(), "one");
    settings.ca_file = Some(server.ca().to_owned());
    let redis = connect(settings.clone()).await;
    redis.publisher().publish(records(1..=3)).await.expect("publishing");
    redis.close().await;

    settings.ca_file = Some(other.ca().to_owned());
    let error = refused(settings.clone()).await;
    assert!(matches!(error, ConnectError::Certificate { .. }), "{error:?}");
    assert!(error.to_string().contains("LIFECYCLE_REDIS__CA_FILE"), "{error}");

    settings.ca_file = Some("no-such.pem".into());
    let error = refused(settings.clone()).await;
    assert!(matches!(error, ConnectError::CaFile { .. }), "{error:?}");

    settings.ca_file = Some(server.ca().to_owned());
    settings.url = server.url().replace("redis://", "rediss://").into();
    settings.connect_timeout = std::time::Duration::from_secs(1);
    let error = refused(settings.clone()).await;
    assert!(matches!(error, ConnectError::NoTls { .. }), "{error:?}");

    settings.url = server.tls_url().replace("rediss://", "redis://").into();
    let error = refused(settings).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("rediss://"), "{error}");
}
