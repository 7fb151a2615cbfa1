//! Fresh databases in the shared server: separate, from one template, gone afterwards.

use std::sync::atomic::{AtomicUsize, Ordering};

use lifecycle_test_servers::{database, find, shared};

/// A template that no earlier run on the same servers has made.
fn template(about: &str) -> String {
    format!("test_servers_{about}_{}", std::process::id())
}

fn migrate(url: &str) {
    let made = std::process::Command::new(find::psql().expect("psql"))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", "CREATE TABLE thing (id int PRIMARY KEY)", url])
        .status();
    assert!(made.expect("psql").success());
}

#[test]
fn fresh_databases_are_migrated_separate_and_gone_afterwards() {
    let template = template("separate");
    let (one, other) = (database::fresh(&template, migrate), database::fresh(&template, migrate));
    one.psql("INSERT INTO thing VALUES (1)");
    assert_eq!(one.psql("SELECT count(*) FROM thing"), "1");
    assert_eq!(other.psql("SELECT count(*) FROM thing"), "0");
    let name = one.name().to_owned();
    drop(one);
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(other.psql(&count), "0");
}

#[test]
fn who_comes_at_once_gets_one_template() {
    let template = template("at_once");
    let migrations = AtomicUsize::new(0);
    let databases: Vec<database::FreshDatabase> = std::thread::scope(|scope| {
        let fresh = || {
            database::fresh(&template, |url| {
                migrations.fetch_add(1, Ordering::Relaxed);
                migrate(url);
            })
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(fresh)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a database")).collect()
    });
    assert_eq!(migrations.into_inner(), 1);
    assert!(databases.iter().all(|database| database.psql("SELECT count(*) FROM thing") == "0"));
}

#[test]
fn a_template_whose_making_failed_is_made_again() {
    let template = template("again");
    let failed = std::panic::catch_unwind(|| database::fresh(&template, |_| panic!("migration 7 is wrong")));
    assert!(failed.is_err());
    let database = database::fresh(&template, migrate);
    assert_eq!(database.psql("SELECT count(*) FROM thing"), "0");
}

#[test]
fn a_database_with_guests_is_dropped_all_the_same() {
    let database = database::fresh(&template("guests"), migrate);
    let mut guest = std::process::Command::new(find::psql().expect("psql"))
        .args(["-X", "-c", "SELECT pg_sleep(600)", &database.url()])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("psql");
    drop(database);
    assert!(!guest.wait().expect("its end").success());
}

#[test]
fn the_environment_names_both_servers() {
    assert!(shared::is_set());
    assert!(shared::postgres_url("x").ends_with("/x"));
    assert!(shared::redis_url().starts_with("redis://"));
    assert!(shared::redis_tls_url().starts_with("rediss://"));
    assert!(shared::ca().is_file());
}
