//! Servers that will not do: the program says which setting to look at, and ends with the documented exit code.

use testkit::{Place, Ran, Service};

use crate::BINARY;

/// What `lifecycle serve` says with these settings when it does not start.
async fn refused(place: &Place, settings: &[(&str, &str)]) -> Ran {
    let (database, redis) = (place.database_url(), place.redis_url());
    let mut all = vec![("DATABASE_URL", database.as_str()), ("REDIS_URL", redis.as_str())];
    all.extend(settings);
    let service = Service::prepare(BINARY, None, &all);
    let ran = service.run("serve", &[]);
    tokio::time::timeout(testkit::PATIENCE, ran).await.expect("it does not start, and says so")
}

#[track_caller]
fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for word in words {
        assert!(ran.messages.contains(word), "not a word of {word:?} in: {}", ran.messages);
    }
    assert!(!ran.messages.contains("panicked"), "{}", ran.messages);
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_refused_with_the_command_that_helps() {
    let place = Place::own(BINARY);
    place.postgres().make_database("empty").expect("a database");
    let url = place.postgres().url("empty");
    says(&refused(&place, &[("DATABASE_URL", &url)]).await, 69, &["lifecycle migrate"]);
}

#[tokio::test]
async fn a_database_that_a_newer_version_migrated_is_refused() {
    let place = Place::own(BINARY);
    place.psql("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')");
    says(&refused(&place, &[]).await, 69, &["newer", "99991231000000"]);
}

#[tokio::test]
async fn wrong_credentials_name_the_setting_and_not_the_password() {
    let place = Place::own(BINARY);
    let url = format!("postgres://lifecycle:hunter2@127.0.0.1:{}/lifecycle", place.postgres().port());
    let ran = refused(&place, &[("DATABASE_URL", &url)]).await;
    says(&ran, 69, &["DATABASE_URL"]);
    assert!(!ran.messages.contains("hunter2"));
    place.redis().cli(&["CONFIG", "SET", "requirepass", "correct"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}", place.redis().port());
    let ran = refused(&place, &[("REDIS_URL", &url)]).await;
    says(&ran, 69, &["REDIS_URL"]);
    assert!(!ran.messages.contains("hunter2"));
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_is_refused() {
    let (place, other) = (Place::own(BINARY), test_servers::Redis::start());
    let wrong = other.ca().display().to_string();
    let database = format!(
        "postgres://lifecycle:lifecycle@localhost:{}/lifecycle?sslmode=verify-full&sslrootcert={wrong}",
        place.postgres().port()
    );
    says(&refused(&place, &[("DATABASE_URL", &database)]).await, 69, &["DATABASE_URL", "certificate"]);
    let ran = refused(&place, &[("REDIS_URL", &place.redis().tls_url()), ("LIFECYCLE_REDIS__CA_FILE", &wrong)]).await;
    says(&ran, 69, &["LIFECYCLE_REDIS__CA_FILE", "certificate"]);
}

#[tokio::test]
async fn it_serves_with_tls_to_both_servers() {
    let place = Place::own(BINARY);
    let (database_ca, redis_ca) = (place.postgres().ca().display(), place.redis().ca().display().to_string());
    let port = place.postgres().port();
    let database = format!(
        "postgres://lifecycle:lifecycle@localhost:{port}/lifecycle?sslmode=verify-full&sslrootcert={database_ca}"
    );
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("REDIS_URL", &place.redis().tls_url()),
        ("LIFECYCLE_REDIS__CA_FILE", &redis_ca),
    ];
    let service = Service::start(BINARY, &settings).await;
    let plain = place.psql(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                            WHERE application_name LIKE 'lifecycle%' AND NOT ssl",
    );
    assert_eq!(plain.trim(), "0", "a connection without TLS");
    service.finish().await;
}

#[tokio::test]
async fn a_redis_that_may_evict_keys_is_refused_unless_that_is_wanted() {
    let place = Place::own(BINARY);
    place.redis().cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    says(&refused(&place, &[]).await, 69, &["maxmemory-policy", "noeviction"]);
    let (database, redis) = (place.database_url(), place.redis_url());
    let settings =
        [("DATABASE_URL", database.as_str()), ("REDIS_URL", &redis), ("LIFECYCLE_REDIS__ALLOW_EVICTION", "true")];
    let service = Service::start(BINARY, &settings).await;
    assert!(service.log().contains("maxmemory-policy"), "not a word of warning");
    service.finish().await;
}

#[tokio::test]
async fn one_server_without_the_other_is_a_mistake() {
    for (set, missing) in [("DATABASE_URL", "REDIS_URL"), ("REDIS_URL", "DATABASE_URL")] {
        let service = Service::prepare(BINARY, None, &[(set, "x://127.0.0.1:1")]);
        says(&service.run("serve", &[]).await, 2, &[missing]);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let place = Place::own(BINARY);
    let ran = refused(&place, &[("DATABASE_URL", "postgres://a:b@127.0.0.1:1/c")]).await;
    says(&ran, 69, &["DATABASE_URL", "127.0.0.1:1"]);
    let ran = refused(&place, &[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    says(&ran, 69, &["REDIS_URL"]);
}
