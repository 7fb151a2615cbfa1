//! The stored forms of the domain's small values.

use std::borrow::Cow;

use chrono::TimeDelta;
use domain::{JsonText, LifecycleTimer, Status, Timer, TimerId, TimerKind, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DecodeError, Version1, read};
use crate::{json, time};

/// A text that is borrowed in both directions unless it holds escapes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Text<'_> {
    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        field: &'static str,
    ) -> Result<T, DecodeError> {
        self.0.parse().map_err(|error| DecodeError::invalid(field, error))
    }

    pub(super) fn json(&self, field: &'static str) -> Result<JsonText, DecodeError> {
        JsonText::new(&self.0).map_err(|error| DecodeError::invalid(field, error))
    }
}

pub(super) fn instant(micros: i64, field: &'static str) -> Result<Timestamp, DecodeError> {
    time::from_micros(micros).ok_or_else(|| DecodeError::invalid(field, "no such instant"))
}

/// A wait in microseconds; beyond the 292,000 years that fit, the longest that does.
pub(super) fn wait(length: TimeDelta) -> i64 {
    length.num_microseconds().unwrap_or(if length < TimeDelta::zero() { i64::MIN } else { i64::MAX })
}

pub(super) fn status(text: &Text<'_>) -> Result<Status, DecodeError> {
    text.parse("status")
}

pub(super) fn lifecycle_timer(name: &str) -> Result<LifecycleTimer, DecodeError> {
    LifecycleTimer::ALL
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or_else(|| DecodeError::invalid("timer kind", format_args!("there is no {name:?}")))
}

/// A timer: id, kind, name (CUSTOM only), due time, generation, payload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TimerForm<'a> {
    i: Uuid,
    #[serde(borrow)]
    k: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    n: Option<Text<'a>>,
    d: i64,
    g: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    p: Option<Text<'a>>,
}

impl<'a> From<&'a Timer> for TimerForm<'a> {
    fn from(timer: &'a Timer) -> Self {
        Self {
            i: timer.id.0,
            k: timer.kind.as_str().into(),
            n: timer.kind.name().map(|name| name.as_str().into()),
            d: time::micros(timer.due),
            g: timer.generation,
            p: timer.payload.as_ref().map(|payload| payload.as_str().into()),
        }
    }
}

impl TimerForm<'_> {
    pub(super) fn decode(&self) -> Result<Timer, DecodeError> {
        let kind = match &self.n {
            Some(name) => TimerKind::Custom(name.parse("timer name")?),
            None => TimerKind::Lifecycle(lifecycle_timer(&self.k.0)?),
        };
        Ok(Timer {
            id: TimerId(self.i),
            kind,
            due: instant(self.d, "timer due")?,
            generation: self.g,
            payload: self.p.as_ref().map(|payload| payload.json("timer payload")).transpose()?,
        })
    }
}

pub(super) fn timer_forms(timers: &[Timer]) -> Vec<TimerForm<'_>> {
    timers.iter().map(TimerForm::from).collect()
}

pub(super) fn timers(forms: &[TimerForm<'_>]) -> Result<Vec<Timer>, DecodeError> {
    forms.iter().map(TimerForm::decode).collect()
}

/// A timer by itself, as a dead letter shows it to people.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimerLetter<'a> {
    v: Version1,
    timer_id: Uuid,
    #[serde(borrow)]
    timer_type: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    due_at: Text<'a>,
    generation: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<Text<'a>>,
}

/// Writes a timer for a dead letter.
pub fn encode_timer(timer: &Timer) -> String {
    json::write(&TimerLetter {
        v: Version1,
        timer_id: timer.id.0,
        timer_type: timer.kind.as_str().into(),
        name: timer.kind.name().map(|name| name.as_str().into()),
        due_at: Text(Cow::Owned(time::format(timer.due))),
        generation: timer.generation,
        payload: timer.payload.as_ref().map(|payload| payload.as_str().into()),
    })
}

/// Reads what [`encode_timer`] wrote.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_timer(text: &str) -> Result<Timer, DecodeError> {
    let letter: TimerLetter<'_> = read(text)?;
    let due = time::parse(&letter.due_at.0).map_err(|error| DecodeError::invalid("timer due", error))?;
    let (i, k, d) = (letter.timer_id, letter.timer_type, time::micros(due));
    TimerForm { i, k, n: letter.name, d, g: letter.generation, p: letter.payload }.decode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::samples;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_timer_of_a_dead_letter_is_read_back_as_it_was(timer in samples::timer()) {
            prop_assert_eq!(decode_timer(&encode_timer(&timer)).expect("reads what it wrote"), timer);
        }
    }

    #[test]
    fn people_can_read_the_timer_of_a_dead_letter() {
        assert_eq!(
            encode_timer(&samples::start_timer()),
            concat!(
                r#"{"v":1,"timerId":"00000000-0000-0000-0000-000000000001","timerType":"START_CAMPAIGN","#,
                r#""dueAt":"2026-11-23T10:00:00Z","generation":1}"#
            )
        );
    }
}
