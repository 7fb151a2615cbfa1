//! What can be wrong with the server when the service starts: every message says what to do, and shows no password.

mod support;

use std::sync::Arc;

use lifecycle_adapters_postgres::{OpenError, Postgres, PostgresSettings, migrate};
use support::{Fresh, Hints, settings};
use test_servers::database;
use test_servers::shared;

async fn refusal(url: &str) -> OpenError {
    refusal_of(settings(url)).await
}

async fn refusal_of(settings: PostgresSettings) -> OpenError {
    let opened = Postgres::open(settings, Arc::new(Hints::default())).await;
    opened.err().expect("this must not open")
}

/// The message names the setting, says `what`, and hides the password.
#[track_caller]
fn assert_says(error: &OpenError, what: &str) {
    let mut text = error.to_string();
    assert!(text.contains("DATABASE_URL") && text.contains("LIFECYCLE_POSTGRES__URL"), "no setting is named: {text}");
    assert!(text.contains(what), "{what:?} is not said: {text}");
    text = format!("{text} {error:?}");
    assert!(!text.contains("secret") && !text.contains("lifecycle:lifecycle"), "a password is shown: {text}");
}

/// The shared server under another name, user or password.
fn url_with(from: &str, to: &str, database: &str) -> String {
    let url = shared::postgres_url(database);
    assert!(url.contains(from), "{url} has no {from}");
    url.replace(from, to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told() {
    let error = refusal(&url_with("lifecycle:lifecycle@", "lifecycle:secret@", "postgres")).await;
    assert!(matches!(error, OpenError::Credentials { .. }), "{error:?}");
    assert_says(&error, "user and password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_host_and_a_closed_port_are_told() {
    let error = refusal("postgres://u:secret@nowhere.invalid/x?sslmode=disable").await;
    assert_says(&error, "nowhere.invalid:5432");
    assert!(matches!(error, OpenError::UnknownHost { .. }), "{error:?}");
    let error = refusal("postgres://u:secret@127.0.0.1:1/x").await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert_says(&error, "127.0.0.1:1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_is_told() {
    let error = refusal(&shared::postgres_url("nobody_made_this")).await;
    assert!(matches!(error, OpenError::NoDatabase { .. }), "{error:?}");
    assert_says(&error, "nobody_made_this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_url_is_told() {
    for (url, what) in [
        ("localhost/x", "begin with postgres://"),
        ("postgres://u:secret@h/x?sslmode=maybe", "sslmode"),
        ("postgres://u:secret@h:many/x", "port"),
        ("postgres://u:secret@h/x?colour=red", "colour"),
        ("postgres://u:secret@h", "database"),
        ("postgres://h/x", "user"),
    ] {
        let error = refusal(url).await;
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error:?}");
        assert_says(&error, what);
    }
    assert!(!format!("{:?}", settings("postgres://u:secret@h/x")).contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_with_a_server_that_its_authority_vouches_for() {
    let fresh = Fresh::closed();
    let local = fresh.database.url().replace("127.0.0.1", "localhost");
    let url = format!("{local}?sslmode=verify-full&sslrootcert={}", shared::ca().display());
    let settings = PostgresSettings { instance: "encrypted".to_owned(), ..settings(&url) };
    let postgres = Postgres::open(settings, Arc::new(Hints::default())).await.expect("it opens");
    ports::instances::Instances::leave(postgres.as_ref(), "nobody").await.expect("it works");
    let encrypted = fresh.database.psql(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'lifecycle/encrypted'",
    );
    assert_eq!(encrypted, "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_nobody_we_know_is_refused() {
    // The system's authorities know nothing of the test's.
    let error = refusal(&format!("{}?sslmode=require", shared::postgres_url("postgres"))).await;
    assert!(matches!(error, OpenError::Certificate { .. }), "{error:?}");
    assert_says(&error, "sslrootcert");
    let error = refusal(&format!("{}?sslrootcert=/nowhere/ca.pem", shared::postgres_url("postgres"))).await;
    assert!(matches!(error, OpenError::Roots { .. }), "{error:?}");
    assert_says(&error, "/nowhere/ca.pem");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    let server = tokio::task::block_in_place(|| test_servers::Postgres::start_with(&[("ssl", "off")]));
    let url = server.url("postgres");
    let error = refusal(&format!("{url}?sslmode=require")).await;
    assert!(matches!(error, OpenError::NoTls { .. }), "{error:?}");
    assert_says(&error, "ssl = on");
    let error = refusal(&url).await;
    assert!(matches!(error, OpenError::NotMigrated { .. }), "without sslmode it is spoken with: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_prepared_names_the_command() {
    let empty = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
    let error = refusal(&empty.url()).await;
    assert!(matches!(error, OpenError::NotMigrated { .. }), "{error:?}");
    assert_says(&error, "lifecycle migrate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_left_alone() {
    let fresh = Fresh::closed();
    fresh.database.psql("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
    let error = refusal(&fresh.database.url()).await;
    assert!(matches!(error, OpenError::Newer { .. }), "{error:?}");
    assert_says(&error, "29991231000000");
    for refused in [migrate::up(&fresh.settings()).await.err(), migrate::down(&fresh.settings()).await.err()] {
        assert!(matches!(refused, Some(OpenError::Newer { .. })), "{refused:?}");
    }
    let listed = migrate::status(&fresh.settings()).await.expect("it is listed");
    assert!(listed.iter().any(|migration| migration.applied && !migration.known));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_up_and_down_also_when_several_run_at_once() {
    let empty = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
    let settings = settings(&empty.url());
    let listed = migrate::status(&settings).await.expect("a list");
    assert!(!listed.is_empty() && listed.iter().all(|migration| migration.known && !migration.applied));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let settings = settings.clone();
        running.spawn(async move { migrate::up(&settings).await.expect("up").len() });
    }
    let done: usize = running.join_all().await.into_iter().sum();
    assert_eq!(done, listed.len(), "each migration ran once");
    let postgres = Postgres::open(settings.clone(), Arc::new(Hints::default())).await.expect("it opens");
    postgres.close().await;
    let newest = listed.last().expect("there is one").version.clone();
    assert_eq!(migrate::down(&settings).await.expect("down"), Some(newest));
    assert_eq!(empty.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1", "tables are left behind");
    assert_eq!(migrate::down(&settings).await.expect("nothing is left"), None);
    assert_eq!(migrate::up(&settings).await.expect("up again").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_its_limits_and_its_name() {
    let fresh = Fresh::open().await;
    ports::instances::Instances::leave(fresh.postgres().as_ref(), "nobody").await.expect("it works");
    let named =
        fresh.database.psql("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'lifecycle/test'");
    assert_eq!(named, "t");
}
