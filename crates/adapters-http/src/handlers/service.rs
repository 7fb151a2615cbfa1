//! The service itself: events handed in, its state, its health, its documents.

use application::{PatrolReport, RecoveryReport, SystemReport};
use domain::Timestamp;
use http::StatusCode;
use ports::instances::Instance;
use wire::http::{
    AdviceBody, AuditHeadBody, EventBody, EventReceipt, GroundBody, InstanceBody, InvariantCountBody, RecoveryBody,
    SystemBody, TaskBody, VerificationBody,
};
use wire::inbound::{Envelope, encode};

use crate::Api;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::Call;

pub(super) async fn append_event(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: EventBody = call.json()?;
    let caller = call.caller()?;
    let entry = encode(&Envelope {
        event_id: body.event_id.0.as_str(),
        event_type: &body.event_type,
        timestamp: body.timestamp.map_or_else(|| api.clock.now(), |at| at.0),
        source: body.source.as_deref().unwrap_or(&caller.principal.subject),
        tenant: caller.principal.tenant.as_str(),
        correlation: Some(body.correlation_id.as_deref().unwrap_or(&call.correlation)),
        causation: body.causation_id.as_deref(),
        data: &body.data.0,
    });
    let ids = api.inbound.append(vec![entry]).await?;
    let [id] = ids.as_slice() else {
        return Err(ApiError::internal(&std::io::Error::other("one entry was appended and did not get one id")));
    };
    Reply::json(StatusCode::ACCEPTED, &EventReceipt { entry_id: id.0.clone() })
}

pub(super) async fn system(api: &Api) -> Result<Reply, ApiError> {
    Reply::json(StatusCode::OK, &system_body(api.system.report().await?))
}

pub(super) async fn recover(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let report = api.system.recover(&call.caller()?.actor).await?;
    Reply::json(StatusCode::OK, &recovery_body(&report))
}

pub(super) fn livez() -> Result<Reply, ApiError> {
    Reply::json(StatusCode::OK, &serde_json::json!({ "status": "alive" }))
}

pub(super) async fn readyz(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let readiness = api.system.readiness().await;
    if !readiness.ready {
        let reasons: Vec<String> = readiness
            .checks
            .iter()
            .filter_map(|(check, result)| result.as_ref().err().map(|reason| format!("{check}: {reason}")))
            .collect();
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reasons.join("; ")));
    }
    let mut body = serde_json::json!({ "status": "ready" });
    if call.query.text("verbose").is_some() {
        let checks = readiness.checks.iter().map(|(check, _)| ((*check).to_owned(), "ok".into())).collect();
        body["checks"] = serde_json::Value::Object(checks);
    }
    Reply::json(StatusCode::OK, &body)
}

pub(super) fn metrics(api: &Api) -> Reply {
    Reply::content("text/plain; version=0.0.4; charset=utf-8", (api.metrics)())
}

pub(super) fn index() -> Result<Reply, ApiError> {
    let offers = serde_json::json!({
        "service": "lifecycle",
        "version": env!("CARGO_PKG_VERSION"),
        "api": "/api/v1",
        "docs": "/docs",
        "openapi": "/openapi.json",
        "websocket": "/ws",
        "health": ["/livez", "/readyz", "/metrics"],
    });
    Reply::json(StatusCode::OK, &offers)
}

pub(super) fn openapi() -> Reply {
    Reply::content("application/json", crate::openapi::DOCUMENT.clone())
}

fn system_body(report: SystemReport) -> SystemBody {
    let SystemReport {
        instance,
        others,
        store,
        published,
        oldest_unread,
        dead_letters,
        tasks,
        advice,
        recovery,
        patrol,
    } = report;
    SystemBody {
        instances: std::iter::once(instance_body(instance, None))
            .chain(others.into_iter().map(|seen| instance_body(seen.instance, Some(seen.seen_at))))
            .collect(),
        now: store.now,
        head: store.head.0,
        published: published.0,
        overdue: store.overdue,
        oldest_overdue: store.oldest_overdue,
        oldest_unread,
        dead_letters,
        tasks: tasks
            .into_iter()
            .map(|task| TaskBody { name: task.name.to_owned(), restarts: task.restarts, last_round: task.last_round })
            .collect(),
        advice: advice
            .into_iter()
            .map(|row| AdviceBody {
                measure: row.measure.to_owned(),
                value: row.value,
                unit: row.unit.to_owned(),
                threshold: row.threshold,
                crossed: row.crossed,
                action: row.action.to_owned(),
            })
            .collect(),
        recovery: recovery.as_ref().map(recovery_body),
        verification: patrol.map(verification_body),
    }
}

fn verification_body(report: PatrolReport) -> VerificationBody {
    let PatrolReport { grounds, violations, head } = report;
    VerificationBody {
        ok: violations.is_empty(),
        grounds: grounds
            .into_iter()
            .map(|(ground, report)| GroundBody {
                what: ground.as_str().to_owned(),
                checked: report.checked,
                rounds: report.rounds,
                last_round: report.last_round,
            })
            .collect(),
        violations: violations
            .into_iter()
            .map(|(invariant, count)| InvariantCountBody { invariant: invariant.id().to_owned(), count })
            .collect(),
        audit_head: head.map(|(position, hash, noted_at)| AuditHeadBody { position: position.0, hash, noted_at }),
    }
}

fn instance_body(instance: Instance, seen_at: Option<Timestamp>) -> InstanceBody {
    InstanceBody { id: instance.id, version: instance.version, started_at: instance.started_at, seen_at }
}

fn recovery_body(report: &RecoveryReport) -> RecoveryBody {
    RecoveryBody {
        id: report.id,
        started_at: report.started_at,
        finished_at: report.finished_at,
        overdue: report.overdue,
        oldest_overdue: report.oldest_overdue,
        caught_up: report.caught_up,
        unpublished: report.unpublished,
        oldest_unread: report.oldest_unread,
    }
}
