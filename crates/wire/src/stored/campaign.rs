//! The stored form of a campaign's state. Its key is not in it: the store has it beside it.

use domain::{Campaign, CampaignKey, Definition, Phase, Status, TimerId, Timestamp, Window};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::forms::{Text, TimerForm, instant, lifecycle_timer, status, timer_forms, timers};
use super::policy::{OverridesForm, PolicyForm};
use super::{DecodeError, Version1, read};
use crate::{json, time};

/// A campaign; times in microseconds.
#[derive(Serialize, Deserialize)]
struct CampaignForm<'a> {
    v: Version1,
    n: u64,
    #[serde(borrow)]
    s: Text<'a>,
    /// Since when, in the statuses that know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    st: Option<i64>,
    #[serde(borrow)]
    d: DefinitionForm<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    od: Option<DefinitionForm<'a>>,
    p: PolicyForm,
    en: u64,
    tr: bool,
    g: u64,
    /// When its timers were planned.
    pa: i64,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    se: Vec<Text<'a>>,
    #[serde(borrow)]
    ti: Vec<TimerForm<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    he: Vec<Uuid>,
    ca: i64,
    ua: i64,
}

/// What a campaign is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DefinitionForm<'a> {
    b: i64,
    e: i64,
    ac: bool,
    re: bool,
    ct: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    te: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    o: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "OverridesForm::is_empty")]
    po: OverridesForm,
    #[serde(borrow)]
    md: Text<'a>,
}

impl<'a> From<&'a Definition> for DefinitionForm<'a> {
    fn from(definition: &'a Definition) -> Self {
        Self {
            b: time::micros(definition.window.start()),
            e: time::micros(definition.window.end()),
            ac: definition.auto_close,
            re: definition.rewards_enabled,
            ct: definition.close_on_target,
            te: definition.target_engagements,
            o: definition.owner.as_ref().map(|owner| owner.as_str().into()),
            po: OverridesForm::from(&definition.policy),
            md: definition.metadata.as_str().into(),
        }
    }
}

impl DefinitionForm<'_> {
    pub(super) fn decode(&self) -> Result<Definition, DecodeError> {
        Ok(Definition {
            window: window(self.b, self.e)?,
            auto_close: self.ac,
            rewards_enabled: self.re,
            target_engagements: self.te,
            close_on_target: self.ct,
            owner: self.o.as_ref().map(|owner| owner.parse("owner")).transpose()?,
            policy: self.po.decode(),
            metadata: self.md.json("metadata")?,
        })
    }
}

pub(super) fn window(start: i64, end: i64) -> Result<Window, DecodeError> {
    Window::new(instant(start, "window start")?, instant(end, "window end")?)
        .map_err(|error| DecodeError::invalid("window", error))
}

/// Writes a campaign's state, without its key.
pub fn encode_campaign(campaign: &Campaign) -> String {
    let since = match campaign.phase {
        Phase::Running { started_at: at } | Phase::Closed { closed_at: at } | Phase::RewardClaim { opened_at: at } => {
            Some(time::micros(at))
        }
        Phase::Created | Phase::Expired | Phase::Cancelled => None,
    };
    json::write(&CampaignForm {
        v: Version1,
        n: campaign.version,
        s: campaign.status().as_str().into(),
        st: since,
        d: DefinitionForm::from(&campaign.definition),
        od: campaign.original.as_deref().map(DefinitionForm::from),
        p: PolicyForm::from(&campaign.policy),
        en: campaign.engagements,
        tr: campaign.target_reached,
        g: campaign.generation,
        pa: time::micros(campaign.planned_at),
        se: campaign.settled.iter().map(|kind| kind.as_str().into()).collect(),
        ti: timer_forms(&campaign.timers),
        he: campaign.held.iter().map(|id| id.0).collect(),
        ca: time::micros(campaign.created_at),
        ua: time::micros(campaign.updated_at),
    })
}

/// Reads what [`encode_campaign`] wrote for the campaign with this key.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_campaign(key: &CampaignKey, text: &str) -> Result<Campaign, DecodeError> {
    let form: CampaignForm<'_> = read(text)?;
    Ok(Campaign {
        key: key.clone(),
        version: form.n,
        phase: phase(status(&form.s)?, form.st)?,
        definition: form.d.decode()?,
        original: form.od.as_ref().map(|original| original.decode().map(Box::new)).transpose()?,
        policy: form.p.decode(),
        engagements: form.en,
        target_reached: form.tr,
        generation: form.g,
        planned_at: instant(form.pa, "planned at")?,
        settled: form.se.iter().map(|kind| lifecycle_timer(&kind.0)).collect::<Result<_, _>>()?,
        timers: timers(&form.ti)?,
        held: form.he.into_iter().map(TimerId).collect(),
        created_at: instant(form.ca, "created at")?,
        updated_at: instant(form.ua, "updated at")?,
    })
}

fn phase(status: Status, since: Option<i64>) -> Result<Phase, DecodeError> {
    let since = || -> Result<Timestamp, DecodeError> {
        instant(since.ok_or_else(|| DecodeError::invalid("phase", "its beginning is missing"))?, "phase")
    };
    Ok(match status {
        Status::Created => Phase::Created,
        Status::Running => Phase::Running { started_at: since()? },
        Status::Closed => Phase::Closed { closed_at: since()? },
        Status::RewardClaim => Phase::RewardClaim { opened_at: since()? },
        Status::Expired => Phase::Expired,
        Status::Cancelled => Phase::Cancelled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::samples;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_campaign_is_read_back_as_it_was(campaign in samples::campaign()) {
            let text = encode_campaign(&campaign);
            prop_assert_eq!(decode_campaign(&campaign.key, &text).expect("reads what it wrote"), campaign);
        }

        #[test]
        fn no_text_makes_decoding_panic(text in ".{0,200}") {
            let _ = decode_campaign(&samples::key(), &text);
        }
    }

    #[test]
    fn every_phase_is_read_back() {
        let at = time::parse("2026-11-23T10:00:00.000001Z").expect("valid");
        let phases = [
            Phase::Created,
            Phase::Running { started_at: at },
            Phase::Closed { closed_at: at },
            Phase::RewardClaim { opened_at: at },
            Phase::Expired,
            Phase::Cancelled,
        ];
        for phase in phases {
            let campaign = Campaign { phase, ..samples::plain_campaign() };
            assert_eq!(decode_campaign(&campaign.key, &encode_campaign(&campaign)).expect("reads"), campaign);
        }
    }

    #[test]
    fn another_version_is_named_whatever_it_looks_like() {
        let text = encode_campaign(&samples::plain_campaign()).replacen("\"v\":1", "\"v\":2", 1);
        for text in [text.as_str(), r#"{"v":2,"all":"different"}"#] {
            let error = decode_campaign(&samples::key(), text).expect_err("unknown");
            assert!(matches!(error, DecodeError::UnknownVersion(2)), "{error}");
        }
    }

    #[test]
    fn a_broken_text_is_an_error() {
        let good = encode_campaign(&Campaign {
            phase: Phase::Running { started_at: samples::plain_campaign().created_at },
            ..samples::plain_campaign()
        });
        for broken in [
            String::new(),
            good[..good.len() - 1].to_owned(),
            good.replacen("RUNNING", "RUNNIN", 1),
            good.replacen("\"st\":", "\"xx\":", 1),
        ] {
            assert!(decode_campaign(&samples::key(), &broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_form_of_version_1_does_not_change() {
        let text = encode_campaign(&samples::plain_campaign());
        assert_eq!(
            text,
            concat!(
                r#"{"v":1,"n":1,"s":"CREATED","d":{"b":1795428000000000,"e":1795431600000000,"ac":true,"re":true,"#,
                r#""ct":false,"md":"{ \"a\": 1 }"},"p":{"ce":3600000000,"re":7200000000,"cd":300000000,"#,
                r#""cx":172800000000,"rc":604800000000,"rl":86400000000,"ml":3600000000},"en":0,"tr":false,"g":1,"#,
                r#""pa":1795424400000000,"#,
                r#""ti":[{"i":"00000000-0000-0000-0000-000000000001","k":"START_CAMPAIGN","d":1795428000000000,"g":1}],"#,
                r#""ca":1795424400000000,"ua":1795424400000000}"#
            )
        );
    }
}
