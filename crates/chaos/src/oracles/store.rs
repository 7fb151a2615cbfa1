//! O3, O4, O5 and O8: the store by itself, by SQL and by the service's own proof.

use anyhow::{Context as _, Result};

use super::{Circumstances, Judgement, left_of};
use crate::rig::Rig;

/// Timers that nobody fires though they are due.
pub(crate) const OVERDUE: &str =
    "SELECT count(*) FROM timers WHERE fire_at < lifecycle_now() - interval '1 second' AND retry_at IS NULL";

pub(super) fn judge(rig: &Rig, circumstances: &Circumstances<'_>, judgement: &mut Judgement) -> Result<()> {
    let run = circumstances.run;
    let gaps = rig.sql(&format!(
        "SELECT c.id || ' (' || c.version || ', ' || count(*) || ' steps from ' || min(j.sequence) || ' to ' || \
         max(j.sequence) || ')' FROM campaigns c JOIN journal j ON j.tenant = c.tenant AND j.campaign = c.id \
         WHERE c.id LIKE '{run}-%' AND j.sequence IS NOT NULL GROUP BY c.id, c.version \
         HAVING min(j.sequence) <> 1 OR max(j.sequence) <> count(*) OR c.version <> count(*) \
         OR count(DISTINCT j.sequence) <> count(*)"
    ))?;
    judgement.none("O3", "logs with a gap or a repeat", &lines(&gaps));
    let holes = rig.sql(
        "SELECT 'after ' || before FROM (SELECT position, lag(position, 1, (SELECT floor FROM journal_head)) OVER \
         (ORDER BY position) AS before FROM journal) AS all_rows WHERE position <> before + 1",
    )?;
    judgement.none("O3", "positions that are missing", &lines(&holes));
    if let Err(error) = rig.lifecycle(&["verify"]) {
        judgement.check("O4", false, || format!("{error:#}"));
    }
    timers(rig, circumstances, judgement)?;
    if let Err(error) = rig.lifecycle(&["audit", "verify", "--expect", circumstances.anchor]) {
        judgement.check("O8", false, || format!("{error:#}"));
    }
    Ok(())
}

/// A timer's id tells when it was made: one that was armed late, because its command was, is late from then on.
fn timers(rig: &Rig, circumstances: &Circumstances<'_>, judgement: &mut Judgement) -> Result<()> {
    const MADE: &str = "to_timestamp(('x' || left(replace(t.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)";
    let run = circumstances.run;
    let known = if circumstances.limits.ids_tell_time { MADE } else { "t.due_at" };
    let told = rig.sql(&format!(
        "SELECT count(*), count(*) FILTER (WHERE completed_at < due_at), \
           coalesce(max(ceil(extract(epoch FROM completed_at - greatest(due_at, known)) * 1000)), 0)::bigint \
         FROM (SELECT t.due_at, t.completed_at, {known} AS known \
           FROM timers t JOIN campaigns c ON c.number = t.campaign \
           WHERE c.id LIKE '{run}-%' AND t.completed_at IS NOT NULL) AS fired"
    ))?;
    let mut numbers = told.trim().split('|').map(str::parse::<i64>);
    let mut number = || numbers.next().context("a number is missing")?.context("no number");
    judgement.figures.timers_fired = u64::try_from(number()?)?;
    let early = number()?;
    judgement.figures.worst_lateness_ms = number()?;
    judgement.check("O5", early == 0, || format!("{early} timers fired early"));
    let overdue = left_of(rig, OVERDUE, circumstances.patience)?;
    judgement.check("O5", overdue == 0, || format!("{overdue} timers are overdue after all was well again"));
    Ok(())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
