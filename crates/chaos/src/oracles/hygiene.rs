//! O9: nothing is left hanging, nobody has died, and the processes hold what they held before.

use anyhow::{Context as _, Result};

use super::{Circumstances, Judgement, left_of};
use crate::rig::{Holdings, Rig};

/// By how much memory and files may have grown, and what is no growth at all.
const GROWTH_PERCENT: u64 = 110;
const SLACK_MEMORY_KIB: u64 = 24 * 1024;
const SLACK_FILES: u64 = 12;

/// What the instances held, and wrote, before the fault.
pub(crate) struct Baseline {
    holdings: Vec<Holdings>,
    panics: usize,
    letters: u64,
}

impl Baseline {
    pub(crate) fn of(rig: &Rig) -> Result<Self> {
        let holdings = rig.instances.iter().map(crate::rig::Instance::holdings).collect::<Result<_>>()?;
        Ok(Self { holdings, panics: panics(rig), letters: letters(rig)? })
    }
}

/// Events that nobody has finished: delivered and not acknowledged, or not even delivered.
pub(crate) fn inbound_left(rig: &Rig) -> Result<u64> {
    let left = rig.redis().try_cli(&["EVAL", LEFT, "1", "campaign-events"])?;
    left.trim().parse().with_context(|| format!("{left:?} is no number of events"))
}

/// What groups have pending, and what lies behind the last entry that they were handed. The `lag` that Redis tells is a guess after
/// it was trimmed and read its append-only file again.
const LEFT: &str = "\
    if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end \
    local left = 0 \
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do \
        local about = {} \
        for i = 1, #group, 2 do about[group[i]] = group[i + 1] end \
        left = left + about['pending'] + #redis.call('XRANGE', KEYS[1], '(' .. about['last-delivered-id'], '+') \
    end \
    return left";

/// Sessions that have forgotten a transaction.
const IDLE: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND backend_type = 'client backend' AND state LIKE 'idle in transaction%' \
                    AND state_change < clock_timestamp() - interval '3 seconds'";

/// Sessions that get no lock.
const WAITING: &str =
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '5 seconds'";

pub(super) fn judge(rig: &mut Rig, circumstances: &Circumstances<'_>, judgement: &mut Judgement) -> Result<()> {
    let idle = left_of(rig, IDLE, circumstances.patience)?;
    judgement.check("O9", idle == 0, || format!("{idle} sessions are idle in a transaction"));
    let waiting = left_of(rig, WAITING, circumstances.patience)?;
    judgement.check("O9", waiting == 0, || format!("{waiting} sessions wait for a lock"));
    let left = inbound_left(rig)?;
    judgement.check("O9", left == 0, || format!("{left} events are not finished"));
    let (panics, letters) = (panics(rig), letters(rig)?);
    let before = circumstances.baseline;
    judgement.check("O9", panics == before.panics, || "an instance panicked, see its log".to_owned());
    judgement.check("O9", circumstances.limits.letters || letters == before.letters, || {
        format!("{} dead letters that nobody asked for", letters - before.letters)
    });
    for (instance, before) in rig.instances.iter_mut().zip(&before.holdings) {
        let number = instance.number;
        if !instance.is_there() {
            judgement.check("O9", false, || format!("instance {number} has ended by itself"));
            continue;
        }
        let now = instance.holdings()?;
        let bound = |before: u64, slack| before * GROWTH_PERCENT / 100 + slack;
        judgement.measure("O9", now.memory_kib <= bound(before.memory_kib, SLACK_MEMORY_KIB), || {
            format!("instance {number} grew from {} to {} KiB", before.memory_kib, now.memory_kib)
        });
        judgement.measure("O9", now.files <= bound(before.files, SLACK_FILES), || {
            format!("instance {number} holds {} files, and held {}", now.files, before.files)
        });
    }
    Ok(())
}

fn panics(rig: &Rig) -> usize {
    rig.instances.iter().map(|instance| instance.whole_log().matches("panicked").count()).sum()
}

fn letters(rig: &Rig) -> Result<u64> {
    rig.number("SELECT count(*) FROM dead_letters")
}
