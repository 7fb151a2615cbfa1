//! Somebody else holds locks: on a campaign, on a table, on the row that every commit takes, in a circle.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// Commands are committed in batches, one after the other: the first one about the locked campaign makes the others of its batch
/// wait, and those of the next. A batch waits for up to two locks, the row's queue and the row, each for `lock_timeout` (500 ms).
/// After that the campaign is passed by, so that few calls of a run have waited.
const WAITS: Duration = Duration::from_secs(1);

pub(super) const OF_A_CAMPAIGN: Fault = Fault {
    number: 24,
    name: "campaign-locked",
    what: "another session holds the row of one campaign all the time",
    strike: |scene| {
        let campaign = scene.campaign();
        let seconds = scene.profile.fault.as_secs();
        hold(scene, &format!("SELECT FROM campaigns WHERE id = '{campaign}' FOR UPDATE"), seconds)
    },
    limits: Limits { served_percent: Some(80), http_slower: Some(WAITS), ..USUAL },
    needs: None,
};

pub(super) const OF_THE_LOG: Fault = Fault {
    number: 25,
    name: "log-locked",
    what: "LOCK TABLE journal IN ACCESS EXCLUSIVE MODE for 5 s",
    strike: |scene| hold(scene, "LOCK TABLE journal IN ACCESS EXCLUSIVE MODE", 5),
    limits: USUAL,
    needs: None,
};

pub(super) const OF_THE_HEAD: Fault = Fault {
    number: 27,
    name: "all-writers-busy",
    what: "another session holds the row that every commit takes, for 5 s: no connection for writing is free",
    strike: |scene| hold_head(scene, 5),
    limits: USUAL,
    needs: None,
};

pub(super) const IN_A_CIRCLE: Fault = Fault {
    number: 26,
    name: "deadlocks",
    what: "other sessions take the head of the log first and campaigns then, as nobody should, with a deadlock timeout of 50 ms",
    strike: deadlock,
    limits: USUAL,
    needs: None,
};

pub(super) const OF_A_SNAPSHOT: Fault = Fault {
    number: 28,
    name: "snapshot-held",
    what: "an idle session keeps an old snapshot, so that nothing dead can be cleaned up (as long as the fault lasts, not 3 minutes)",
    strike: |scene| {
        let seconds = scene.profile.fault.as_secs();
        let held = scene.rig.sql_beside(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM journal_head; SELECT pg_sleep({seconds}); COMMIT"
        ));
        ended(held)
    },
    limits: Limits { served_percent: Some(80), timers: Some(Duration::from_secs(1)), ..USUAL },
    needs: None,
};

/// Holds the row that every commit takes.
pub(super) fn hold_head(scene: &Scene<'_>, seconds: u64) -> Result<()> {
    hold(scene, "SELECT FROM journal_head FOR UPDATE", seconds)
}

fn hold(scene: &Scene<'_>, lock: &str, seconds: u64) -> Result<()> {
    ended(scene.rig.sql_beside(&format!("BEGIN; {lock}; SELECT pg_sleep({seconds}); COMMIT")))
}

fn ended(session: JoinHandle<Result<()>>) -> Result<()> {
    wait(Duration::from_mins(1), || session.is_finished())?;
    session.join().map_err(|_| anyhow!("a session panicked"))?
}

fn deadlock(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.sql("ALTER SYSTEM SET deadlock_timeout = '50ms'")?;
    scene.rig.sql("SELECT pg_reload_conf()")?;
    let end = Instant::now() + scene.profile.fault;
    let mut victims = 0;
    while Instant::now() < end {
        let (one, other) = (scene.campaign(), scene.campaign());
        let session = scene.rig.sql_beside(&format!(
            "BEGIN; SELECT FROM journal_head FOR UPDATE; SELECT pg_sleep(0.1); \
             SELECT FROM campaigns WHERE id IN ('{one}', '{other}') FOR UPDATE; COMMIT"
        ));
        // One of those in the circle is ended, be it ours.
        victims += u32::from(ended(session).is_err());
        pause(Duration::from_millis(50))?;
    }
    scene.rig.sql("ALTER SYSTEM RESET deadlock_timeout")?;
    scene.rig.sql("SELECT pg_reload_conf()")?;
    let deadlocks: u64 =
        scene.rig.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")?;
    scene.note(format!("{deadlocks} deadlocks so far, {victims} of them ended ours"));
    Ok(())
}
