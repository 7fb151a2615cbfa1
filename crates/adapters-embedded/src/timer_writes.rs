//! Changes of the timer table. Which changes there are and why is the domain's business.

use diesel::prelude::*;
use domain::{CampaignKey, Timer, Timestamp};
use ports::store::TimerWrite;

use crate::failure::Failure;
use crate::rows::{int, micros, rank};
use crate::schema::statement;
use crate::store::Held;
use crate::writer::Unit;

statement! {
    ArmTimer<'a> {
        id: &'a [u8] as Binary,
        campaign: i64 as BigInt,
        tenant: &'a str as Text,
        kind: &'a str as Text,
        name: &'a str as Text,
        due_at: i64 as BigInt,
        rank: i64 as BigInt,
        generation: i64 as BigInt,
        payload: Option<&'a str> as MaybeText,
        fire_at: i64 as BigInt,
    }
    "INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, payload, state, held, attempts, \
     fire_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'PENDING', 0, 0, ?)"
}

// A timer that was given up is still the campaign's: an operator may execute it, and the next status cancels it.
statement! {
    CompleteTimer<'a> { at: i64 as BigInt, id: &'a [u8] as Binary }
    "UPDATE timers SET state = 'COMPLETED', held = 0, retry_at = NULL, fire_at = NULL, completed_at = ? \
     WHERE id = ? AND state IN ('PENDING', 'FAILED')"
}

statement! {
    CancelTimer<'a> { id: &'a [u8] as Binary }
    "UPDATE timers SET state = 'CANCELLED', held = 0, retry_at = NULL, fire_at = NULL \
     WHERE id = ? AND state IN ('PENDING', 'FAILED')"
}

statement! {
    HoldTimer<'a> { id: &'a [u8] as Binary }
    "UPDATE timers SET held = 1, retry_at = NULL, fire_at = NULL WHERE id = ? AND state = 'PENDING'"
}

statement! {
    RetryTimer<'a> {
        retry_at: i64 as BigInt,
        fire_at: i64 as BigInt,
        attempts: i64 as BigInt,
        error: &'a str as Text,
        id: &'a [u8] as Binary,
    }
    "UPDATE timers SET held = 0, retry_at = ?, fire_at = ?, attempts = ?, error = ? WHERE id = ? AND state = 'PENDING'"
}

statement! {
    PutOffTimer<'a> {
        retry_at: i64 as BigInt,
        fire_at: i64 as BigInt,
        error: &'a str as Text,
        id: &'a [u8] as Binary,
    }
    "UPDATE timers SET retry_at = ?, fire_at = ?, error = ?, attempts = attempts + 1 WHERE id = ? AND state = 'PENDING'"
}

/// Leaves a due timer alone until `until`.
pub(crate) fn put_off(
    connection: &mut SqliteConnection,
    id: &[u8],
    until: Timestamp,
    error: &str,
) -> Result<(), Failure> {
    let at = micros(until);
    PutOffTimer { retry_at: at, fire_at: at, error, id }.execute(connection)?;
    Ok(())
}

statement! {
    FailTimer<'a> {
        attempts: i64 as BigInt,
        error: &'a str as Text,
        id: &'a [u8] as Binary,
    }
    "UPDATE timers SET state = 'FAILED', held = 0, retry_at = NULL, fire_at = NULL, attempts = ?, error = ? \
     WHERE id = ? AND state = 'PENDING'"
}

/// Does it; nothing when the timer is at its end already.
pub(crate) fn apply(unit: &mut Unit<'_>, held: &mut Held, write: &TimerWrite) -> Result<(), Failure> {
    match write {
        TimerWrite::Arm { key, timer } => return arm(unit, held, key, timer),
        TimerWrite::Complete { id, at } => {
            CompleteTimer { at: micros(*at), id: id.0.as_bytes() }.execute(unit.connection)?
        }
        TimerWrite::Cancel { id } => CancelTimer { id: id.0.as_bytes() }.execute(unit.connection)?,
        TimerWrite::Hold { id } => HoldTimer { id: id.0.as_bytes() }.execute(unit.connection)?,
        TimerWrite::Retry { id, at, attempts, error } => {
            unit.news.arm(*at);
            let (at, attempts) = (micros(*at), i64::from(*attempts));
            RetryTimer { retry_at: at, fire_at: at, attempts, error, id: id.0.as_bytes() }.execute(unit.connection)?
        }
        TimerWrite::Fail { id, attempts, error } => {
            FailTimer { attempts: i64::from(*attempts), error, id: id.0.as_bytes() }.execute(unit.connection)?
        }
    };
    Ok(())
}

fn arm(unit: &mut Unit<'_>, held: &mut Held, key: &CampaignKey, timer: &Timer) -> Result<(), Failure> {
    let campaign = held.number(unit.connection, key)?;
    let due_at = micros(timer.due);
    ArmTimer {
        id: timer.id.0.as_bytes(),
        campaign,
        tenant: key.tenant.as_str(),
        kind: timer.kind.as_str(),
        name: timer.kind.name().map_or("", domain::TimerName::as_str),
        due_at,
        rank: rank(&timer.kind),
        generation: int(timer.generation),
        payload: timer.payload.as_ref().map(domain::JsonText::as_str),
        fire_at: due_at,
    }
    .execute(unit.connection)?;
    unit.news.arm(timer.due);
    Ok(())
}
