//! Power cuts under load: images of the files, taken at random instants while everything is written to, and what SQLite and
//! the store make of each.
//!
//! **What an image is.** The database first, the log last. Meanwhile the log may grow, and pages that stand in it may move
//! into the database: that is what a disk can hold when the power goes, torn last frames included. Only if the log began
//! anew in between, the two do not belong together, and the image is thrown away: no power cut makes such files.
//!
//! **What it is not.** It has all that was written before the last byte was copied, also what was not yet synced. That
//! nobody is answered before the sync is `synchronous=FULL`, which SQLite's own tests prove; that the store works with it is
//! tested in `durability`, and so is a log that is cut off anywhere. A killed process is the scenario suite's.

mod support;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use lifecycle_adapters_embedded::clock::ManualClock;
use lifecycle_adapters_embedded::wakeups::LocalWakeups;
use lifecycle_adapters_embedded::{Embedded, EmbeddedSettings};
use port_contracts::fixtures::{command, definition, due, key, now};
use port_contracts::orders::{FireDue, Order, run};
use ports::journal::Position;
use ports::store::Store;
use ports::verification::Verification as _;
use support::{Fresh, assert_sound};

/// So many stores live, one after the other, ...
const LIVES: u64 = 4;
/// ... and so many images are taken of each.
const CUTS: usize = 50;
/// How many callers write at the same time.
const WRITERS: usize = 4;
/// How many campaigns each of them works with.
const CAMPAIGNS: u64 = 25;

/// A generator of numbers (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What the world knows of a store that is written to.
#[derive(Default)]
struct Load {
    /// The highest position of which somebody was told that it is durable.
    accepted: AtomicU64,
    over: AtomicBool,
}

/// What was found in one image.
struct Survivor {
    last: Position,
    hash: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_power_cuts_lose_nothing_that_was_accepted_and_leave_only_whole_commits() {
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "power");
    println!("seed {seed}");
    let (mut thrown_away, mut generations) = (0, 0);
    for life in 0..LIVES {
        let outcome = one_life(Chance((seed ^ (life << 32)) | 1)).await;
        thrown_away += outcome.thrown_away;
        generations += outcome.generations;
    }
    println!("{thrown_away} images thrown away; {generations} logs were met");
    assert!(generations > LIVES, "no log ever began anew: the images say nothing about that");
}

struct Outcome {
    thrown_away: usize,
    /// How many different logs the images had.
    generations: u64,
}

async fn one_life(mut chance: Chance) -> Outcome {
    let fresh = Fresh::open();
    let load = Arc::new(Load::default());
    let store: Arc<dyn Store> = fresh.embedded();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let chance = Chance(chance.below(u64::MAX) | 1);
        tasks.spawn(write(Arc::clone(&store), Arc::clone(&load), writer, chance));
    }
    tasks.spawn(fire(Arc::clone(&store), Arc::clone(&load)));
    let folder = tempfile::tempdir().expect("a folder");
    let (mut survivors, mut thrown_away, mut logs) = (Vec::new(), 0, Vec::new());
    while survivors.len() < CUTS {
        tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
        if chance.below(3) == 0 {
            // Beside the store's own, so that many images have a move in the middle.
            let mut mover = fresh.intruder();
            tokio::task::spawn_blocking(move || mover.batch_execute("PRAGMA wal_checkpoint(PASSIVE)"));
        }
        fresh.clock.advance(TimeDelta::milliseconds(20));
        let accepted = load.accepted.load(Ordering::Acquire);
        let image = folder.path().join(format!("{}.db", survivors.len()));
        let Some(log) = tokio::task::block_in_place(|| copy(&fresh.path(), &image)) else {
            thrown_away += 1;
            continue;
        };
        let survivor = examine(&image).await;
        assert!(survivor.last.0 >= accepted, "{accepted} was accepted, and only {} is there", survivor.last);
        survivors.push(survivor);
        logs.push(log);
        std::fs::remove_dir_all(folder.path()).and_then(|()| std::fs::create_dir(folder.path())).expect("room");
    }
    load.over.store(true, Ordering::Release);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nobody was refused");
    }
    assert_prefixes(&fresh.embedded(), &survivors).await;
    logs.dedup();
    println!("{} commits with facts, {} logs", load.accepted.load(Ordering::Acquire), logs.len());
    Outcome { thrown_away, generations: logs.len() as u64 }
}

/// Creates campaigns and goes on with them, each step remembered.
async fn write(store: Arc<dyn Store>, load: Arc<Load>, writer: usize, mut chance: Chance) {
    for n in 0.. {
        if load.over.load(Ordering::Acquire) {
            return;
        }
        let campaign = key(&format!("w{writer}-{}", n % CAMPAIGNS));
        let order = if n < CAMPAIGNS {
            Order::create(&campaign, definition(now(&store).await))
        } else {
            Order::engage(&campaign, n)
        };
        let receipt = run(&store, vec![order.named(command(&format!("w{writer}-{n}")))]).await.expect("it is done");
        if let Some(position) = receipt.first_position {
            load.accepted.fetch_max(position.0, Ordering::AcqRel);
        }
        // At times nobody writes, and the log can begin anew.
        tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
    }
}

/// Fires what is due.
async fn fire(store: Arc<dyn Store>, load: Arc<Load>) {
    while !load.over.load(Ordering::Acquire) {
        let receipt = store.transact(due(), Arc::new(FireDue)).await.expect("they fire");
        if let Some(position) = receipt.first_position {
            load.accepted.fetch_max(position.0, Ordering::AcqRel);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn log_of(database: &Path) -> PathBuf {
    database.with_extension("db-wal")
}

/// Which log it is: its salts, which change whenever it begins anew.
fn generation(log: &Path) -> Option<[u8; 8]> {
    let mut header = [0; 24];
    File::open(log).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    header[16..].try_into().ok()
}

/// Takes an image; answers which log it has, or nothing when that began anew meanwhile.
fn copy(database: &Path, image: &Path) -> Option<[u8; 8]> {
    let before = generation(&log_of(database))?;
    std::fs::copy(database, image).expect("copying");
    std::fs::copy(log_of(database), log_of(image)).expect("copying");
    let same = [&log_of(image), &log_of(database)].into_iter().all(|log| generation(log) == Some(before));
    same.then_some(before)
}

/// Opens an image as a start after the power cut does, and looks at everything.
async fn examine(image: &Path) -> Survivor {
    let clock = Arc::new(ManualClock::new(domain::Timestamp::from_timestamp(1_800_000_000, 0).expect("a date")));
    let opened = Embedded::open(image, EmbeddedSettings::default(), clock, LocalWakeups::new());
    let store = opened.unwrap_or_else(|error| panic!("an image does not open: {error}"));
    let mut beside = SqliteConnection::establish(image.to_str().expect("UTF-8")).expect("a connection");
    let check = |what: &str, connection: &mut SqliteConnection| -> Vec<String> {
        diesel::select(sql::<Text>(what)).load(connection).expect("it can be checked")
    };
    let integrity = check("integrity_check FROM pragma_integrity_check", &mut beside);
    assert_eq!(integrity, ["ok"]);
    let orphans = check("\"table\" FROM pragma_foreign_key_check", &mut beside);
    assert_eq!(orphans, [] as [String; 0]);
    let (_, last, hash) = assert_sound(&store).await;
    Survivor { last, hash }
}

/// Checks that each survivor's chain is the beginning of the one that went on living: only whole commits, in their order.
async fn assert_prefixes(store: &Arc<Embedded>, survivors: &[Survivor]) {
    let (mut last, mut hash) = (Position::START, String::new());
    for survivor in survivors {
        assert!(survivor.last >= last, "a later image has less");
        let steps = usize::try_from(survivor.last.0 - last.0).expect("a few");
        if steps > 0 {
            let page = store.check_chain(last, &hash, steps).await.expect("checking");
            assert_eq!(page.faults, []);
            (last, hash) = (page.last, page.hash);
        }
        assert_eq!((last, &hash), (survivor.last, &survivor.hash));
    }
    assert!(last > Position::START, "nothing was written");
}
