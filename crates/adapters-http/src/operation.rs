//! The table of operations: method, path, access and inputs of every route. Router, metrics, OpenAPI document and tests
//! read it; a route that says nothing about access or inputs does not compile.

use std::sync::LazyLock;
use std::time::Duration;

use http::Method;
use ports::auth::Role;

/// The largest body of an ordinary request, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// The largest body of a batch of campaigns, in bytes.
pub const MAX_BATCH_BODY: usize = 4 * 1024 * 1024;
/// The most campaigns in one batch.
pub const MAX_BATCH: usize = 1_000;

/// How long an operation may take before its caller is told to come back later.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The same for those that work off a backlog.
pub(crate) const LONG_TIME_LIMIT: Duration = Duration::from_mins(1);

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Holders of one of these roles; `admin` always.
    Roles(&'static [Role]),
}

const READ: Access = Access::Roles(&[Role::Viewer, Role::Operator, Role::Service]);
const ACT: Access = Access::Roles(&[Role::Operator, Role::Service]);
const OPERATE: Access = Access::Roles(&[Role::Operator]);
const SEND: Access = Access::Roles(&[Role::Service]);

/// What an operation does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Read,
    /// One command, or many, to campaigns: `Idempotency-Key` is honoured.
    Command {
        /// Whether `If-Match` is honoured.
        if_match: bool,
    },
    /// Something else, which is harmless to repeat by itself.
    Action,
}

/// What an operation takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// JSON, if anything.
    Optional,
    /// JSON.
    Json,
    /// Much JSON.
    LargeJson,
}

impl Input {
    /// The most bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::None | Self::Optional | Self::Json => MAX_BODY,
            Self::LargeJson => MAX_BATCH_BODY,
        }
    }
}

/// What a query parameter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An instant in RFC 3339.
    Instant,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// A query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ParameterKind,
    /// What it is for.
    pub summary: &'static str,
}

const fn parameter(name: &'static str, kind: ParameterKind, summary: &'static str) -> Parameter {
    Parameter { name, kind, summary }
}

const CURSOR: Parameter =
    parameter("cursor", ParameterKind::Text, "Where the page begins: `nextCursor` of the page before.");
const LIMIT: Parameter =
    parameter("limit", ParameterKind::Integer, "How many items the page has at most: 1 to 200, default 50.");

/// Everything that is known about an operation before it runs.
#[derive(Debug)]
pub struct Spec {
    /// Its method.
    pub method: Method,
    /// Its path; `{name}` stands for one segment.
    pub path: &'static str,
    /// Its name in the document, in metrics and in logs.
    pub id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The group it is shown in.
    pub tag: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does to the world.
    pub effect: Effect,
    /// What it takes as its body.
    pub input: Input,
    /// The query parameters that it knows; any other is refused.
    pub query: &'static [Parameter],
    /// How long it may take.
    pub time_limit: Duration,
}

macro_rules! operations {
    ($($(#[doc = $summary:literal])+ $name:ident = $method:ident $path:literal $id:literal $tag:literal { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// Every operation that the service offers over HTTP.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[doc = $summary])+ $name,)+
        }

        impl Operation {
            /// Every operation, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What is known about it.
            pub fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$name => const { &Spec {
                        method: Method::$method,
                        path: $path,
                        id: $id,
                        summary: concat!($($summary),+).trim_ascii(),
                        tag: $tag,
                        $($field: $value),+
                    } },)+
                }
            }
        }
    };
}

operations! {
    /// Makes a campaign known; with `dryRun` only tells what its life would be.
    CreateCampaign = POST "/api/v1/campaigns" "createCampaign" "campaigns" {
        access: ACT, effect: Effect::Command { if_match: false }, input: Input::Json, time_limit: TIME_LIMIT,
        query: &[parameter("dryRun", ParameterKind::Boolean, "Answer the planned timeline and store nothing.")],
    }
    /// Makes up to 1,000 campaigns known, with one answer each.
    CreateCampaigns = POST "/api/v1/campaigns/batch" "createCampaigns" "campaigns" {
        access: ACT, effect: Effect::Command { if_match: false }, input: Input::LargeJson, query: &[], time_limit: TIME_LIMIT,
    }
    /// Lists campaigns, newest first.
    ListCampaigns = GET "/api/v1/campaigns" "listCampaigns" "campaigns" {
        access: READ, effect: Effect::Read, input: Input::None, time_limit: TIME_LIMIT,
        query: &[
            parameter("status", ParameterKind::Text, "Only campaigns in one of these statuses, separated by commas."),
            parameter("owner", ParameterKind::Text, "Only campaigns of this owner."),
            parameter("from", ParameterKind::Instant, "Only campaigns whose window ends after this."),
            parameter("to", ParameterKind::Instant, "Only campaigns whose window starts before this."),
            parameter("q", ParameterKind::Text, "Only campaigns whose id begins with this."),
            CURSOR,
            LIMIT,
        ],
    }
    /// Tells one campaign; its `ETag` is its version.
    GetCampaign = GET "/api/v1/campaigns/{campaignId}" "getCampaign" "campaigns" {
        access: READ, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Tells all about a campaign: its timers, its history and what comes next.
    GetLifecycle = GET "/api/v1/campaigns/{campaignId}/lifecycle" "getLifecycle" "campaigns" {
        access: READ, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Lists a campaign's transitions, oldest first.
    ListTransitions = GET "/api/v1/campaigns/{campaignId}/transitions" "listTransitions" "campaigns" {
        access: READ, effect: Effect::Read, input: Input::None, query: &[CURSOR, LIMIT], time_limit: TIME_LIMIT,
    }
    /// Changes a campaign.
    UpdateCampaign = PATCH "/api/v1/campaigns/{campaignId}" "updateCampaign" "campaigns" {
        access: ACT, effect: Effect::Command { if_match: true }, input: Input::Json, query: &[], time_limit: TIME_LIMIT,
    }
    /// Calls a campaign off.
    CancelCampaign = POST "/api/v1/campaigns/{campaignId}/cancel" "cancelCampaign" "campaigns" {
        access: ACT, effect: Effect::Command { if_match: true }, input: Input::Optional, query: &[], time_limit: TIME_LIMIT,
    }
    /// Moves a campaign to another status by hand.
    ChangeStatus = POST "/api/v1/campaigns/{campaignId}/status" "changeStatus" "campaigns" {
        access: ACT, effect: Effect::Command { if_match: true }, input: Input::Json, query: &[], time_limit: TIME_LIMIT,
    }
    /// Lists a campaign's timers in every state, earliest due first.
    ListCampaignTimers = GET "/api/v1/campaigns/{campaignId}/timers" "listCampaignTimers" "timers" {
        access: READ, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Schedules a CUSTOM timer.
    ScheduleTimer = POST "/api/v1/campaigns/{campaignId}/timers" "scheduleTimer" "timers" {
        access: OPERATE, effect: Effect::Command { if_match: true }, input: Input::Json, query: &[], time_limit: TIME_LIMIT,
    }
    /// Fires a pending timer now, due or not.
    ExecuteTimer = POST "/api/v1/campaigns/{campaignId}/timers/{timerId}/execute" "executeTimer" "timers" {
        access: OPERATE, effect: Effect::Command { if_match: true }, input: Input::Optional, query: &[], time_limit: TIME_LIMIT,
    }
    /// Cancels a pending reminder.
    CancelTimer = DELETE "/api/v1/campaigns/{campaignId}/timers/{timerId}" "cancelTimer" "timers" {
        access: OPERATE, effect: Effect::Command { if_match: true }, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Lists timers of all campaigns, earliest due first.
    ListTimers = GET "/api/v1/timers" "listTimers" "timers" {
        access: READ, effect: Effect::Read, input: Input::None, time_limit: TIME_LIMIT,
        query: &[
            parameter("state", ParameterKind::OneOf(&["pending", "overdue", "failed"]), "Which timers; default `pending`."),
            CURSOR,
            LIMIT,
        ],
    }
    /// Counts the transitions planned per stretch of time.
    Forecast = GET "/api/v1/forecast" "forecast" "timers" {
        access: READ, effect: Effect::Read, input: Input::None, time_limit: TIME_LIMIT,
        query: &[
            parameter("from", ParameterKind::Instant, "The beginning; default now."),
            parameter("to", ParameterKind::Instant, "The end; default a day after the beginning."),
            parameter("bucket", ParameterKind::Text, "`minute`, `hour` (default), `day`, or a number of seconds; at most 1,000 in all."),
        ],
    }
    /// Hands an event in, as a producer does on the bus.
    AppendEvent = POST "/api/v1/events" "appendEvent" "events" {
        access: SEND, effect: Effect::Action, input: Input::Json, query: &[], time_limit: TIME_LIMIT,
    }
    /// Lists dead letters, newest first.
    ListDeadLetters = GET "/api/v1/dlq" "listDeadLetters" "dead letters" {
        access: OPERATE, effect: Effect::Read, input: Input::None, time_limit: TIME_LIMIT,
        query: &[
            parameter("state", ParameterKind::OneOf(&["open", "replayed", "discarded"]), "Only letters in this state."),
            parameter("kind", ParameterKind::OneOf(&["event", "timer"]), "Only letters of this kind."),
            parameter("code", ParameterKind::Text, "Only letters with this code."),
            parameter("campaignId", ParameterKind::Text, "Only letters about this campaign."),
            parameter("eventType", ParameterKind::Text, "Only letters of this event type or timer type."),
            CURSOR,
            LIMIT,
        ],
    }
    /// Tells one dead letter with its original.
    GetDeadLetter = GET "/api/v1/dlq/{letterId}" "getDeadLetter" "dead letters" {
        access: OPERATE, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Processes one dead letter again.
    ReplayDeadLetter = POST "/api/v1/dlq/{letterId}/replay" "replayDeadLetter" "dead letters" {
        access: OPERATE, effect: Effect::Action, input: Input::Optional, query: &[], time_limit: TIME_LIMIT,
    }
    /// Processes the open dead letters that a filter names again, oldest first; with `dryRun` only tells which.
    ReplayDeadLetters = POST "/api/v1/dlq/replay" "replayDeadLetters" "dead letters" {
        access: OPERATE, effect: Effect::Action, input: Input::Json, query: &[], time_limit: LONG_TIME_LIMIT,
    }
    /// Gives a dead letter up; it stays as history.
    DiscardDeadLetter = DELETE "/api/v1/dlq/{letterId}" "discardDeadLetter" "dead letters" {
        access: OPERATE, effect: Effect::Action, input: Input::Optional, time_limit: TIME_LIMIT,
        query: &[parameter("reason", ParameterKind::Text, "Why; needed where the body does not say.")],
    }
    /// Tells how the service is doing, and what to do about it.
    GetSystem = GET "/api/v1/system" "getSystem" "system" {
        access: OPERATE, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Catches up on everything that is overdue, now.
    RunRecovery = POST "/api/v1/system/recovery" "runRecovery" "system" {
        access: OPERATE, effect: Effect::Action, input: Input::Optional, query: &[], time_limit: LONG_TIME_LIMIT,
    }
    /// Tells whether the process is alive.
    Livez = GET "/livez" "livez" "health" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Tells whether traffic should come.
    Readyz = GET "/readyz" "readyz" "health" {
        access: Access::Public, effect: Effect::Read, input: Input::None, time_limit: TIME_LIMIT,
        query: &[parameter("verbose", ParameterKind::Text, "Name every check, also those that are fine.")],
    }
    /// Tells the metrics, for Prometheus.
    Metrics = GET "/metrics" "metrics" "health" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// Tells what is offered here.
    Index = GET "/" "index" "documentation" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// This document.
    OpenApi = GET "/openapi.json" "openapi" "documentation" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// The page that shows this document; it needs no internet.
    Docs = GET "/docs" "docs" "documentation" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
    /// A part of that page.
    DocsFile = GET "/docs/{file}" "docsFile" "documentation" {
        access: Access::Public, effect: Effect::Read, input: Input::None, query: &[], time_limit: TIME_LIMIT,
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Nothing.
    NoSuchPath,
    /// Something, but not by this method.
    OtherMethods(Vec<Operation>),
    /// This operation, with what stands for the `{name}`s, still percent-encoded.
    Operation(Operation, Vec<&'a str>),
}

/// Paths as segments, in the order of [`Operation::ALL`].
static SEGMENTS: LazyLock<Vec<(Operation, Vec<&'static str>)>> = LazyLock::new(|| {
    Operation::ALL.iter().map(|operation| (*operation, operation.spec().path.split('/').collect())).collect()
});

/// Finds the operation for a method and a raw path. HEAD finds what GET finds. A literal segment goes before a `{name}`.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let segments: Vec<&str> = path.split('/').collect();
    let mut matches: Vec<(Operation, Vec<&str>)> = SEGMENTS
        .iter()
        .filter_map(|(operation, pattern)| matched(pattern, &segments).map(|parameters| (*operation, parameters)))
        .collect();
    if matches.is_empty() {
        return Found::NoSuchPath;
    }
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let best = (0..matches.len())
        .filter(|index| matches[*index].0.spec().method == *method)
        .min_by_key(|index| matches[*index].1.len());
    match best {
        Some(index) => {
            let (operation, parameters) = matches.swap_remove(index);
            Found::Operation(operation, parameters)
        }
        None => Found::OtherMethods(matches.into_iter().map(|(operation, _)| operation).collect()),
    }
}

fn matched<'a>(pattern: &[&str], segments: &[&'a str]) -> Option<Vec<&'a str>> {
    if pattern.len() != segments.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, given) in pattern.iter().zip(segments) {
        if wanted.starts_with('{') {
            if given.is_empty() {
                return None;
            }
            parameters.push(*given);
        } else if wanted != given {
            return None;
        }
    }
    Some(parameters)
}

/// The `Allow` header for what lies at a path.
pub(crate) fn allowed(operations: &[Operation]) -> String {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.spec().method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_has_its_own_id_and_its_own_route() {
        let ids: HashSet<&str> = Operation::ALL.iter().map(|o| o.spec().id).collect();
        let routes: HashSet<(&str, &str)> =
            Operation::ALL.iter().map(|o| (o.spec().method.as_str(), o.spec().path)).collect();
        assert_eq!((ids.len(), routes.len()), (Operation::ALL.len(), Operation::ALL.len()));
    }

    #[test]
    fn every_operation_is_found_at_its_path() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            let path = spec.path.replace("{file}", "x").replace("Id}", "").replace('{', "some-");
            match find(&spec.method, &path) {
                Found::Operation(found, _) => assert_eq!(found, *operation, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_literal_segment_goes_before_a_parameter_and_hides_nothing() {
        assert!(matches!(find(&Method::POST, "/api/v1/dlq/replay"), Found::Operation(Operation::ReplayDeadLetters, _)));
        assert_eq!(
            find(&Method::POST, "/api/v1/campaigns/batch"),
            Found::Operation(Operation::CreateCampaigns, Vec::new())
        );
        assert_eq!(
            find(&Method::GET, "/api/v1/campaigns/batch"),
            Found::Operation(Operation::GetCampaign, vec!["batch"])
        );
    }

    #[test]
    fn only_health_and_documentation_are_public() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            let is_open = matches!(spec.tag, "health" | "documentation");
            assert_eq!(spec.access == Access::Public, is_open, "{}", spec.id);
            assert_eq!(spec.path.starts_with("/api/v1/"), !is_open, "{}", spec.id);
        }
    }

    #[test]
    fn reads_are_gets_and_nothing_else_is() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            assert_eq!(spec.effect == Effect::Read, spec.method == Method::GET, "{}", spec.id);
        }
    }
}
