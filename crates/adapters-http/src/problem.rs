//! Everything that can go wrong with a request, and the one table that says with which status and code it is told.
//! Nothing internal gets into a problem; that goes to the log.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use application::{DeskError, SubmitError};
use http::header::{ALLOW, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ports::{PortError, Written};
use wire::fields::{Fault, shown};
use wire::http::{FieldProblem, Problem};

/// Marks the answer of a command that came again.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Why an operation is not carried out, as its caller is told.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldProblem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// A problem.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code: code.into(), detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// With a header beside it.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With the advice when to come again, in whole seconds, at least one.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Nothing is there.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    /// Something is there, but not by this method.
    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let error =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("this path takes only {allowed}"));
        match HeaderValue::from_str(allowed) {
            Ok(allowed) => error.with(ALLOW, allowed),
            Err(_) => error,
        }
    }

    /// No such campaign, or one that the caller may not see: nobody can tell which.
    pub(crate) fn unknown_campaign() -> Self {
        Self::rejected("unknown_campaign", &domain::Rejection::UnknownCampaign.to_string())
    }

    /// No such timer.
    pub(crate) fn unknown_timer() -> Self {
        Self::rejected("unknown_timer", &domain::Rejection::UnknownTimer.to_string())
    }

    /// No such letter.
    pub(crate) fn unknown_letter() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_letter", DeskError::Unknown.to_string())
    }

    /// A header that makes no sense.
    pub(crate) fn header(name: &HeaderName, detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_header", format!("the header {name} {detail}"))
    }

    /// A query parameter that makes no sense.
    pub(crate) fn parameter(name: &str, detail: impl Display) -> Self {
        let (name, detail) = (shown(name), detail.to_string());
        let detail = shown(&detail);
        let mut error =
            Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", format!("the query parameter {name:?} {detail}"));
        error.errors.push(FieldProblem::parameter(&name, &detail));
        error
    }

    /// A field of the body that makes no sense.
    pub(crate) fn field(fault: &Fault) -> Self {
        let detail = match fault.dotted().as_str() {
            "" => format!("the body is not acceptable: {}", fault.detail),
            field => format!("{field}: {}", fault.detail),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail);
        error.errors.push(FieldProblem::field(&fault.pointer(), &fault.detail));
        error
    }

    /// A command was refused by the domain.
    pub(crate) fn rejected(code: &str, message: &str) -> Self {
        Self {
            status: status_of_rejection(code),
            code: code.to_owned().into(),
            detail: message.to_owned().into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// A mistake of ours. What it was goes to the log only.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(error), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the service failed; the request id finds the cause in its log",
        )
    }

    /// It takes longer than it may.
    pub(crate) fn timed_out() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "this takes too long; it may still happen, so repeat it with the same Idempotency-Key",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// Marked as the answer of a command that came again, if it is.
    pub(crate) fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with(REPLAYED, HeaderValue::from_static("true")) } else { self }
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The body and the headers that tell it.
    pub(crate) fn into_problem(self, request_id: Option<String>) -> (Problem, Vec<(HeaderName, HeaderValue)>) {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            code: self.code.into_owned(),
            request_id,
            errors: self.errors,
        };
        (problem, self.headers)
    }
}

/// The status that tells a rejection.
pub(crate) fn status_of_rejection(code: &str) -> StatusCode {
    match code {
        "unknown_campaign" | "unknown_timer" => StatusCode::NOT_FOUND,
        "version_mismatch" => StatusCode::PRECONDITION_FAILED,
        "invalid_campaign" | "invalid_window" | "timer_out_of_range" => StatusCode::UNPROCESSABLE_ENTITY,
        // conflict, transition_not_allowed, field_is_fixed, wrong_status, window_is_over, timer_not_due,
        // timer_is_planned, timer_name_taken, too_many_timers: fine by itself, but not as things stand.
        _ => StatusCode::CONFLICT,
    }
}

impl From<&PortError> for ApiError {
    fn from(error: &PortError) -> Self {
        if !error.may_retry() {
            return Self::internal(error);
        }
        tracing::warn!(error = %Chain(error), "a request failed and may be repeated");
        let (code, detail) = match error.written() {
            Written::No => ("unavailable", "this is not possible at the moment; nothing was changed, repeat it"),
            Written::Unknown => (
                "outcome_unknown",
                "whether this was done is not known; repeat it with the same Idempotency-Key, or look",
            ),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1))
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        Self::from(&error)
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::KeyReused => Self::new(
                StatusCode::CONFLICT,
                "key_reused",
                "this Idempotency-Key was used before for a different request",
            ),
            SubmitError::Overloaded => Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", error.to_string())
                .retry_after(Duration::from_secs(1)),
            SubmitError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error.to_string())
                .retry_after(Duration::from_secs(1)),
            SubmitError::Poison(_) => Self::internal(&error),
            SubmitError::Store(error) => Self::from(error.as_ref()),
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown => Self::unknown_letter(),
            DeskError::Settled => Self::new(StatusCode::CONFLICT, "letter_settled", error.to_string()),
            DeskError::Port(error) => error.into(),
        }
    }
}

/// An error with everything that caused it.
struct Chain<'a>(&'a dyn std::error::Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::{Rejection, Status, Timestamp, Trigger, WindowError};

    use super::*;

    #[test]
    fn every_rejection_has_its_status() {
        let end = Timestamp::UNIX_EPOCH;
        let (from, to) = (Status::Closed, Status::Running);
        let status = Status::Expired;
        let expected = [
            (Rejection::UnknownCampaign, 404),
            (Rejection::AlreadyExists, 409),
            (Rejection::VersionMismatch { expected: 1, actual: 2 }, 412),
            (Rejection::TransitionNotAllowed { from, to, trigger: Trigger::Operator }, 409),
            (Rejection::InvalidDefinition(domain::DefinitionError::NoTarget), 422),
            (Rejection::InvalidWindow(WindowError::NoEnd), 422),
            (Rejection::FieldIsFixed { field: "startTime", status }, 409),
            (Rejection::WrongStatus { status }, 409),
            (Rejection::WindowIsOver { end }, 409),
            (Rejection::UnknownTimer, 404),
            (Rejection::TimerNotDue { due: end }, 409),
            (Rejection::TimerIsPlanned { kind: "START_CAMPAIGN" }, 409),
            (Rejection::TimerNameTaken, 409),
            (Rejection::TimerOutOfRange, 422),
            (Rejection::TooManyTimers { limit: 100 }, 409),
        ];
        for (rejection, status) in expected {
            assert_eq!(status_of_rejection(rejection.code()).as_u16(), status, "{}", rejection.code());
        }
    }

    #[test]
    fn nothing_internal_reaches_the_caller() {
        let secret = "disk I/O error at /var/lib/secret";
        let errors = [
            PortError::Refused { what: "the store", detail: secret.to_owned() },
            PortError::Corrupt { what: "the store", detail: secret.to_owned() },
            PortError::Unavailable { what: "the store", source: secret.into() },
            PortError::Unknown { what: "the store", source: secret.into() },
        ];
        let statuses = [500, 500, 503, 503];
        for (error, status) in errors.into_iter().zip(statuses) {
            let (problem, _) = ApiError::from(error).into_problem(None);
            assert_eq!(problem.status, status);
            assert!(!problem.detail.contains("secret") && !problem.detail.contains("store"), "{}", problem.detail);
        }
        let (problem, _) = ApiError::from(SubmitError::Poison(secret.to_owned())).into_problem(None);
        assert_eq!((problem.status, problem.code.as_str()), (500, "internal"));
        assert!(!problem.detail.contains("secret"));
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let error = ApiError::timed_out().headers.len();
            assert_eq!(error, 1);
            let error = ApiError::no_such_path().retry_after(Duration::from_millis(wait));
            assert_eq!(error.headers[0].1, seconds);
        }
    }
}
