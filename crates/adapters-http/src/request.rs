//! A request as handlers see it: path, query, headers and body, each checked before it is believed.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use domain::{CampaignId, CommandId, OwnerId, TenantId, TimerId, Timestamp};
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use ports::query::{MAX_PAGE, PageCursor, PageRequest};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::body_memory::Share;
use crate::gate::Caller;
use crate::operation::{Effect, Input, Operation};
use crate::problem::ApiError;

/// The header that makes a command safe to repeat.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read and thrown away, so that its sender gets to read the answer.
const MAX_DISCARDED: usize = 32 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);
const DEFAULT_PAGE: usize = 50;
const MAX_CURSOR: usize = 512;

/// One call of an operation.
#[derive(Debug)]
pub(crate) struct Call {
    /// Of which.
    pub(crate) operation: Operation,
    /// The request's path as it came.
    pub(crate) path: String,
    /// What stood for the `{name}`s in the path, still percent-encoded.
    pub(crate) parameters: Vec<String>,
    /// The query.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Its share of what all bodies may take.
    pub(crate) _share: Share,
    /// Who calls; none where everybody may.
    pub(crate) caller: Option<Caller>,
    /// What the sender follows it by.
    pub(crate) correlation: String,
}

impl Call {
    /// Who calls.
    ///
    /// # Errors
    /// When the operation is public, which is a mistake of ours.
    pub(crate) fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().ok_or_else(|| ApiError::internal(&std::io::Error::other("no caller on a guarded route")))
    }

    /// The caller's tenant.
    pub(crate) fn tenant(&self) -> Result<&TenantId, ApiError> {
        Ok(&self.caller()?.principal.tenant)
    }

    fn parameter(&self, index: usize) -> Option<Cow<'_, str>> {
        percent_decode_str(self.parameters.get(index)?).decode_utf8().ok()
    }

    /// The campaign in the path. One that no campaign can have is like one that none has.
    pub(crate) fn campaign(&self) -> Result<CampaignId, ApiError> {
        self.parameter(0).and_then(|id| CampaignId::parse(&id).ok()).ok_or_else(ApiError::unknown_campaign)
    }

    /// The timer in the path, after its campaign.
    pub(crate) fn timer(&self) -> Result<TimerId, ApiError> {
        self.parameter(1).and_then(|id| Uuid::try_parse(&id).ok()).map(TimerId).ok_or_else(ApiError::unknown_timer)
    }

    /// The dead letter in the path.
    pub(crate) fn letter(&self) -> Result<Uuid, ApiError> {
        self.parameter(0).and_then(|id| Uuid::try_parse(&id).ok()).ok_or_else(ApiError::unknown_letter)
    }

    /// The file in the path.
    pub(crate) fn file(&self) -> &str {
        self.parameters.first().map_or("", String::as_str)
    }

    /// The body's text.
    pub(crate) fn text(&self) -> Result<&str, ApiError> {
        std::str::from_utf8(&self.body)
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "invalid_utf8", "the body is not UTF-8"))
    }

    /// The body as a `T`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        read_json(self.text()?)
    }

    /// The body as a `T`, or the default where there is none.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// The sender's own id of the command.
    pub(crate) fn idempotency_key(&self) -> Result<Option<CommandId>, ApiError> {
        let Some(value) = single(&self.headers, &IDEMPOTENCY_KEY)? else { return Ok(None) };
        match value.to_str().map(CommandId::parse) {
            Ok(Ok(key)) => Ok(Some(key)),
            _ => Err(ApiError::header(&IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters")),
        }
    }

    /// The version that the sender decided on.
    pub(crate) fn expected_version(&self) -> Result<Option<u64>, ApiError> {
        let Some(value) = single(&self.headers, &IF_MATCH)? else { return Ok(None) };
        let text = value.to_str().map(str::trim).unwrap_or_default();
        if text == "*" {
            return Ok(None);
        }
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(version) {
            Some(version) => Ok(Some(version)),
            None => Err(ApiError::header(&IF_MATCH, "must be the ETag of one version, such as \"3\", or *")),
        }
    }

    /// Whether the sender has this version already.
    pub(crate) fn has_version(&self, current: u64) -> bool {
        self.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|text| {
            text.split(',').map(str::trim).any(|tag| {
                let tag = tag.strip_prefix("W/").unwrap_or(tag);
                tag == "*" || tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(version) == Some(current)
            })
        })
    }

    /// The SHA-256 of what is asked: the same key for anything else is a mistake of the sender.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        use aws_lc_rs::digest;
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [self.operation.spec().method.as_str().as_bytes(), self.path.as_bytes(), &self.body] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }
}

/// A version in the one way that it is written.
fn version(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// A header that may come only once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a http::HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(ApiError::header(name, "must come once")),
    }
}

/// Reads `text` as a `T`. What is no JSON at all is told apart from what is not as it should be.
pub(crate) fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    wire::fields::read(text).map_err(|fault| match wire::json::check(text) {
        Ok(()) => ApiError::field(&fault),
        Err(error) if error.is_data() => {
            ApiError::new(StatusCode::BAD_REQUEST, "too_deep", format!("the body {error}"))
        }
        Err(error) => {
            ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is not JSON: {error}"))
        }
    })
}

/// The query's parameters, each known and given once.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the raw query of `operation`.
    pub(crate) fn read(raw: &str, operation: Operation) -> Result<Self, ApiError> {
        let known = operation.spec().query;
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            if !known.iter().any(|parameter| parameter.name == name) {
                return Err(ApiError::parameter(&name, "is not known here"));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::parameter(&name, "is given twice"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that parses.
    pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        self.text(name).map(|text| text.parse().map_err(|error| ApiError::parameter(name, error))).transpose()
    }

    /// An instant.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.text(name)
            .map(|text| wire::time::parse(text).map_err(|error| ApiError::parameter(name, error)))
            .transpose()
    }

    /// An owner.
    pub(crate) fn owner(&self, name: &str) -> Result<Option<OwnerId>, ApiError> {
        self.parsed(name)
    }

    /// `true`, `false` or nothing, which is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::parameter(name, "must be true or false")),
        }
    }

    /// Which page.
    pub(crate) fn page(&self) -> Result<PageRequest, ApiError> {
        let limit = match self.text("limit").map(str::parse) {
            None => DEFAULT_PAGE,
            Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => limit,
            Some(_) => return Err(ApiError::parameter("limit", format_args!("must be a number from 1 to {MAX_PAGE}"))),
        };
        let after = self.text("cursor").map(|text| {
            let is_plain = (1..=MAX_CURSOR).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
            if is_plain { Ok(PageCursor(text.to_owned())) } else { Err(invalid_cursor()) }
        });
        Ok(PageRequest { after: after.transpose()?, limit })
    }
}

/// A cursor that nobody gave out.
pub(crate) fn invalid_cursor() -> ApiError {
    ApiError::parameter("cursor", "is not a nextCursor of this list")
}

/// Reads the body of a call of `operation`. Where one is needed, the headers are enough to refuse what is not taken; where
/// none is needed, they say nothing as long as none comes: clients name a type for nothing, too.
pub(crate) async fn take_body<S, B, E>(
    stream: S,
    headers: &HeaderMap,
    operation: Operation,
) -> Result<(Bytes, Share), ApiError>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    let spec = operation.spec();
    if spec.effect == Effect::Read {
        return Ok(<_>::default());
    }
    if matches!(spec.input, Input::Json | Input::LargeJson) {
        check_body_headers(headers, spec.input)?;
    }
    let body = read_body(stream, headers, spec.input.max_bytes()).await?;
    if spec.input == Input::Optional && !body.0.is_empty() {
        check_body_headers(headers, spec.input)?;
    }
    Ok(body)
}

/// Refuses, by the headers alone, a body that is not taken.
fn check_body_headers(headers: &HeaderMap, input: Input) -> Result<(), ApiError> {
    let unsupported = |detail| ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail);
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("the body must not be compressed"));
    }
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match content_type.map(|text| text.split(';').next().unwrap_or_default().trim()) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        None if input == Input::Optional => Ok(()),
        None | Some(_) => Err(unsupported("the body must be application/json")),
    }
}

/// Reads a body of at most `max` bytes.
async fn read_body<S, B, E>(stream: S, headers: &HeaderMap, max: usize) -> Result<(Bytes, Share), ApiError>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    let too_large = || {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body is larger than {max} bytes"))
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_DISCARDED) {
        return Err(too_large());
    }
    let mut stream = pin!(stream);
    let whole = async {
        let mut share = Share::default();
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(max));
        while let Some(part) = stream.next().await {
            let Ok(mut part) = part else {
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body ended early"));
            };
            if body.len() + part.remaining() > max {
                return Err(too_large());
            }
            share.grow(part.remaining())?;
            while part.has_remaining() {
                let chunk = part.chunk();
                body.extend_from_slice(chunk);
                let length = chunk.len();
                part.advance(length);
            }
        }
        Ok((body.freeze(), share))
    };
    let body = tokio::time::timeout(BODY_TIME, whole).await.unwrap_or_else(|_| {
        Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not come in time"))
    });
    let refused = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::SERVICE_UNAVAILABLE];
    if body.as_ref().is_err_and(|error| refused.contains(&error.status())) {
        // Closing with unread bytes would reset the connection, and the sender would never read why.
        let discard = async {
            let mut discarded = 0;
            while let Some(Ok(part)) = stream.next().await {
                discarded += part.remaining();
                if discarded > MAX_DISCARDED {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DISCARD_TIME, discard).await;
    }
    body
}
