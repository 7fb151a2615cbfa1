//! The OpenAPI 3.1 document, made from the table of operations and from the very types that the handlers read and write.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, StatusCode};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Header, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, Schema,
};
use utoipa::{PartialSchema, ToSchema};
use wire::http as body;

use crate::operation::{Access, Effect, Input, Operation, Parameter, ParameterKind, Spec};

/// The document as JSON, made once.
pub(crate) static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&openapi()).expect("the document has only text keys").into());

const SECURITY: &str = "bearer";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

const DESCRIPTION: &str = "Owns the automated life of campaigns: what is created here is started, closed, opened for \
claims and expired by durable timers.\n\nErrors are problem details (RFC 9457) with a stable `code`. A command with an \
`Idempotency-Key` has its effect once, however often it comes; the answer is the first one, marked by \
`Idempotency-Replayed: true`. `If-Match` with an `ETag` lets a command through only when the campaign is still as its \
sender saw it.";

/// The OpenAPI document of every operation.
pub fn openapi() -> OpenApi {
    let mut schemas = Schemas::default();
    let problem = schemas.of::<body::Problem>();
    let mut paths = PathsBuilder::new();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let described = describe(*operation, &problem, &mut schemas);
        paths = paths.path(spec.path, PathItem::new(method(&spec.method), described));
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.found)
        .security_scheme(SECURITY, SecurityScheme::Http(bearer))
        .build();
    let info = InfoBuilder::new()
        .title("Campaign Lifecycle Service")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components)).build()
}

/// The schemas that the operations refer to.
#[derive(Default)]
struct Schemas {
    found: BTreeMap<String, RefOr<Schema>>,
}

impl Schemas {
    /// A reference to `T`, which gets into the document with all that it refers to.
    fn of<T: ToSchema>(&mut self) -> Ref {
        let name: Cow<'static, str> = T::name();
        let mut others = Vec::new();
        T::schemas(&mut others);
        self.found.extend(others);
        self.found.insert(name.to_string(), <T as PartialSchema>::schema());
        Ref::from_schema_name(name)
    }
}

fn describe(operation: Operation, problem: &Ref, schemas: &mut Schemas) -> OperationBuilder {
    let spec = operation.spec();
    let mut described = OperationBuilder::new().operation_id(Some(spec.id)).summary(Some(spec.summary)).tag(spec.tag);
    for name in path_parameters(spec.path) {
        described = described.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text())),
        );
    }
    for parameter in spec.query {
        described = described.parameter(
            ParameterBuilder::new()
                .name(parameter.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(parameter.summary))
                .schema(Some(parameter_schema(parameter))),
        );
    }
    for (name, summary) in request_headers(operation) {
        described = described.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(summary))
                .schema(Some(text())),
        );
    }
    if let Some(schema) = request(operation, schemas) {
        let required = if spec.input == Input::Optional { Required::False } else { Required::True };
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build();
        described = described.request_body(Some(body));
    }
    for (status, response) in answers(operation, schemas) {
        described = described.response(status.as_str(), response);
    }
    for (status, summary) in problems(spec) {
        let content = ContentBuilder::new().schema(Some(problem.clone())).build();
        let mut response = ResponseBuilder::new().description(summary).content(PROBLEM, content);
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response = response.header("Retry-After", number_header("Seconds to wait."));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response = response
                .header("RateLimit-Limit", number_header("How many calls may come at once."))
                .header("RateLimit-Remaining", number_header("How many are left."))
                .header("RateLimit-Reset", number_header("Seconds until there is one more."));
        }
        if status == StatusCode::UNAUTHORIZED {
            response = response.header("WWW-Authenticate", text_header("What is needed."));
        }
        described = described.response(status.as_str(), response.build());
    }
    match spec.access {
        Access::Public => described.securities(Some([SecurityRequirement::default()])),
        Access::Roles(roles) => {
            let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            described
                .description(Some(format!("Needs one of the roles {} or admin.", names.join(", "))))
                .security(SecurityRequirement::new::<_, [&str; 0], &str>(SECURITY, []))
        }
    }
}

/// The names in a path's `{}`.
fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn parameter_schema(parameter: &Parameter) -> Schema {
    let object = ObjectBuilder::new();
    match parameter.kind {
        ParameterKind::Text => object.schema_type(Type::String),
        ParameterKind::Integer => object.schema_type(Type::Integer),
        ParameterKind::Boolean => object.schema_type(Type::Boolean),
        ParameterKind::Instant => {
            object.schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        }
        ParameterKind::OneOf(names) => object.schema_type(Type::String).enum_values(Some(names.iter().copied())),
    }
    .into()
}

fn text_header(summary: &str) -> Header {
    HeaderBuilder::new().schema(Some(text())).description(Some(summary)).build()
}

fn number_header(summary: &str) -> Header {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    HeaderBuilder::new().schema(Some(number)).description(Some(summary)).build()
}

fn request_headers(operation: Operation) -> Vec<(&'static str, &'static str)> {
    let spec = operation.spec();
    let mut headers = Vec::new();
    if let Effect::Command { if_match } = spec.effect {
        headers.push((
            "Idempotency-Key",
            "The sender's id of the command, 1 to 255 visible ASCII characters; it has its effect once.",
        ));
        if if_match {
            headers.push(("If-Match", "The ETag of the version that the sender decided on, such as \"3\"."));
        }
    }
    if operation == Operation::GetCampaign {
        headers.push(("If-None-Match", "The ETag that the caller has; 304 when it is still the campaign's."));
    }
    if matches!(spec.access, Access::Roles(_)) {
        headers.push(("X-Request-Id", "A name for this request, given back and found in the log."));
    }
    if spec.effect != Effect::Read {
        headers.push(("X-Correlation-Id", "What the sender follows this by; kept with all that comes of it."));
    }
    headers
}

/// The problems that an operation can answer.
fn problems(spec: &Spec) -> Vec<(StatusCode, &'static str)> {
    let mut problems = vec![
        (StatusCode::INTERNAL_SERVER_ERROR, "The service failed; its log knows the request id."),
        (StatusCode::SERVICE_UNAVAILABLE, "Not possible at the moment; to be repeated."),
    ];
    if matches!(spec.access, Access::Roles(_)) || !spec.query.is_empty() {
        problems.push((StatusCode::BAD_REQUEST, "A header, a query parameter or the JSON itself makes no sense."));
    }
    if matches!(spec.access, Access::Roles(_)) {
        problems.push((StatusCode::UNAUTHORIZED, "There is no token, or it is not accepted."));
        problems.push((StatusCode::FORBIDDEN, "The token does not allow this."));
        problems.push((StatusCode::TOO_MANY_REQUESTS, "Too many requests."));
    }
    if spec.path.contains('{') {
        problems.push((StatusCode::NOT_FOUND, "There is nothing with this id, or nothing that the caller may see."));
    }
    if spec.input != Input::None {
        problems.push((StatusCode::REQUEST_TIMEOUT, "The body did not come in time."));
        problems.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."));
        problems.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON."));
        problems.push((StatusCode::UNPROCESSABLE_ENTITY, "A field of the body makes no sense; `errors` tells which."));
    }
    let changes_letter = spec.effect == Effect::Action && spec.path.contains("{letterId}");
    if matches!(spec.effect, Effect::Command { .. }) || changes_letter {
        problems.push((StatusCode::CONFLICT, "Not as things stand; `code` tells why."));
    }
    if spec.effect == (Effect::Command { if_match: true }) {
        problems.push((StatusCode::PRECONDITION_FAILED, "The campaign is not at the version of `If-Match`."));
    }
    problems
}

/// The body that an operation reads.
fn request(operation: Operation, schemas: &mut Schemas) -> Option<Ref> {
    match operation {
        Operation::CreateCampaign => Some(schemas.of::<body::CreateCampaign>()),
        Operation::CreateCampaigns => Some(schemas.of::<body::BatchBody>()),
        Operation::UpdateCampaign => Some(schemas.of::<body::UpdateCampaign>()),
        Operation::CancelCampaign => Some(schemas.of::<body::CancelBody>()),
        Operation::ChangeStatus => Some(schemas.of::<body::ChangeStatusBody>()),
        Operation::ScheduleTimer => Some(schemas.of::<body::ScheduleTimerBody>()),
        Operation::AppendEvent => Some(schemas.of::<body::EventBody>()),
        Operation::ReplayDeadLetters => Some(schemas.of::<body::ReplayBody>()),
        Operation::DiscardDeadLetter => Some(schemas.of::<body::DiscardBody>()),
        // Some of these take a body, and ignore it.
        Operation::ExecuteTimer
        | Operation::ReplayDeadLetter
        | Operation::RunRecovery
        | Operation::ListCampaigns
        | Operation::GetCampaign
        | Operation::GetLifecycle
        | Operation::ListTransitions
        | Operation::ListCampaignTimers
        | Operation::CancelTimer
        | Operation::ListTimers
        | Operation::Forecast
        | Operation::ListDeadLetters
        | Operation::GetDeadLetter
        | Operation::GetSystem
        | Operation::Livez
        | Operation::Readyz
        | Operation::Metrics
        | Operation::Index
        | Operation::OpenApi
        | Operation::Docs
        | Operation::DocsFile => None,
    }
}

/// What an operation answers when all is well.
fn answers(operation: Operation, schemas: &mut Schemas) -> Vec<(StatusCode, Response)> {
    let json = |schema: Ref, summary: &str| {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        ResponseBuilder::new().description(summary).content(JSON, content)
    };
    let plain = |content_type: &str, summary: &str| {
        let schema_type = if content_type == JSON { Type::Object } else { Type::String };
        let content = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(schema_type))).build();
        ResponseBuilder::new().description(summary).content(content_type, content).build()
    };
    let versioned = |response: ResponseBuilder| response.header("ETag", text_header("The campaign's version."));
    let command = |response: ResponseBuilder| {
        let replayed = text_header("`true` on the answer of a command that came again.");
        versioned(response).header("Idempotency-Replayed", replayed).build()
    };
    let ok = |response: Response| vec![(StatusCode::OK, response)];
    match operation {
        Operation::CreateCampaign => {
            let campaign = schemas.of::<body::CampaignBody>();
            let created = json(campaign.clone(), "It was created.").header("Location", text_header("Where it is."));
            let timeline = schemas.of::<body::TimelineBody>();
            let either = utoipa::openapi::schema::OneOfBuilder::new().item(campaign).item(timeline);
            let content = ContentBuilder::new().schema(Some(either)).build();
            let unchanged = ResponseBuilder::new()
                .description("It exists already and is equal; or, with `dryRun`, its planned timeline.")
                .content(JSON, content);
            vec![(StatusCode::CREATED, command(created)), (StatusCode::OK, command(unchanged))]
        }
        Operation::CreateCampaigns => {
            ok(json(schemas.of::<body::BatchResults>(), "One answer for each, in order.").build())
        }
        Operation::ListCampaigns => ok(json(schemas.of::<body::PageBody<body::CampaignBody>>(), "A page.").build()),
        Operation::GetCampaign => {
            let campaign = versioned(json(schemas.of::<body::CampaignBody>(), "The campaign.")).build();
            let same = versioned(ResponseBuilder::new().description("It is as the caller has it.")).build();
            vec![(StatusCode::OK, campaign), (StatusCode::NOT_MODIFIED, same)]
        }
        Operation::GetLifecycle => ok(json(schemas.of::<body::LifecycleBody>(), "All about it.").build()),
        Operation::ListTransitions => ok(json(schemas.of::<body::PageBody<body::TransitionBody>>(), "A page.").build()),
        Operation::UpdateCampaign
        | Operation::CancelCampaign
        | Operation::ChangeStatus
        | Operation::ExecuteTimer
        | Operation::CancelTimer => ok(command(json(schemas.of::<body::CampaignBody>(), "The campaign after it."))),
        Operation::ScheduleTimer => {
            let timer = schemas.of::<body::TimerBody>();
            let scheduled = command(json(timer.clone(), "It was scheduled."));
            vec![(StatusCode::CREATED, scheduled), (StatusCode::OK, command(json(timer, "It was scheduled before.")))]
        }
        Operation::ListCampaignTimers | Operation::ListTimers => {
            ok(json(schemas.of::<body::PageBody<body::TimerBody>>(), "A page.").build())
        }
        Operation::Forecast => ok(json(schemas.of::<body::ForecastBody>(), "How many, when.").build()),
        Operation::AppendEvent => {
            let taken = json(schemas.of::<body::EventReceipt>(), "It is kept, and will be processed.").build();
            vec![(StatusCode::ACCEPTED, taken)]
        }
        Operation::ListDeadLetters => ok(json(schemas.of::<body::PageBody<body::LetterBody>>(), "A page.").build()),
        Operation::GetDeadLetter | Operation::DiscardDeadLetter => {
            ok(json(schemas.of::<body::LetterBody>(), "The letter.").build())
        }
        Operation::ReplayDeadLetter => ok(json(schemas.of::<body::ReplayResult>(), "What came of it.").build()),
        Operation::ReplayDeadLetters => ok(json(schemas.of::<body::ReplaysBody>(), "What came of each.").build()),
        Operation::GetSystem => ok(json(schemas.of::<body::SystemBody>(), "How it is doing.").build()),
        Operation::RunRecovery => ok(json(schemas.of::<body::RecoveryBody>(), "What it found and did.").build()),
        Operation::Livez => ok(plain(JSON, "It is alive.")),
        Operation::Readyz => ok(plain(JSON, "Traffic may come.")),
        Operation::Metrics => ok(plain("text/plain", "In the Prometheus text format.")),
        Operation::Index => ok(plain(JSON, "Where to go from here.")),
        Operation::OpenApi => ok(plain(JSON, "This document.")),
        Operation::Docs => ok(plain("text/html", "The page.")),
        Operation::DocsFile => ok(plain("text/javascript", "A script, a style or an image.")),
    }
}
