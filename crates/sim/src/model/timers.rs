//! The timer table, with what finds due timers in it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{CampaignKey, LifecycleTimer, Timer, TimerId, TimerKind, Timestamp};
use ports::query::{TimerRow, TimerState};
use ports::store::TimerWrite;

/// All timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    rows: BTreeMap<TimerId, Row>,
    due: BTreeSet<(Timestamp, usize, TimerId)>,
    of: BTreeMap<CampaignKey, Vec<TimerId>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) row: TimerRow,
    /// When it comes due; none where the clock does not reach it.
    fire_at: Option<Timestamp>,
}

/// What a timer was before a write; none where it was not.
type Before = (TimerId, Option<Row>);

impl Timers {
    pub(crate) fn get(&self, id: TimerId) -> Option<&TimerRow> {
        self.rows.get(&id).map(|row| &row.row)
    }

    pub(crate) fn of<'a>(&'a self, key: &CampaignKey) -> impl Iterator<Item = &'a TimerRow> {
        self.of.get(key).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &TimerRow> {
        self.rows.values().map(|row| &row.row)
    }

    /// Timers that are due, earliest first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &TimerRow)> {
        let until = now + chrono::TimeDelta::microseconds(1);
        let found = self.due.range(..(until, 0, TimerId(uuid::Uuid::nil())));
        found.filter_map(|(at, _, id)| self.get(*id).map(|row| (*at, row)))
    }

    /// When the next timer comes due, or came.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Does all of `writes`, or none; a second pending timer of a kind, or one of no campaign, is refused.
    pub(crate) fn write(
        &mut self,
        writes: &[TimerWrite],
        is_known: impl Fn(&CampaignKey) -> bool,
    ) -> Result<(), String> {
        let mut undo: Vec<Before> = Vec::new();
        for write in writes {
            if let Err(why) = self.write_one(write, &is_known, &mut undo) {
                for (id, row) in undo.into_iter().rev() {
                    self.put(id, row);
                }
                return Err(why);
            }
        }
        Ok(())
    }

    fn write_one(
        &mut self,
        write: &TimerWrite,
        is_known: &impl Fn(&CampaignKey) -> bool,
        undo: &mut Vec<Before>,
    ) -> Result<(), String> {
        let (id, change): (TimerId, &dyn Fn(&mut Row)) = match write {
            TimerWrite::Arm { key, timer } => {
                self.check_place(key, timer, is_known)?;
                undo.push((timer.id, None));
                self.put(timer.id, Some(Row { row: armed(key, timer), fire_at: Some(timer.due) }));
                return Ok(());
            }
            TimerWrite::Complete { id, at } => (*id, &|row| end(row, TimerState::Completed, Some(*at))),
            TimerWrite::Cancel { id } => (*id, &|row| end(row, TimerState::Cancelled, None)),
            TimerWrite::Hold { id } => (*id, &|row| {
                row.row.held = true;
                row.row.retry_at = None;
                row.fire_at = None;
            }),
            TimerWrite::Retry { id, at, attempts, error } => (*id, &|row| {
                row.row.held = false;
                row.row.retry_at = Some(*at);
                row.row.attempts = *attempts;
                row.row.error = Some(error.clone());
                row.fire_at = Some(*at);
            }),
            TimerWrite::Fail { id, attempts, error } => (*id, &|row| {
                end(row, TimerState::Failed, None);
                row.row.attempts = *attempts;
                row.row.error = Some(error.clone());
            }),
        };
        let Some(before) = self.rows.get(&id).cloned() else { return Ok(()) };
        let ends = matches!(write, TimerWrite::Complete { .. } | TimerWrite::Cancel { .. });
        let may = before.row.state == TimerState::Pending || (before.row.state == TimerState::Failed && ends);
        if may {
            let mut after = before.clone();
            change(&mut after);
            undo.push((id, Some(before)));
            self.put(id, Some(after));
        }
        Ok(())
    }

    fn check_place(
        &self,
        key: &CampaignKey,
        timer: &Timer,
        is_known: &impl Fn(&CampaignKey) -> bool,
    ) -> Result<(), String> {
        if !is_known(key) || self.rows.contains_key(&timer.id) {
            return Err(format!("there is no campaign {key}, or the timer is there"));
        }
        let taken = self.of(key).any(|row| row.state == TimerState::Pending && row.timer.kind == timer.kind);
        if taken { Err(format!("{key} has a pending {} timer", timer.kind.as_str())) } else { Ok(()) }
    }

    /// Sets a row, or takes it away.
    fn put(&mut self, id: TimerId, row: Option<Row>) {
        if let Some(old) = self.rows.remove(&id) {
            if let Some(place) = place(&old) {
                self.due.remove(&place);
            }
            if row.is_none()
                && let Some(ids) = self.of.get_mut(&old.row.key)
            {
                ids.retain(|known| *known != id);
            }
        } else if let Some(new) = &row {
            self.of.entry(new.row.key.clone()).or_default().push(id);
        }
        if let Some(new) = row {
            self.due.extend(place(&new));
            self.rows.insert(id, new);
        }
    }

    /// Takes a timer out of what finds due timers, and nothing else: what a planted bug does.
    pub(crate) fn forget(&mut self, id: TimerId) {
        self.due.retain(|(_, _, known)| *known != id);
    }
}

fn place(row: &Row) -> Option<(Timestamp, usize, TimerId)> {
    row.fire_at.map(|at| (at, rank(&row.row.timer.kind), row.row.timer.id))
}

/// Among timers of one instant a step of the life goes before the expiry that would end it.
fn rank(kind: &TimerKind) -> usize {
    kind.lifecycle().and_then(|kind| LifecycleTimer::ALL.iter().position(|k| *k == kind)).unwrap_or(usize::MAX)
}

fn end(row: &mut Row, state: TimerState, at: Option<Timestamp>) {
    row.row.state = state;
    row.row.held = false;
    row.row.retry_at = None;
    row.row.completed_at = at;
    row.fire_at = None;
}

fn armed(key: &CampaignKey, timer: &Timer) -> TimerRow {
    TimerRow {
        key: key.clone(),
        timer: timer.clone(),
        state: TimerState::Pending,
        held: false,
        attempts: 0,
        retry_at: None,
        error: None,
        completed_at: None,
    }
}
