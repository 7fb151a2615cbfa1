//! Tests of inbound events: what is read, what is refused, and that nothing panics.

use domain::{CampaignId, Command, JsonText, Requester, Status, Window, WindowEnd};
use proptest::prelude::*;

use super::*;
use crate::stored::samples::at;

fn entry(event_type: &str, data: &str) -> RawEntry {
    encode(&Envelope {
        event_id: "e-1",
        event_type,
        timestamp: at("2026-11-23T10:00:00Z"),
        source: "main-api",
        tenant: "acme",
        correlation: Some("corr-1"),
        causation: Some("cause-1"),
        data,
    })
}

fn read(event_type: &str, data: &str) -> InboundEvent {
    decode(&entry(event_type, data)).unwrap_or_else(|error| panic!("{data}: {error:?}"))
}

fn message(event_type: &str, data: &str) -> String {
    let error = decode(&entry(event_type, data)).expect_err(data);
    assert_eq!(error.code, MALFORMED_EVENT, "{data}");
    error.message
}

fn without(name: &str) -> RawEntry {
    let mut entry = entry(METRIC_RECORDED, r#"{"campaignId":"a","engagements":1}"#);
    entry.fields.retain(|(field, _)| field != name);
    entry
}

#[test]
fn a_create_with_nothing_but_its_window_gets_the_defaults() {
    let event = read(
        CAMPAIGN_CREATED,
        r#"{"campaignId":42,"startTime":"2026-11-23T10:00:00Z","durationHours":2,"somethingNew":[1]}"#,
    );
    assert_eq!(event.key.tenant.as_str(), "acme");
    assert_eq!(event.key.id, CampaignId::parse("42").expect("valid"));
    assert_eq!((event.id.as_str(), event.source.as_str()), ("e-1", "main-api"));
    assert_eq!(event.correlation.as_deref(), Some("corr-1"));
    let Command::Create { definition } = event.command else { panic!("not a create") };
    let window = Window::new(at("2026-11-23T10:00:00Z"), at("2026-11-23T12:00:00Z")).expect("in order");
    assert_eq!(definition.window, window);
    assert!(definition.auto_close && definition.rewards_enabled && !definition.close_on_target);
    assert_eq!(definition.metadata, JsonText::empty());
    assert_eq!((definition.owner, definition.target_engagements), (None, None));
}

#[test]
fn a_create_may_say_everything() {
    let event = read(
        CAMPAIGN_CREATED,
        r#"{"campaignId":"c","startTime":"2026-11-23T10:00:00+01:00","endTime":"2026-11-23T11:00:00Z",
            "durationHours":2,"durationMinutes":120,"autoClose":false,"rewardsEnabled":false,"closeOnTarget":true,
            "targetEngagements":10,"ownerId":7,"metadata":{ "a" : 1.0 },
            "policy":{"createdExpirySeconds":1,"misfire":{"CLOSE_CAMPAIGN":"hold","CUSTOM":"fire"},"else":0}}"#,
    );
    let Command::Create { definition } = event.command else { panic!("not a create") };
    assert!(!definition.auto_close && !definition.rewards_enabled && definition.close_on_target);
    assert_eq!(definition.target_engagements, Some(10));
    assert_eq!(definition.owner.as_ref().map(domain::OwnerId::as_str), Some("7"));
    assert_eq!(definition.policy.created_expiry_seconds, Some(1));
    assert_eq!(definition.policy.misfire.close, Some(domain::Misfire::Hold));
    assert_eq!(definition.policy.misfire.custom, Some(domain::Misfire::Fire));
    assert_eq!(definition.metadata.as_str(), r#"{ "a" : 1.0 }"#);
}

#[test]
fn an_update_names_only_what_changes() {
    let event = read(
        CAMPAIGN_UPDATED,
        r#"{"campaignId":"c","changes":{"durationMinutes":30,"autoClose":false,"metadata":{}},
            "reason":"longer","updatedBy":"alice","expectedVersion":3}"#,
    );
    assert_eq!(event.expected_version, Some(3));
    assert_eq!(event.source, "main-api for alice");
    let Command::Update { changes, reason } = event.command else { panic!("not an update") };
    assert_eq!(changes.window.start, None);
    assert_eq!(changes.window.ends, [WindowEnd::After(chrono::TimeDelta::minutes(30))]);
    assert_eq!((changes.auto_close, changes.rewards_enabled), (Some(false), None));
    assert_eq!(changes.metadata, Some(JsonText::empty()));
    assert_eq!(reason.as_ref().map(Reason::as_str), Some("longer"));
}

#[test]
fn the_other_events_are_read() {
    let cancel = read(CAMPAIGN_CANCELLED, r#"{"campaignId":"c","cancelledBy":12}"#);
    assert_eq!(cancel.command, Command::Cancel { by: Requester::Producer, reason: None });
    assert_eq!(cancel.source, "main-api for 12");
    let status = read(STATUS_REQUESTED, r#"{"campaignId":"c","to":"REWARD_CLAIM","expectedVersion":1}"#);
    assert_eq!(status.command, Command::ChangeStatus { to: Status::RewardClaim, reason: None });
    let timer =
        read(TIMER_REQUESTED, r#"{"campaignId":"c","name":"n","at":"2026-11-23T10:00:00Z","payload":{"x":[]}}"#);
    let Command::ScheduleReminder { name, payload, .. } = timer.command else { panic!("not a reminder") };
    assert_eq!(name.as_str(), "n");
    assert_eq!(payload.as_ref().map(JsonText::as_str), Some(r#"{"x":[]}"#));
    let metric = read(METRIC_RECORDED, r#"{"campaignId":"c","engagements":9007199254740991}"#);
    assert_eq!(metric.command, Command::RecordEngagements { total: 9_007_199_254_740_991 });
}

#[test]
fn a_malformed_event_names_the_field() {
    let created = |fields: &str| {
        message(CAMPAIGN_CREATED, &format!(r#"{{"campaignId":"c","startTime":"2026-11-23T10:00:00Z",{fields}}}"#))
    };
    let deep = format!(r#""metadata":{}1{}"#, r#"{"a":"#.repeat(40), "}".repeat(40));
    let large = format!(r#""durationHours":1,"metadata":{{"a":"{}"}}"#, "x".repeat(17_000));
    let huge = format!(r#"{{"campaignId":"{}"}}"#, "x".repeat(70_000));
    let cases = [
        (message(CAMPAIGN_CREATED, r#"{"startTime":"2026-11-23T10:00:00Z"}"#), "data.campaignId: is required"),
        (message(CAMPAIGN_CREATED, r#"{"campaignId":"a b"}"#), "data.campaignId: must not contain"),
        (message(CAMPAIGN_CREATED, r#"{"campaignId":"c","startTime":1}"#), "data.startTime: invalid type"),
        (created(r#""durationHours":1.5"#), "data.durationHours: invalid type: floating point"),
        (created(r#""durationMinutes":-5"#), "data.durationMinutes: invalid value"),
        (created(r#""endTime":"2026-11-23T09:00:00Z""#), "data.endTime: the window ends before"),
        (created(r#""autoClose":true"#), "data.endTime: a window needs"),
        (created(r#""durationHours":1,"metadata":[]"#), "data.metadata: must be a JSON object"),
        (created(r#""policy":{"misfire":{"CUSTOM":"never"}}"#), "data.policy.misfire.CUSTOM: must be one of"),
        (created(&large), "data.metadata: must be at most 16384"),
        (created(&deep), "data: must not be nested deeper"),
        (message(CAMPAIGN_CREATED, &huge), "data: must be at most 65536"),
        (message(CAMPAIGN_CREATED, "nonsense"), "data: expected"),
        (message(CAMPAIGN_CREATED, "[]"), "data: must be a JSON object"),
        (message(CAMPAIGN_UPDATED, r#"{"campaignId":"c"}"#), "data.changes: is required"),
        (message(CAMPAIGN_UPDATED, r#"{"campaignId":"c","changes":{"endTime":"x"}}"#), "data.changes.endTime: must be"),
        (message(STATUS_REQUESTED, r#"{"campaignId":"c","to":"GONE"}"#), "data.to: must be one of"),
        (message(METRIC_RECORDED, r#"{"campaignId":"c","engagements":9007199254740992}"#), "data.engagements: must be"),
        (message(TIMER_REQUESTED, r#"{"campaignId":"c","name":"","at":"x"}"#), "data.name: must have"),
    ];
    for (message, beginning) in cases {
        assert!(message.starts_with(beginning), "{message:?} does not begin with {beginning:?}");
        assert!(message.len() < 400, "{message}");
    }
}

#[test]
fn an_envelope_may_lack_only_what_has_a_default() {
    for name in ["eventId", "eventType", "data"] {
        let error = decode(&without(name)).expect_err(name);
        assert_eq!(error.message, format!("{name}: is required"));
    }
    for name in ["timestamp", "source", "tenant", "correlationId", "causationId"] {
        assert!(decode(&without(name)).is_ok(), "{name}");
    }
    let event = decode(&without("tenant")).expect("has a default");
    assert_eq!(event.key.tenant, TenantId::default_tenant());
}

#[test]
fn a_wrong_envelope_names_its_field() {
    let with = |name: &str, value: &str| {
        let mut entry = without(name);
        entry.fields.push((name.to_owned(), value.to_owned()));
        decode(&entry).expect_err(name)
    };
    assert!(with("tenant", "a/b").message.starts_with("tenant: "));
    assert_eq!(with("tenant", TenantId::service().as_str()).message, "tenant: is reserved");
    assert!(with("eventId", "a b").message.starts_with("eventId: "));
    assert!(with("timestamp", "now").message.starts_with("timestamp: "));
    assert!(with("correlationId", &"x".repeat(256)).message.starts_with("correlationId: "));
    assert!(with("source", "a\nb").message.starts_with("source: "));
    assert_eq!(with("eventType", "campaign.exploded").code, UNKNOWN_EVENT_TYPE);
    let mut twice = without("nothing");
    twice.fields.push(("tenant".to_owned(), "other".to_owned()));
    assert_eq!(decode(&twice).expect_err("ambiguous").message, "tenant: is there more than once");
}

#[test]
fn the_fingerprint_tells_content_from_content_and_ignores_the_envelope() {
    let base = read(METRIC_RECORDED, r#"{"campaignId":"a","engagements":1}"#).fingerprint;
    assert_eq!(decode(&without("correlationId")).expect("valid").fingerprint, base);
    assert_ne!(read(METRIC_RECORDED, r#"{"campaignId":"a","engagements":2}"#).fingerprint, base);
    assert_ne!(decode(&without("tenant")).expect("valid").fingerprint, base);
}

proptest! {
    #[test]
    fn no_entry_makes_decoding_panic(
        fields in proptest::collection::vec(
            (proptest::sample::select(&["eventId", "eventType", "timestamp", "tenant", "data", "x"][..]), any::<String>()),
            0..8,
        ),
    ) {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let _ = decode(&RawEntry { fields });
    }

    #[test]
    fn no_data_make_decoding_panic(
        event_type in proptest::sample::select(&EVENT_TYPES[..]),
        data in prop_oneof![
            any::<String>(),
            r#"\{"campaignId":("c"|1|null),"(changes|startTime|at|to|engagements)":[\[\]{}"0-9a-z:,.-]{0,30}\}"#,
        ],
    ) {
        let _ = decode(&entry(event_type, &data));
    }
}
