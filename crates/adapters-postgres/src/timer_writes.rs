//! Changes of the timer table. Which changes there are and why is the domain's business.

use std::collections::HashMap;

use domain::{CampaignKey, Timer, TimerId, Timestamp};
use ports::store::TimerWrite;
use uuid::Uuid;

use crate::failure::{Failure, refused};
use crate::pipeline::Pipeline;
use crate::rows::{attempts_column, int, rank};
use crate::schema::statement;
use crate::unit::{News, Numbers};

statement! {
    /// Campaigns that are new, or were not held, have no number yet and are found by their keys; those of the same
    /// transaction, too. Without OFFSET the search would be run twice.
    ArmTimers<'a> {
        id: Vec<Uuid> as Uuids,
        number: Vec<Option<i64>> as MaybeBigInts,
        tenant: Vec<&'a str> as Texts,
        campaign: Vec<&'a str> as Texts,
        kind: Vec<&'a str> as Texts,
        name: Vec<&'a str> as Texts,
        due_at: Vec<Timestamp> as Timestamptzs,
        rank: Vec<i16> as SmallInts,
        generation: Vec<i64> as BigInts,
        payload: Vec<Option<&'a str>> as MaybeTexts,
    }
    "INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, payload, state, held, attempts, \
       fire_at) \
     SELECT id, place, tenant, kind, name, due_at, rank, generation, payload, 'PENDING', false, 0, due_at \
     FROM ( \
       SELECT *, coalesce(number, (SELECT c.number FROM campaigns c WHERE c.tenant = u.tenant AND c.id = campaign)) AS place \
       FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         AS u (id, number, tenant, campaign, kind, name, due_at, rank, generation, payload) \
       OFFSET 0 \
     ) AS found WHERE place IS NOT NULL"
}

statement! {
    /// A timer that was given up is still the campaign's: an operator may execute it, and the next status cancels it.
    /// What is at its end already stays as it is.
    ChangeTimers<'a> {
        id: Vec<Uuid> as Uuids,
        state: Vec<&'a str> as Texts,
        held: Vec<bool> as Bools,
        retry_at: Vec<Option<Timestamp>> as MaybeTimestamptzs,
        completed_at: Vec<Option<Timestamp>> as MaybeTimestamptzs,
        attempts: Vec<Option<i32>> as MaybeIntegers,
        error: Vec<Option<&'a str>> as MaybeTexts,
    }
    "UPDATE timers t SET state = u.state, held = u.held, retry_at = u.retry_at, fire_at = u.retry_at, \
       completed_at = u.completed_at, attempts = coalesce(u.attempts, t.attempts), error = coalesce(u.error, t.error) \
     FROM unnest(?, ?, ?, ?, ?, ?, ?) AS u (id, state, held, retry_at, completed_at, attempts, error) \
     WHERE t.id = u.id AND (t.state = 'PENDING' OR (t.state = 'FAILED' AND u.state IN ('COMPLETED', 'CANCELLED')))"
}

/// Does what `writes` say, with the result of doing one after the other.
pub(crate) async fn write(
    pipeline: &mut Pipeline<'_>,
    numbers: &Numbers,
    news: &mut News,
    writes: &[TimerWrite],
) -> Result<(), Failure> {
    for phase in phases(writes) {
        if !phase.changes.is_empty() {
            pipeline.push(change(&phase.changes), |_| Ok(())).await?;
        }
        if let Some((key, _)) = phase.arms.first() {
            let (key, count) = ((*key).clone(), phase.arms.len());
            let all = move |armed| {
                if armed == count {
                    return Ok(());
                }
                Err(refused(format!("there is no campaign {key}, or none for another timer of this batch")))
            };
            pipeline.push(arm(numbers, &phase.arms), all).await?;
        }
    }
    for write in writes {
        match write {
            TimerWrite::Arm { timer, .. } => news.arm(timer.due),
            TimerWrite::Retry { at, .. } => news.arm(*at),
            TimerWrite::Complete { .. }
            | TimerWrite::Cancel { .. }
            | TimerWrite::Hold { .. }
            | TimerWrite::Fail { .. } => {}
        }
    }
    Ok(())
}

/// Writes that go together: first all changes, then all new timers.
#[derive(Default)]
struct Phase<'a> {
    changes: Vec<&'a TimerWrite>,
    arms: Vec<(&'a CampaignKey, &'a Timer)>,
}

/// Most often one phase. A timer that occurs again is done in a later phase, and new timers come after all that was asked
/// for before them, since that may make their place free (S8).
fn phases(writes: &[TimerWrite]) -> Vec<Phase<'_>> {
    let mut phases: Vec<Phase<'_>> = Vec::new();
    let mut last: HashMap<TimerId, usize> = HashMap::new();
    let mut latest_change = 0;
    for write in writes {
        let id = id_of(write);
        let again = last.get(&id).map_or(0, |last| last + 1);
        let phase = if matches!(write, TimerWrite::Arm { .. }) { again.max(latest_change) } else { again };
        last.insert(id, phase);
        if phases.len() <= phase {
            phases.resize_with(phase + 1, Phase::default);
        }
        match write {
            TimerWrite::Arm { key, timer } => phases[phase].arms.push((key, timer)),
            change => {
                latest_change = latest_change.max(phase);
                phases[phase].changes.push(change);
            }
        }
    }
    phases
}

fn id_of(write: &TimerWrite) -> TimerId {
    match write {
        TimerWrite::Arm { timer, .. } => timer.id,
        TimerWrite::Complete { id, .. }
        | TimerWrite::Cancel { id }
        | TimerWrite::Hold { id }
        | TimerWrite::Retry { id, .. }
        | TimerWrite::Fail { id, .. } => *id,
    }
}

fn arm<'a>(numbers: &Numbers, arms: &[(&'a CampaignKey, &'a Timer)]) -> ArmTimers<'a> {
    let timers = || arms.iter().map(|(_, timer)| *timer);
    ArmTimers {
        id: timers().map(|t| t.id.0).collect(),
        number: arms.iter().map(|(key, _)| numbers.get(*key).copied()).collect(),
        tenant: arms.iter().map(|(key, _)| key.tenant.as_str()).collect(),
        campaign: arms.iter().map(|(key, _)| key.id.as_str()).collect(),
        kind: timers().map(|t| t.kind.as_str()).collect(),
        name: timers().map(|t| t.kind.name().map_or("", domain::TimerName::as_str)).collect(),
        due_at: timers().map(|t| t.due).collect(),
        rank: timers().map(|t| rank(&t.kind)).collect(),
        generation: timers().map(|t| int(t.generation)).collect(),
        payload: timers().map(|t| t.payload.as_ref().map(domain::JsonText::as_str)).collect(),
    }
}

fn change<'a>(changes: &[&'a TimerWrite]) -> ChangeTimers<'a> {
    let mut all = ChangeTimers {
        id: Vec::new(),
        state: Vec::new(),
        held: Vec::new(),
        retry_at: Vec::new(),
        completed_at: Vec::new(),
        attempts: Vec::new(),
        error: Vec::new(),
    };
    for change in changes {
        let (state, retry_at, completed_at, tried, error) = match change {
            TimerWrite::Complete { at, .. } => ("COMPLETED", None, Some(*at), None, None),
            TimerWrite::Cancel { .. } => ("CANCELLED", None, None, None, None),
            TimerWrite::Retry { at, attempts, error, .. } => {
                ("PENDING", Some(*at), None, Some(*attempts), Some(error.as_str()))
            }
            TimerWrite::Fail { attempts, error, .. } => ("FAILED", None, None, Some(*attempts), Some(error.as_str())),
            TimerWrite::Hold { .. } | TimerWrite::Arm { .. } => ("PENDING", None, None, None, None),
        };
        all.id.push(id_of(change).0);
        all.state.push(state);
        all.held.push(matches!(change, TimerWrite::Hold { .. }));
        all.retry_at.push(retry_at);
        all.completed_at.push(completed_at);
        all.attempts.push(tried.map(attempts_column));
        all.error.push(error);
    }
    all
}
