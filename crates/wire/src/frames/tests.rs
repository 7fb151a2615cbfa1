//! Tests of frames: what clients may send, and what they get.

use domain::TenantId;
use ports::auth::{Principal, Role};
use ports::query::{Dossier, StoreStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::stored::samples;

fn names(record: &Record) -> Vec<&'static str> {
    frames_of(record).iter().map(|frame| frame.event).collect()
}

fn data(frame: &Frame) -> Value {
    serde_json::from_str(frame.data.get()).expect("valid JSON")
}

fn frames_of_step(index: usize) -> Vec<Frame> {
    let (event, status) = samples::every_event().remove(index);
    frames_of(&samples::record(Entry::Step(Box::new(samples::step_of(event, status)))))
}

#[test]
fn every_entry_becomes_its_frames() {
    let own: Vec<Vec<&str>> = vec![
        vec![STATUS_UPDATED],
        vec![STATUS_UPDATED, TIMER_EXECUTED],
        vec![STATUS_UPDATED],
        vec![CAMPAIGN_UPDATED],
        vec![CAMPAIGN_UPDATED],
        vec![NOTIFICATION],
        vec![],
        vec![CAMPAIGN_UPDATED],
        vec![TIMER_EXECUTED, NOTIFICATION],
        vec![TIMER_EXECUTED, NOTIFICATION],
        vec![CAMPAIGN_UPDATED, NOTIFICATION],
        vec![CAMPAIGN_UPDATED, NOTIFICATION],
        vec![CAMPAIGN_ERROR],
    ];
    let mut expected: Vec<Vec<_>> = own.into_iter().map(|own| [own, vec![TIMER_SCHEDULED]].concat()).collect();
    expected.extend([vec![CAMPAIGN_ERROR], vec![TIMER_FAILED], vec![SYSTEM_ALERT]]);
    let entries = samples::every_entry();
    assert_eq!(entries.len(), expected.len());
    for (entry, expected) in entries.into_iter().zip(expected) {
        let record = samples::record(entry);
        assert_eq!(names(&record), expected, "{record:?}");
        for (k, frame) in frames_of(&record).iter().enumerate() {
            assert_eq!(frame.cursor.to_string(), format!("42-{k}"));
            assert!(data(frame).is_object());
        }
    }
}

#[test]
fn a_frame_is_sent_with_its_channel_and_cursor() {
    let frame = &frames_of_step(0)[0];
    let sent: Value = serde_json::from_str(&frame.to_text("campaign:summer-1")).expect("valid JSON");
    assert_eq!(
        sent,
        json!({
            "event": "campaign.status.updated", "channel": "campaign:summer-1", "cursor": "42-0",
            "timestamp": "2026-11-23T10:00:00.250Z",
            "data": {
                "campaignId": "summer-1", "fromStatus": null, "toStatus": "CREATED", "trigger": "producer",
                "sequence": 4, "occurredAt": "2026-11-23T10:00:00.250Z", "metadata": {}
            }
        })
    );
}

#[test]
fn a_skipped_timer_is_named_as_gone_and_people_are_told() {
    let frames = frames_of_step(10);
    let start = json!("00000000-0000-0000-0000-000000000001");
    assert!(data(&frames[0])["cancelledTimers"].as_array().expect("a list").contains(&start));
    let told = data(&frames[1]);
    assert_eq!((&told["level"], &told["code"]), (&json!("warning"), &json!("timer_skipped")));
    assert_eq!(told["message"], "START_CAMPAIGN of campaign summer-1 was skipped: window_over");
    assert!(told["timer"].get("executedAt").is_none());
}

#[test]
fn a_held_timer_asks_for_an_operator() {
    let told = data(&frames_of_step(12)[0]);
    assert_eq!((&told["code"], &told["command"]), (&json!("timer_held"), &json!("fire_timer")));
    assert_eq!(told["message"], "the reminder call-bob came due too late and waits for an operator");
}

#[test]
fn client_frames_are_read_and_anything_else_is_refused_by_name() {
    let frame = |text: &str| ClientFrame::read(text).expect(text);
    assert_eq!(
        frame(r#"{"action":"subscribe","channel":"tenant","since":"1-0","id":3}"#),
        ClientFrame::Subscribe { channel: "tenant".to_owned(), since: Some("1-0".to_owned()), id: Some(3) }
    );
    assert_eq!(frame(r#"{"action":"ping"}"#), ClientFrame::Ping { id: None });
    assert_eq!(
        frame(r#"{"channel":"system","action":"unsubscribe"}"#),
        ClientFrame::Unsubscribe { channel: "system".to_owned(), id: None }
    );
    for (text, words) in [
        ("", "EOF"),
        ("[]", "JSON object"),
        ("{}", "required"),
        (r#"{"action":"dance"}"#, "must be one of authenticate"),
        (r#"{"action":"ping","extra":1}"#, "not a known field"),
        (r#"{"action":"subscribe"}"#, "required"),
        (r#"{"action":"ping","id":"one"}"#, "expected a whole number"),
    ] {
        let fault = ClientFrame::read(text).expect_err(text);
        assert!(fault.detail.contains(words), "{text}: {fault:?}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let frame = ClientFrame::read(r#"{"action":"authenticate","token":"secret","id":1}"#).expect("valid");
    assert!(matches!(&frame, ClientFrame::Authenticate { token, .. } if token == "secret"));
    assert!(!format!("{frame:?}").contains("secret"));
}

#[test]
fn an_answer_repeats_the_number_of_its_question() {
    let principal = Principal {
        subject: "alice".to_owned(),
        tenant: TenantId::default_tenant(),
        roles: vec![Role::Viewer, Role::Admin],
        owner: None,
        expires_at: samples::at("2026-11-23T11:00:00Z"),
    };
    let frame = ServerFrame {
        event: "authenticated",
        id: Some(1),
        channel: None,
        cursor: None,
        timestamp: samples::at("2026-11-23T10:00:00Z"),
        data: Some(AuthenticatedData::from(&principal)),
    };
    assert_eq!(
        serde_json::from_str::<Value>(&frame.to_text()).expect("valid JSON"),
        json!({
            "event": "authenticated", "id": 1, "timestamp": "2026-11-23T10:00:00Z",
            "data": {
                "subject": "alice", "tenant": "default", "roles": ["viewer", "admin"],
                "expiresAt": "2026-11-23T11:00:00Z"
            }
        })
    );
}

#[test]
fn snapshots_are_the_bare_state() {
    let shown = |snapshot: &Snapshot| serde_json::to_value(snapshot).expect("can be written");
    let dossier =
        Dossier { campaign: samples::plain_campaign(), timers: Vec::new(), head: ports::journal::Position(1) };
    let campaign = shown(&Snapshot::Campaign(Box::new(CampaignSnapshot::from(&dossier))));
    assert_eq!((&campaign["campaign"]["campaignId"], &campaign["timers"]), (&json!("summer-1"), &json!([])));
    let counts = [(domain::Status::Running, 2), (domain::Status::RewardClaim, 1)];
    let tenant = shown(&Snapshot::Tenant(TenantSnapshot { counts: StatusCountsBody::from(&counts[..]) }));
    assert_eq!((&tenant["counts"]["RUNNING"], &tenant["counts"]["REWARD_CLAIM"]), (&json!(2), &json!(1)));
    let system = shown(&Snapshot::System(SystemSnapshot::from(&StoreStatus::default())));
    assert_eq!(system, json!({ "now": "1970-01-01T00:00:00Z", "head": 0, "overdue": 0, "oldestOverdue": null }));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _ = ClientFrame::read(&text);
        let _ = text.parse::<Cursor>();
    }

    #[test]
    fn every_record_can_be_told(entry in samples::entry()) {
        let record = samples::record(entry);
        for frame in frames_of(&record) {
            let sent: Value = serde_json::from_str(&frame.to_text("tenant")).expect("valid JSON");
            prop_assert!(sent["data"].is_object());
        }
        for event in crate::outbound::expand(&record) {
            let data: Value = serde_json::from_str(&event.data).expect("valid JSON");
            prop_assert!(data.is_object());
        }
    }
}
