//! The stored form of a journal entry: a kind, for queries, and its data.

use domain::{Event, Firing, SkipReason, Step};
use ports::journal::{CampaignStep, Entry};
use serde::{Deserialize, Serialize};

use super::campaign::{DefinitionForm, window};
use super::forms::{Text, TimerForm, instant, status, timer_forms, timers};
use super::policy::PolicyForm;
use super::{DecodeError, Version1, read};
use crate::{json, time};

/// An entry as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// What it says; one of a fixed set.
    pub kind: &'static str,
    /// The details, as JSON.
    pub data: String,
}

const INITIALIZED: &str = "initialized";
const STATUS_CHANGED: &str = "status_changed";
const UPDATED: &str = "updated";
const ENGAGEMENTS_RECORDED: &str = "engagements_recorded";
const TARGET_REACHED: &str = "target_reached";
const REMINDER_SCHEDULED: &str = "reminder_scheduled";
const REMINDER_CANCELLED: &str = "reminder_cancelled";
const REMINDER_FIRED: &str = "reminder_fired";
const TIMER_SKIPPED: &str = "timer_skipped";
const TIMER_HELD: &str = "timer_held";
const REJECTED: &str = "rejected";
const TIMER_FAILED: &str = "timer_failed";
const NOTICE: &str = "notice";

/// The kinds that are steps of a campaign: its log is made of them.
pub const STEP_KINDS: [&str; 10] = [
    INITIALIZED,
    STATUS_CHANGED,
    UPDATED,
    ENGAGEMENTS_RECORDED,
    TARGET_REACHED,
    REMINDER_SCHEDULED,
    REMINDER_CANCELLED,
    REMINDER_FIRED,
    TIMER_SKIPPED,
    TIMER_HELD,
];

/// The kinds that change a campaign's status, its beginning included.
pub const TRANSITION_KINDS: [&str; 2] = [INITIALIZED, STATUS_CHANGED];

/// The kind that `entry` is stored as.
pub fn entry_kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Step(step) => match &step.step.event {
            Event::Initialized { .. } => INITIALIZED,
            Event::StatusChanged { .. } => STATUS_CHANGED,
            Event::Updated { .. } => UPDATED,
            Event::EngagementsRecorded { .. } => ENGAGEMENTS_RECORDED,
            Event::TargetReached { .. } => TARGET_REACHED,
            Event::ReminderScheduled { .. } => REMINDER_SCHEDULED,
            Event::ReminderCancelled { .. } => REMINDER_CANCELLED,
            Event::ReminderFired { .. } => REMINDER_FIRED,
            Event::TimerSkipped { .. } => TIMER_SKIPPED,
            Event::TimerHeld { .. } => TIMER_HELD,
        },
        Entry::Rejected { .. } => REJECTED,
        Entry::TimerFailed { .. } => TIMER_FAILED,
        Entry::Notice { .. } => NOTICE,
    }
}

/// A step: campaign, owner, status after, sequence, time, event, armed, cancelled, metadata.
#[derive(Serialize, Deserialize)]
struct StepForm<'a, E> {
    v: Version1,
    #[serde(borrow)]
    c: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    o: Option<Text<'a>>,
    #[serde(borrow)]
    s: Text<'a>,
    n: u64,
    at: i64,
    e: E,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    ar: Vec<TimerForm<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    ca: Vec<TimerForm<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    md: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
struct InitializedForm<'a> {
    #[serde(borrow)]
    d: DefinitionForm<'a>,
    p: PolicyForm,
}

#[derive(Serialize, Deserialize)]
struct StatusChangedForm<'a> {
    #[serde(borrow)]
    f: Text<'a>,
    #[serde(borrow)]
    t: Text<'a>,
    #[serde(borrow)]
    by: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ti: Option<TimerForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct UpdatedForm<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ac: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    re: Option<bool>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    md: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
struct CountForm {
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct ReminderForm<'a> {
    #[serde(borrow)]
    n: Text<'a>,
    at: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    p: Option<Text<'a>>,
}

/// A timer and, where there is more than one possibility, who fired it or why it was skipped.
#[derive(Serialize, Deserialize)]
struct TimerEventForm<'a> {
    #[serde(borrow)]
    ti: TimerForm<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    by: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RejectedForm<'a> {
    v: Version1,
    #[serde(borrow)]
    c: Text<'a>,
    #[serde(borrow)]
    cmd: Text<'a>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    msg: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct TimerFailedForm<'a> {
    v: Version1,
    #[serde(borrow)]
    c: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    o: Option<Text<'a>>,
    #[serde(borrow)]
    ti: TimerForm<'a>,
    n: u32,
    #[serde(borrow)]
    err: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct NoticeForm<'a> {
    v: Version1,
    #[serde(borrow)]
    name: Text<'a>,
    // Older versions, which know no notice about a campaign, pass it over.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    c: Option<Text<'a>>,
    #[serde(borrow)]
    on: Text<'a>,
    #[serde(borrow)]
    d: Text<'a>,
}

/// Writes an entry.
pub fn encode_entry(entry: &Entry) -> StoredEntry {
    let data = match entry {
        Entry::Step(step) => encode_step(step),
        Entry::Rejected { campaign, command, code, message } => json::write(&RejectedForm {
            v: Version1,
            c: campaign.as_str().into(),
            cmd: command.as_str().into(),
            code: code.as_str().into(),
            msg: message.as_str().into(),
        }),
        Entry::TimerFailed { campaign, owner, timer, attempts, error } => json::write(&TimerFailedForm {
            v: Version1,
            c: campaign.as_str().into(),
            o: owner.as_ref().map(|owner| owner.as_str().into()),
            ti: timer.into(),
            n: *attempts,
            err: error.as_str().into(),
        }),
        Entry::Notice { name, campaign, subject, detail } => json::write(&NoticeForm {
            v: Version1,
            name: name.as_str().into(),
            c: campaign.as_ref().map(|id| id.as_str().into()),
            on: subject.as_str().into(),
            d: detail.as_str().into(),
        }),
    };
    StoredEntry { kind: entry_kind(entry), data }
}

fn encode_step(step: &CampaignStep) -> String {
    match &step.step.event {
        Event::Initialized { definition, policy } => {
            write_step(step, InitializedForm { d: definition.into(), p: policy.into() })
        }
        Event::StatusChanged { from, to, trigger, reason, timer } => {
            let form = StatusChangedForm {
                f: from.as_str().into(),
                t: to.as_str().into(),
                by: trigger.as_str().into(),
                r: reason.as_ref().map(|reason| reason.as_str().into()),
                ti: timer.as_ref().map(TimerForm::from),
            };
            write_step(step, form)
        }
        Event::Updated { window, auto_close, rewards_enabled, metadata, reason } => {
            let form = UpdatedForm {
                w: window.map(|w| (time::micros(w.start()), time::micros(w.end()))),
                ac: *auto_close,
                re: *rewards_enabled,
                md: metadata.as_ref().map(|metadata| metadata.as_str().into()),
                r: reason.as_ref().map(|reason| reason.as_str().into()),
            };
            write_step(step, form)
        }
        Event::EngagementsRecorded { total } => write_step(step, CountForm { n: *total, of: None }),
        Event::TargetReached { total, target } => write_step(step, CountForm { n: *total, of: Some(*target) }),
        Event::ReminderScheduled { name, at, payload } => {
            let payload = payload.as_ref().map(|payload| payload.as_str().into());
            write_step(step, ReminderForm { n: name.as_str().into(), at: time::micros(*at), p: payload })
        }
        Event::ReminderCancelled { timer } | Event::TimerHeld { timer } => {
            write_step(step, TimerEventForm { ti: timer.into(), by: None })
        }
        Event::ReminderFired { timer, by } => {
            let by = match by {
                Firing::Clock => "clock",
                Firing::Operator => "operator",
            };
            write_step(step, TimerEventForm { ti: timer.into(), by: Some(by.into()) })
        }
        Event::TimerSkipped { timer, reason } => {
            write_step(step, TimerEventForm { ti: timer.into(), by: Some(reason.as_str().into()) })
        }
    }
}

fn write_step<E: Serialize>(step: &CampaignStep, event: E) -> String {
    json::write(&StepForm {
        v: Version1,
        c: step.campaign.as_str().into(),
        o: step.owner.as_ref().map(|owner| owner.as_str().into()),
        s: step.status.as_str().into(),
        n: step.step.sequence,
        at: time::micros(step.step.at),
        e: event,
        ar: timer_forms(&step.step.armed),
        ca: timer_forms(&step.cancelled),
        md: step.metadata.as_ref().map(|metadata| metadata.as_str().into()),
    })
}

/// Reads what [`encode_entry`] wrote.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_entry(kind: &str, data: &str) -> Result<Entry, DecodeError> {
    match kind {
        INITIALIZED => read_step(data, |form: InitializedForm<'_>| {
            Ok(Event::Initialized { definition: form.d.decode()?, policy: form.p.decode() })
        }),
        STATUS_CHANGED => read_step(data, |form: StatusChangedForm<'_>| {
            Ok(Event::StatusChanged {
                from: status(&form.f)?,
                to: status(&form.t)?,
                trigger: form.by.parse("trigger")?,
                reason: form.r.map(|reason| reason.parse("reason")).transpose()?,
                timer: form.ti.map(|timer| timer.decode()).transpose()?,
            })
        }),
        UPDATED => read_step(data, |form: UpdatedForm<'_>| {
            Ok(Event::Updated {
                window: form.w.map(|(start, end)| window(start, end)).transpose()?,
                auto_close: form.ac,
                rewards_enabled: form.re,
                metadata: form.md.map(|metadata| metadata.json("metadata")).transpose()?,
                reason: form.r.map(|reason| reason.parse("reason")).transpose()?,
            })
        }),
        ENGAGEMENTS_RECORDED => read_step(data, |form: CountForm| Ok(Event::EngagementsRecorded { total: form.n })),
        TARGET_REACHED => read_step(data, |form: CountForm| {
            let target = form.of.ok_or_else(|| DecodeError::invalid("target", "it is missing"))?;
            Ok(Event::TargetReached { total: form.n, target })
        }),
        REMINDER_SCHEDULED => read_step(data, |form: ReminderForm<'_>| {
            Ok(Event::ReminderScheduled {
                name: form.n.parse("timer name")?,
                at: instant(form.at, "timer due")?,
                payload: form.p.map(|payload| payload.json("timer payload")).transpose()?,
            })
        }),
        REMINDER_CANCELLED => {
            read_step(data, |form: TimerEventForm<'_>| Ok(Event::ReminderCancelled { timer: form.ti.decode()? }))
        }
        REMINDER_FIRED => read_step(data, |form: TimerEventForm<'_>| {
            Ok(Event::ReminderFired { timer: form.ti.decode()?, by: firing(form.by.as_ref())? })
        }),
        TIMER_SKIPPED => read_step(data, |form: TimerEventForm<'_>| {
            Ok(Event::TimerSkipped { timer: form.ti.decode()?, reason: skip_reason(form.by.as_ref())? })
        }),
        TIMER_HELD => read_step(data, |form: TimerEventForm<'_>| Ok(Event::TimerHeld { timer: form.ti.decode()? })),
        REJECTED => {
            let form: RejectedForm<'_> = read(data)?;
            Ok(Entry::Rejected {
                campaign: form.c.parse("campaign")?,
                command: form.cmd.0.into_owned(),
                code: form.code.0.into_owned(),
                message: form.msg.0.into_owned(),
            })
        }
        TIMER_FAILED => {
            let form: TimerFailedForm<'_> = read(data)?;
            Ok(Entry::TimerFailed {
                campaign: form.c.parse("campaign")?,
                owner: form.o.map(|owner| owner.parse("owner")).transpose()?,
                timer: form.ti.decode()?,
                attempts: form.n,
                error: form.err.0.into_owned(),
            })
        }
        NOTICE => {
            let form: NoticeForm<'_> = read(data)?;
            Ok(Entry::Notice {
                name: form.name.0.into_owned(),
                campaign: form.c.map(|id| id.parse("campaign")).transpose()?,
                subject: form.on.0.into_owned(),
                detail: form.d.json("detail")?,
            })
        }
        other => Err(DecodeError::UnknownKind(other.to_owned())),
    }
}

fn read_step<'a, E: Deserialize<'a>>(
    data: &'a str,
    event: impl FnOnce(E) -> Result<Event, DecodeError>,
) -> Result<Entry, DecodeError> {
    let form: StepForm<'a, E> = read(data)?;
    let step = Step {
        sequence: form.n,
        at: instant(form.at, "time of the step")?,
        event: event(form.e)?,
        armed: timers(&form.ar)?,
    };
    Ok(Entry::Step(Box::new(CampaignStep {
        campaign: form.c.parse("campaign")?,
        owner: form.o.map(|owner| owner.parse("owner")).transpose()?,
        status: status(&form.s)?,
        step,
        cancelled: timers(&form.ca)?,
        metadata: form.md.map(|metadata| metadata.json("metadata")).transpose()?,
    })))
}

fn firing(by: Option<&Text<'_>>) -> Result<Firing, DecodeError> {
    match by.map(|by| &*by.0) {
        Some("clock") => Ok(Firing::Clock),
        Some("operator") => Ok(Firing::Operator),
        _ => Err(DecodeError::invalid("firing", "must be clock or operator")),
    }
}

fn skip_reason(reason: Option<&Text<'_>>) -> Result<SkipReason, DecodeError> {
    [SkipReason::TooLate, SkipReason::WindowOver]
        .into_iter()
        .find(|known| reason.is_some_and(|reason| reason.0 == known.as_str()))
        .ok_or_else(|| DecodeError::invalid("skip reason", "must be too_late or window_over"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::samples;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_is_read_back_as_it_was(entry in samples::entry()) {
            let stored = encode_entry(&entry);
            let read = decode_entry(stored.kind, &stored.data).expect("reads what it wrote");
            prop_assert_eq!(read, entry);
        }

        #[test]
        fn no_text_makes_decoding_panic(kind in proptest::sample::select(&STEP_KINDS[..]), text in ".{0,200}") {
            let _ = decode_entry(kind, &text);
        }
    }

    #[test]
    fn kinds_say_whether_an_entry_is_a_step_and_a_transition() {
        for entry in samples::every_entry() {
            let kind = encode_entry(&entry).kind;
            assert_eq!(STEP_KINDS.contains(&kind), matches!(entry, Entry::Step(_)), "{kind}");
            assert_eq!(TRANSITION_KINDS.contains(&kind), entry.is_transition(), "{kind}");
        }
    }

    #[test]
    fn unknown_kinds_and_versions_are_named() {
        assert!(matches!(decode_entry("novelty", "{}"), Err(DecodeError::UnknownKind(kind)) if kind == "novelty"));
        for entry in samples::every_entry() {
            let StoredEntry { kind, data } = encode_entry(&entry);
            let newer = data.replacen("\"v\":1", "\"v\":9", 1);
            assert!(matches!(decode_entry(kind, &newer), Err(DecodeError::UnknownVersion(9))), "{kind}");
        }
    }
}
