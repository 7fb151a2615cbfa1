//! Months of the log that are over are taken away by the service's own upkeep, under load. Nobody waits long for a lock.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// PostgreSQL writes down who waits for longer than this for a lock.
const NOTICED: &str = "100ms";

/// In milliseconds. Most statements give up after the default of `postgres.lock_timeout`; those that wait for the head of
/// the log do not.
const LONGEST_WAIT: f64 = 500.0;

/// For how many seconds a lock is held so that it must be noticed.
const SEEN: u64 = 1;

/// How long the months may stay once an instance may take them away.
const GONE_WITHIN: Duration = Duration::from_secs(30);

pub(super) const FAULT: Fault = Fault {
    number: 43,
    name: "months-detached",
    what: "two months that are over and empty are detached from the log by the service's upkeep",
    strike,
    // The instances are restarted with and without the setting.
    limits: Limits { timers: Some(Duration::from_secs(2)), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let keep = || vec![("LIFECYCLE_POSTGRES__KEEP_LOG".to_owned(), "31d".to_owned())];
    let holder = scene.holder("maintenance")?;
    let others = (0..scene.rig.instances.len()).filter(|number| *number != holder).collect::<Vec<_>>();
    for number in &others {
        scene.restart_with(*number, keep())?;
    }
    let log = scene.rig.postgres().folder().join("log");
    scene.rig.sql(&format!("ALTER SYSTEM SET deadlock_timeout = '{NOTICED}'"))?;
    scene.rig.sql("ALTER SYSTEM SET log_lock_waits = on")?;
    scene.rig.sql("SELECT pg_reload_conf()")?;
    scene.rig.sql("SELECT lifecycle_make_partitions(lifecycle_now() - interval '4 months', 2)")?;
    pause(Duration::from_secs(1))?;
    let (months, written) = (months(scene)?, std::fs::metadata(&log)?.len());
    // Who takes over does all upkeep at once.
    scene.restart_with(holder, keep())?;
    let gone = wait(scene.profile.patience(GONE_WITHIN), || self::months(scene).is_ok_and(|left| left + 2 <= months))?;
    scene.in_time(gone, GONE_WITHIN, format!("the months are still there after {GONE_WITHIN:?}"));
    pause(scene.profile.fault / 2)?;
    let waits = Waits::since(&log, written)?;
    // Who looks for what is not there should be seen to find it.
    let measured = std::fs::metadata(&log)?.len();
    super::locks_held::hold_head(scene, SEEN)?;
    let shown = Waits::since(&log, measured)?;
    scene.expect(shown.noticed > 0, format!("nobody is seen to wait for a lock that is held for {SEEN} s"));
    for setting in ["deadlock_timeout", "log_lock_waits"] {
        scene.rig.sql(&format!("ALTER SYSTEM RESET {setting}"))?;
    }
    scene.rig.sql("SELECT pg_reload_conf()")?;
    for number in others.into_iter().chain([holder]) {
        scene.restart_with(number, Vec::new())?;
    }
    scene.note(format!(
        "gone after {gone:?}; {} waits for locks of more than {NOTICED}, the longest {} ms, {} given up; \
         with the head of the log held for {SEEN} s: {}, the longest {} ms",
        waits.noticed, waits.longest, waits.given_up, shown.noticed, shown.longest
    ));
    scene.measure(waits.longest <= LONGEST_WAIT, format!("a lock was waited for {} ms", waits.longest));
    scene.measure(waits.given_up == 0, format!("{} statements got no lock in time", waits.given_up));
    // They stay as tables of their own until somebody archives them.
    scene.rig.sql(
        "DO $$ DECLARE month text; BEGIN FOR month IN SELECT relname FROM pg_class \
         WHERE relname ~ '^journal_[0-9]{4}_[0-9]{2}$' AND relkind = 'r' AND NOT relispartition LOOP \
         EXECUTE format('DROP TABLE %I', month); END LOOP; END $$",
    )?;
    Ok(())
}

/// How many months the log has.
fn months(scene: &Scene<'_>) -> Result<u64> {
    scene.rig.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'journal'::regclass")
}

/// What PostgreSQL wrote about locks.
struct Waits {
    /// Of more than [`NOTICED`].
    noticed: usize,
    /// Of those that got it in the end, in milliseconds.
    longest: f64,
    /// Until `lock_timeout`.
    given_up: usize,
}

impl Waits {
    fn since(log: &Path, written: u64) -> Result<Self> {
        let text = std::fs::read(log).with_context(|| log.display().to_string())?;
        let text = String::from_utf8_lossy(&text[usize::try_from(written)?.min(text.len())..]).into_owned();
        let granted = text.lines().filter(|line| line.contains(" acquired "));
        let longest = granted.filter_map(|line| line.split(" after ").nth(1)?.split(' ').next()?.parse().ok());
        Ok(Self {
            noticed: text.matches(" still waiting for ").count(),
            longest: longest.fold(0.0, f64::max),
            given_up: text.matches("due to lock timeout").count(),
        })
    }
}
