//! Tests of HTTP bodies: what is read, what is refused, what is written.

use domain::{CampaignId, Misfire, OwnerId, Status};
use ports::dead_letters::{Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::journal::{Actor, Entry, Position};
use ports::query::{Dossier, ForecastRow, TimerRow, TimerState};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use super::*;
use crate::fields;
use crate::stored::samples::{self, at};

fn shown(body: &impl Serialize) -> Value {
    serde_json::to_value(body).expect("can be written")
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, fields::Fault> {
    fields::read(text)
}

#[test]
fn a_campaign_is_shown_with_its_policy_in_force_and_its_next_timer() {
    let mut campaign = samples::plain_campaign();
    campaign.definition.owner = Some(OwnerId::parse("alice").expect("valid"));
    campaign.policy.misfire.close = Some(Misfire::Hold);
    let body = serde_json::to_string(&CampaignBody::from(&campaign)).expect("can be written");
    assert!(body.contains(r#""metadata":{ "a": 1 }"#), "metadata as given: {body}");
    assert_eq!(
        serde_json::from_str::<Value>(&body).expect("valid JSON"),
        json!({
            "campaignId": "summer-1", "status": "CREATED", "version": 1,
            "startTime": "2026-11-23T10:00:00Z", "endTime": "2026-11-23T11:00:00Z",
            "autoClose": true, "rewardsEnabled": true, "closeOnTarget": false,
            "targetEngagements": null, "engagements": 0, "ownerId": "alice",
            "policy": {
                "createdExpirySeconds": 3600, "runningExpirySeconds": 7200, "rewardClaimDelaySeconds": 300,
                "closedExpirySeconds": 172_800, "rewardClaimSeconds": 604_800, "reminderLeadSeconds": 86_400,
                "reminderMaxLateSeconds": 3600,
                "misfire": {
                    "START_CAMPAIGN": "fire", "CLOSE_CAMPAIGN": "hold", "OPEN_REWARD_CLAIM": "fire",
                    "REWARD_REMINDER": "skip", "EXPIRE_CAMPAIGN": "fire", "CUSTOM": "skip"
                }
            },
            "metadata": { "a": 1 },
            "createdAt": "2026-11-23T09:00:00Z", "updatedAt": "2026-11-23T09:00:00Z",
            "nextTimer": {
                "timerId": "00000000-0000-0000-0000-000000000001", "timerType": "START_CAMPAIGN",
                "dueAt": "2026-11-23T10:00:00Z"
            }
        })
    );
}

#[test]
fn a_new_campaign_is_read_and_a_misspelt_field_is_not_lost() {
    let good = r#"{"campaignId":7,"startTime":"2026-11-23T10:00:00Z","durationHours":1,"ownerId":"alice",
        "policy":{"createdExpirySeconds":5,"misfire":{"CUSTOM":"hold"}},"metadata":{"x":1.0}}"#;
    let (id, definition) = read::<CreateCampaign>(good).expect("valid").into_definition().expect("a window");
    assert_eq!(id, CampaignId::parse("7").expect("valid"));
    assert_eq!(definition.policy.created_expiry_seconds, Some(5));
    assert_eq!(definition.policy.misfire.custom, Some(Misfire::Hold));
    assert!(definition.auto_close && definition.rewards_enabled && !definition.close_on_target);
    assert_eq!(definition.metadata.as_str(), r#"{"x":1.0}"#);
    let pointer = |text: &str| read::<CreateCampaign>(text).expect_err(text).pointer();
    assert_eq!(pointer(&good.replace("ownerId", "owner")), "/owner");
    assert_eq!(pointer(&good.replace("createdExpirySeconds", "created")), "/policy/created");
    assert_eq!(pointer(&good.replace("CUSTOM", "CUSTON")), "/policy/misfire/CUSTON");
    assert_eq!(pointer(&good.replace("startTime", "endTime")), "/startTime");
    let backwards = good.replace("\"durationHours\":1", "\"endTime\":\"2026-11-23T09:00:00Z\"");
    let fault = read::<CreateCampaign>(&backwards).expect("reads").into_definition().expect_err("no window");
    assert_eq!((fault.pointer().as_str(), fault.detail.as_str()), ("/endTime", "the window ends before it starts"));
}

#[test]
fn a_batch_names_the_item_and_the_field() {
    let fault = read::<BatchBody>(r#"{"campaigns":[{"campaignId":"a","startTime":"x"}]}"#).expect_err("no time");
    assert_eq!(fault.pointer(), "/campaigns/0/startTime");
}

#[test]
fn commands_are_read() {
    let update: UpdateCampaign = read(r#"{"durationMinutes":5,"autoClose":false,"reason":"why"}"#).expect("valid");
    let (changes, reason) = update.into_changes();
    assert_eq!((changes.window.ends.len(), changes.auto_close, changes.metadata), (1, Some(false), None));
    assert_eq!(reason.map(|reason| reason.to_string()).as_deref(), Some("why"));
    assert_eq!(read::<ChangeStatusBody>(r#"{"to":"CLOSED"}"#).expect("valid").to.0, Status::Closed);
    assert!(read::<CancelBody>("{}").expect("valid").reason.is_none());
    assert_eq!(read::<CancelBody>(r#"{"why":""}"#).expect_err("unknown").pointer(), "/why");
    let timer: ScheduleTimerBody =
        read(r#"{"name":"n","at":"2026-11-23T10:00:00Z","payload":{"a":[]}}"#).expect("valid");
    assert_eq!(timer.payload.expect("there").0.as_str(), r#"{"a":[]}"#);
    let event = |data: &str| read::<EventBody>(&format!(r#"{{"eventId":"e","eventType":"t","data":{data}}}"#));
    assert_eq!(event("{ \"a\": 1 }").expect("valid").data.0, "{ \"a\": 1 }");
    assert_eq!(event("[]").expect_err("no object").pointer(), "/data");
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
    assert!(event(&large).expect_err("too large").detail.contains("65536"));
}

#[test]
fn a_transition_is_made_from_steps_that_are_one() {
    let bodies: Vec<_> = samples::every_entry()
        .into_iter()
        .filter_map(|entry| TransitionBody::of(&samples::record(entry)).map(|body| shown(&body)))
        .collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!((&bodies[0]["fromStatus"], &bodies[0]["trigger"]), (&Value::Null, &json!("producer")));
    assert_eq!(
        bodies[1],
        json!({
            "sequence": 4, "fromStatus": "CREATED", "toStatus": "RUNNING", "trigger": "START_CAMPAIGN",
            "actor": { "kind": "timer", "subject": "lifecycle" }, "reason": null,
            "occurredAt": "2026-11-23T10:00:00.250Z", "scheduledFor": "2026-11-23T10:00:00Z", "lateByMs": 250,
            "position": 42
        })
    );
    assert_eq!((&bodies[2]["reason"], &bodies[2]["lateByMs"]), (&json!("\"enough\" – said é"), &Value::Null));
}

#[test]
fn a_life_is_shown_with_past_and_future() {
    let row = TimerRow {
        key: samples::key(),
        timer: samples::reminder(),
        state: TimerState::Failed,
        held: false,
        attempts: 5,
        retry_at: None,
        error: Some("no".to_owned()),
        completed_at: None,
    };
    let dossier = Dossier { campaign: samples::plain_campaign(), timers: vec![row], head: Position(9) };
    let (event, status) = samples::every_event().remove(0);
    let record = samples::record(Entry::Step(Box::new(samples::step_of(event, status))));
    let timer = samples::start_timer();
    let next = vec![TimelineEntryBody::new(timer.due, &timer.kind, Some(Status::Running))];
    let body = shown(&LifecycleBody::new(&dossier, TransitionBody::of(&record).into_iter().collect(), next));
    assert_eq!(body["campaign"]["campaignId"], "summer-1");
    assert_eq!(
        body["timers"][0],
        json!({
            "timerId": "00000000-0000-0000-0000-000000000002", "campaignId": "summer-1", "timerType": "CUSTOM",
            "name": "call-bob", "payload": { "to": "bob" }, "state": "FAILED", "held": false,
            "dueAt": "2026-11-23T10:30:00Z", "retryCount": 5, "nextRetryAt": null, "error": "no",
            "completedAt": null, "generation": 3
        })
    );
    assert_eq!(body["history"][0]["toStatus"], "CREATED");
    let expected = json!({ "at": "2026-11-23T10:00:00Z", "timerType": "START_CAMPAIGN", "toStatus": "RUNNING" });
    assert_eq!((&body["nextEvents"][0], &body["position"]), (&expected, &json!(9)));
}

#[test]
fn a_dead_letter_shows_its_original_readably() {
    let letter = |kind, original: &str| Letter {
        letter: NewLetter {
            id: uuid::Uuid::from_u128(1),
            tenant: samples::key().tenant,
            kind,
            origin: "1-0".to_owned(),
            event_type: "campaign.created".to_owned(),
            campaign: None,
            code: "malformed_event".to_owned(),
            error: "data: is required".to_owned(),
            attempts: 1,
            first_error_at: at("2026-11-23T10:00:00Z"),
            last_error_at: at("2026-11-23T10:00:00Z"),
            original: original.to_owned(),
        },
        state: LetterState::Discarded,
        settled: Some(Settlement {
            by: Actor::system(),
            at: at("2026-11-23T10:00:00Z"),
            reason: Some("old".to_owned()),
            detail: None,
        }),
    };
    let original = |kind, text| shown(&LetterBody::from(&letter(kind, text)))["original"].clone();
    assert_eq!(original(LetterKind::Event, r#"[["b","1"],["a","2"]]"#), json!({ "a": "2", "b": "1" }));
    assert_eq!(original(LetterKind::Event, r#"[["a","1"],["a","2"]]"#), json!([["a", "1"], ["a", "2"]]));
    assert_eq!(original(LetterKind::Event, "garbage"), json!("garbage"));
    assert_eq!(original(LetterKind::Timer, r#"{"v":1}"#), json!({ "v": 1 }));
    let body = shown(&LetterBody::from(&letter(LetterKind::Event, "[]")));
    assert_eq!((&body["kind"], &body["state"]), (&json!("event"), &json!("discarded")));
    assert_eq!(body["settled"]["by"], json!({ "kind": "system", "subject": "lifecycle" }));
}

#[test]
fn a_replay_names_what_it_wants() {
    let body: ReplayBody =
        read(r#"{"filter":{"state":"open","kind":"timer","campaignId":5},"dryRun":true}"#).expect("valid");
    assert!(body.dry_run && body.limit.is_none());
    let filter = LetterFilter::from(body.filter);
    assert_eq!((filter.state, filter.kind), (Some(LetterState::Open), Some(LetterKind::Timer)));
    assert_eq!(filter.campaign, Some(CampaignId::parse("5").expect("valid")));
    assert_eq!(read::<ReplayBody>(r#"{"filter":{"state":"lost"}}"#).expect_err("no state").pointer(), "/filter/state");
}

#[test]
fn a_forecast_puts_the_kinds_of_one_bucket_together() {
    let (from, to) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T12:00:00Z"));
    let row = |bucket, kind: &str, count| ForecastRow { bucket, kind: kind.to_owned(), count };
    let later = at("2026-11-23T11:00:00Z");
    let rows = [row(later, "START_CAMPAIGN", 1), row(from, "START_CAMPAIGN", 2), row(from, "CLOSE_CAMPAIGN", 3)];
    assert_eq!(
        shown(&ForecastBody::new(from, to, 3600, &rows)),
        json!({
            "from": "2026-11-23T10:00:00Z", "to": "2026-11-23T12:00:00Z", "bucketSeconds": 3600,
            "buckets": [
                { "start": "2026-11-23T10:00:00Z", "total": 5, "timers": [
                    { "timerType": "CLOSE_CAMPAIGN", "count": 3 }, { "timerType": "START_CAMPAIGN", "count": 2 }
                ] },
                { "start": "2026-11-23T11:00:00Z", "total": 1, "timers": [
                    { "timerType": "START_CAMPAIGN", "count": 1 }
                ] }
            ]
        })
    );
}

#[test]
fn a_problem_says_only_what_there_is_to_say() {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        title: "Bad Request".to_owned(),
        status: 400,
        detail: "no".to_owned(),
        code: "malformed_json".to_owned(),
        request_id: None,
        errors: vec![FieldProblem::field("/a", "is required")],
    };
    assert_eq!(
        shown(&problem),
        json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no", "code": "malformed_json",
            "errors": [{ "pointer": "/a", "detail": "is required" }]
        })
    );
}

#[test]
fn the_names_of_statuses_and_states_are_those_of_the_domain() {
    for status in Status::ALL {
        assert_eq!(shown(&StatusName::from(status)), status.as_str());
    }
    for state in TimerState::ALL {
        assert_eq!(shown(&TimerStateName::from(state)), state.as_str());
    }
    for state in LetterState::ALL {
        let name = LetterStateName::from(state);
        assert_eq!((shown(&name), LetterState::from(name)), (json!(state.as_str()), state));
    }
}

#[test]
fn the_schema_of_a_request_says_which_fields_there_are() {
    let schema = shown(&CreateCampaign::schema());
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["campaignId", "startTime"]));
    assert_eq!(schema["properties"]["startTime"]["format"], "date-time");
    assert_eq!(schema["properties"]["campaignId"]["maxLength"], 64);
    let page = shown(&PageBody::<CampaignBody>::schema());
    assert!(page["properties"]["items"]["items"].is_object(), "{page:#}");
}
