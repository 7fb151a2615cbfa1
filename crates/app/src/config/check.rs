//! What is checked before anything starts: keys, kinds and limits by the schema, then what only holds between keys.

use std::net::SocketAddr;

use adapters_http::{NotANetwork, TrustedProxies};
use serde_json::Value;

use super::layers::unknown_key;
use super::schema::{Kind, Node};
use super::sections::{Auth, AuthMode, Config};
use super::values::Span;

/// Where the value at a path came from, in a user's words.
pub(crate) type SourceOf<'a> = &'a dyn Fn(&[&str]) -> String;

/// Checks keys, kinds and limits of everything that was set.
pub(crate) fn check_shape(root: &Value, source_of: SourceOf<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    visit(root, Node::root(), &mut Vec::new(), source_of, &mut problems);
    problems
}

fn visit<'v>(
    value: &'v Value,
    node: Node<'_>,
    path: &mut Vec<&'v str>,
    source_of: SourceOf<'_>,
    problems: &mut Vec<String>,
) {
    let (true, Some(table)) = (node.is_table(), value.as_object()) else {
        if let Err(wrong) = check_value(value, node) {
            let shown = if node.is_secret() { "(hidden)".to_owned() } else { shown(value) };
            problems.push(format!("{} must be {wrong}, not {shown} (from {})", path.join("."), source_of(path)));
        }
        return;
    };
    for (name, value) in table {
        path.push(name);
        match node.child(name) {
            Some(child) => visit(value, child, path, source_of, problems),
            None => problems.push(unknown_key(node, &path[..path.len() - 1], name, &source_of(path))),
        }
        path.pop();
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        plain => plain.to_string(),
    }
}

/// Says what a value must be, if it is something else.
fn check_value(value: &Value, node: Node<'_>) -> Result<(), String> {
    let kind = node.kind();
    let fits = match (&kind, value) {
        (Kind::Integer, Value::Number(number)) => {
            let (min, max) = node.numbers();
            let (min, max) = (min.unwrap_or(0), max.unwrap_or(i64::MAX));
            return match number.as_i64() {
                Some(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("a whole number from {min} to {max}")),
            };
        }
        (Kind::Duration, Value::String(text)) => return check_duration(text, node),
        (Kind::Choice(names), Value::String(text)) => names.contains(text),
        (Kind::List, Value::Array(items)) => items.iter().all(Value::is_string),
        (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(match kind {
        Kind::Choice(_) | Kind::Boolean | Kind::Text => kind.words(),
        Kind::Duration => "a duration such as \"5s\"".to_owned(),
        Kind::Integer | Kind::List | Kind::Table | Kind::Map => format!("a {}", kind.words()),
    })
}

fn check_duration(text: &str, node: Node<'_>) -> Result<(), String> {
    let span = Span::parse(text).map_err(|_| "a duration such as \"500ms\", \"5s\", \"10m\" or \"7d\"".to_owned())?;
    let (min, max) = node.durations();
    let outside = |bound: Option<&str>, is_outside: fn(&Span, &Span) -> bool| {
        bound.and_then(|bound| Span::parse(bound).ok()).is_some_and(|bound| is_outside(&span, &bound))
    };
    if outside(min, |a, b| a.0 < b.0) || outside(max, |a, b| a.0 > b.0) {
        return Err(format!("a duration from {} to {}", min.unwrap_or("0s"), max.unwrap_or("any")));
    }
    Ok(())
}

/// Checks what only holds between keys, or needs more than a kind and limits.
pub(crate) fn check_whole(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    check_auth(&config.auth, config.http.listen, &mut problems);
    check_servers(config, &mut problems);
    let (first, max) = (config.timers.retry_first, config.timers.retry_max);
    if first.0 > max.0 {
        problems.push(format!("timers.retry_first ({first}) must not be longer than timers.retry_max ({max})"));
    }
    let (window, unread) = (config.events.retry_window, config.health.max_unread);
    if window.0 >= unread.0 {
        problems.push(format!(
            "health.max_unread ({unread}) must be longer than events.retry_window ({window}): an event that waits for its \
             campaign is unread, and one early event would make the service not ready"
        ));
    }
    for origin in config.websocket.origins.iter().filter(|origin| *origin != "*") {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', ' '])) {
            problems.push(format!(
                "websocket.origins must hold origins such as \"https://app.example.org\", without a path, not {origin:?}"
            ));
        }
    }
    if let Err(NotANetwork(text)) = TrustedProxies::parse(&config.http.trusted_proxies) {
        problems.push(format!(
            "http.trusted_proxies must hold addresses and networks such as \"10.0.0.7\" or \"10.0.0.0/8\", not {text:?}"
        ));
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.level) {
        problems.push(format!(
            "log.level must be a level such as \"info\" or filters such as \"info,lifecycle_application=debug\": {error}"
        ));
    }
    for tenant in config.tenants.keys() {
        match domain::TenantId::parse(tenant) {
            Ok(id) if id == domain::TenantId::service() => {
                problems
                    .push(format!("tenants.{tenant}: this tenant is kept for the service itself, it has no campaigns"));
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("tenants.{tenant}: a tenant id {error}")),
        }
    }
    problems
}

fn check_servers(config: &Config, problems: &mut Vec<String>) {
    if config.on_servers() && config.uses_own_key() && !config.http.listen.ip().is_loopback() {
        problems.push(
            "no key for tokens is set, and instances on servers must share one: set auth.hs256_secret \
             (LIFECYCLE_AUTH__HS256_SECRET; `openssl rand -hex 32` makes a good one), auth.public_key_file or auth.jwks"
                .to_owned(),
        );
    }
    let asked = config.websocket.resume_retention.0.max(config.redis.keep_outbound.0);
    if let Some(keep) = config.postgres.keep_log.filter(|keep| keep.0 < asked) {
        problems.push(format!(
            "postgres.keep_log ({keep}) must not be shorter than websocket.resume_retention and redis.keep_outbound: what \
             clients and the bus may still ask for is in the log"
        ));
    }
    if config.redis.prefix.len() > 64 || config.redis.prefix.contains(['{', '}', ' ']) {
        problems.push("redis.prefix must have at most 64 characters, without spaces and braces".to_owned());
    }
}

/// The shortest HS256 secret that is accepted, in bytes: as long as its digest (RFC 7518, section 3.2).
const MIN_SECRET: usize = 32;

fn check_auth(auth: &Auth, listen: SocketAddr, problems: &mut Vec<String>) {
    if auth.mode == AuthMode::Off && !listen.ip().is_loopback() {
        problems.push(format!(
            "auth.mode = \"off\" is accepted only while http.listen is a loopback address such as 127.0.0.1, not {listen}"
        ));
    }
    if let Some(secret) = &auth.hs256_secret
        && secret.expose().len() < MIN_SECRET
    {
        problems.push(format!(
            "auth.hs256_secret must have at least {MIN_SECRET} bytes; `openssl rand -hex 32` makes a good one"
        ));
    }
    if let Some(jwks) = &auth.jwks
        && jwks.contains("://")
        && !["https://", "http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|p| jwks.starts_with(p))
    {
        problems.push(format!("auth.jwks must be a file or an https:// address, not {jwks:?}"));
    }
}
