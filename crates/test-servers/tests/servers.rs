//! Servers start, end in every way, start again and leave nothing behind.

use std::io::BufRead as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifecycle_test_servers::{Postgres, Redis, find};

const PATIENCE: Duration = Duration::from_secs(30);

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn postgres_keeps_what_it_promised_through_every_end() {
    let server = Postgres::start();
    server.psql("postgres", "CREATE TABLE kept (value int)");
    let ends: [fn(&Postgres); 3] = [Postgres::stop_fast, Postgres::stop_immediate, Postgres::kill];
    for (end, value) in ends.into_iter().zip(1..) {
        let port = server.port();
        server.psql("postgres", &format!("INSERT INTO kept VALUES ({value})"));
        end(&server);
        assert!(!listens(port));
        server.start_again();
        assert_eq!(server.port(), port);
        assert_eq!(server.psql("postgres", "SELECT max(value), count(*) FROM kept"), format!("{value}|{value}"));
    }
}

#[test]
fn a_killed_postgres_takes_its_sessions_along() {
    let server = Postgres::start();
    std::thread::scope(|scope| {
        let url = server.url("postgres");
        let busy = scope.spawn(move || {
            Command::new(find::psql().expect("psql"))
                .args(["-X", "-c", "SELECT pg_sleep(600)", &url])
                .stderr(Stdio::null())
                .status()
        });
        wait_until("the session is busy", || {
            server.psql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
        });
        server.kill();
        let status = busy.join().expect("the thread").expect("psql");
        assert!(!status.success());
    });
    server.start_again();
}

#[test]
fn postgres_speaks_tls_under_its_name_and_refuses_a_wrong_password() {
    let server = Postgres::start_with(&[("max_connections", "17")]);
    assert_eq!(server.psql("postgres", "SHOW max_connections"), "17");
    let connect = |password: &str| {
        let address = format!(
            "host=localhost port={} user=lifecycle dbname=postgres sslmode=verify-full sslrootcert={}",
            server.port(),
            server.ca().display()
        );
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Command::new(find::psql().expect("psql"))
            .args(["-X", "-A", "-t", "-c", sql, &address])
            .env("PGPASSWORD", password)
            .output()
            .expect("psql")
    };
    let connected = connect("lifecycle");
    assert_eq!(String::from_utf8_lossy(&connected.stdout).trim(), "t", "{connected:?}");
    assert!(!connect("guessed").status.success());
}

#[test]
fn redis_keeps_its_data_until_it_starts_empty() {
    let server = Redis::start();
    server.cli(&["SET", "key", "value"]);
    let ends: [fn(&Redis); 2] = [Redis::stop, Redis::kill];
    for end in ends {
        end(&server);
        assert!(!listens(server.port()));
        server.start_again();
        assert_eq!(server.cli(&["GET", "key"]), "value");
    }
    server.kill();
    server.start_again_empty();
    assert_eq!(server.cli(&["EXISTS", "key"]), "0");
}

#[test]
fn redis_speaks_tls_and_takes_arguments() {
    let server = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    assert!(server.cli(&["CONFIG", "GET", "maxmemory-policy"]).ends_with("allkeys-lru"));
    let ca = server.ca().display().to_string();
    let said = Command::new("redis-cli").args(["-u", &server.tls_url(), "--cacert", &ca, "PING"]).output();
    let said = said.expect("redis-cli");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "PONG", "{said:?}");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let started = std::panic::catch_unwind(|| Redis::start_with(&["--maxmemory-policy", "none-of-them"]));
    let said = started.expect_err("no server").downcast::<String>().expect("a message");
    assert!(said.contains("none-of-them") || said.contains("argument"), "{said}");
    let started = std::panic::catch_unwind(|| Postgres::start_with(&[("no_such_setting", "on")]));
    let said = started.expect_err("no server").downcast::<String>().expect("a message");
    assert!(said.contains("no_such_setting"), "{said}");
}

#[test]
fn dropped_servers_leave_nothing_whether_they_run_or_not() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let (killed_postgres, killed_redis) = (Postgres::start(), Redis::start());
    killed_postgres.kill();
    killed_redis.kill();
    let ports = [postgres.port(), redis.port()];
    let folders =
        [postgres.folder(), redis.folder(), killed_postgres.folder(), killed_redis.folder()].map(Path::to_path_buf);
    drop((postgres, redis, killed_postgres, killed_redis));
    assert!(!ports.into_iter().any(listens));
    assert!(!folders.iter().any(|folder| folder.exists()));
}

/// Does something only in the process that the test below starts.
#[test]
fn helper_starts_servers_and_is_killed() {
    if std::env::var_os("LIFECYCLE_TEST_TO_BE_KILLED").is_none() {
        return;
    }
    let (postgres, redis, down) = (Postgres::start(), Redis::start(), Redis::start());
    down.stop();
    for (port, folder) in
        [(postgres.port(), postgres.folder()), (redis.port(), redis.folder()), (down.port(), down.folder())]
    {
        println!("server {port} {}", folder.display());
    }
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

#[test]
fn servers_are_gone_when_their_process_was_killed() {
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "helper_starts_servers_and_is_killed", "--nocapture"])
        .env("LIFECYCLE_TEST_TO_BE_KILLED", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let said = std::io::BufReader::new(process.stdout.take().expect("its output"));
    let servers: Vec<(u16, PathBuf)> = said
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| {
            let (port, folder) = line.split_once("server ")?.1.split_once(' ')?;
            Some((port.parse().ok()?, folder.into()))
        })
        .take(3)
        .collect();
    assert_eq!(servers.iter().map(|(port, _)| listens(*port)).collect::<Vec<_>>(), [true, true, false]);
    assert!(servers.iter().all(|(_, folder)| folder.exists()));
    process.kill().expect("a kill");
    process.wait().expect("its end");
    for (port, folder) in servers {
        wait_until("the server is gone", || !listens(port));
        wait_until("its folder is gone", || !folder.exists());
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
