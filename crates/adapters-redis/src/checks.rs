//! Whether this Redis will do, looked at once at the start: its version, whether it may drop keys, whether it keeps them.
//! What is done about the findings lives with the caller.

use fred::prelude::Value;

use crate::connect::ConnectError;
use crate::link::Link;
use crate::values::{list, text};

/// The oldest version that has what is used.
const OLDEST: (u64, u64) = (7, 0);

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look at it.
    Warning,
}

/// Something about this Redis, for the log and `/system`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, and what to do.
    pub text: String,
}

impl Finding {
    fn info(text: impl Into<String>) -> Self {
        Self { level: Level::Info, text: text.into() }
    }

    fn warning(text: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into() }
    }
}

/// Looks at the server behind `link`. A user without the right to look gets findings that say so.
pub(crate) async fn look(link: &Link, allow_eviction: bool) -> Result<Vec<Finding>, ConnectError> {
    let info = match link.call("INFO", Vec::new()).await {
        Ok(info) => text(&info).unwrap_or_default(),
        Err(error) => {
            let text = format!("version, eviction and persistence of Redis could not be checked (INFO: {error})");
            return Ok(vec![Finding::warning(text)]);
        }
    };
    let mut findings = Vec::new();
    findings.push(version(field(&info, "redis_version"))?);
    findings.extend(eviction(field(&info, "maxmemory_policy"), allow_eviction)?);
    findings.extend(persistence(field(&info, "aof_enabled"), link).await);
    Ok(findings)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn version(version: Option<&str>) -> Result<Finding, ConnectError> {
    let Some(version) = version else {
        return Ok(Finding::warning("the version of Redis could not be checked"));
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
    let known = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if known < OLDEST {
        let (major, minor) = OLDEST;
        return Err(ConnectError::Unsuitable(format!("it is Redis {version}; {major}.{minor} or newer is needed")));
    }
    Ok(Finding::info(format!("Redis {version}")))
}

fn eviction(policy: Option<&str>, allowed: bool) -> Result<Option<Finding>, ConnectError> {
    match policy {
        Some("noeviction") => Ok(None),
        None => Ok(Some(Finding::warning("whether Redis may drop keys (maxmemory-policy) could not be checked"))),
        Some(policy) => {
            let text = format!(
                "its maxmemory-policy is {policy}: when its memory is full it drops keys, and events with them; set \
                 maxmemory-policy to noeviction"
            );
            if allowed {
                Ok(Some(Finding::warning(format!("Redis may lose events: {text}"))))
            } else {
                Err(ConnectError::Unsuitable(
                    text + ", or LIFECYCLE_REDIS__ALLOW_EVICTION to true to go on all the same",
                ))
            }
        }
    }
}

async fn persistence(aof: Option<&str>, link: &Link) -> Option<Finding> {
    match aof {
        Some("1") => {}
        Some(_) => {
            return Some(Finding::warning(
                "Redis keeps no append-only file: inbound events that were not read yet are lost when it restarts; set \
                 appendonly to yes and appendfsync to everysec or always",
            ));
        }
        None => return Some(Finding::warning("whether Redis keeps its data (appendonly) could not be checked")),
    }
    let setting = link.call("CONFIG", vec!["GET".into(), Value::from("appendfsync")]).await;
    match setting.map(|answer| list(answer).get(1).and_then(text)) {
        Ok(Some(fsync)) if fsync == "no" => Some(Finding::warning(
            "Redis leaves it to the system when its append-only file is written (appendfsync no): seconds of inbound \
             events may be lost; set appendfsync to everysec or always",
        )),
        Ok(Some(fsync)) => Some(Finding::info(format!("Redis keeps an append-only file (appendfsync {fsync})"))),
        Ok(None) | Err(_) => Some(Finding::info(
            "Redis keeps an append-only file; how often it is written (appendfsync) could not be checked: this user may \
             not use CONFIG",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_the_name_of_the_setting() {
        let error = version(Some("6.2.14")).expect_err("too old").to_string();
        assert!(error.contains("REDIS_URL") && error.contains("6.2.14"), "{error}");
        for fine in ["7.0.0", "7.4.1", "8.2.0", "255.255.255"] {
            assert_eq!(version(Some(fine)).expect("new enough").level, Level::Info);
        }
        assert_eq!(version(None).expect("unknown").level, Level::Warning);
    }

    #[test]
    fn a_server_that_may_drop_keys_is_refused_unless_it_is_wanted() {
        assert_eq!(eviction(Some("noeviction"), false).expect("fine"), None);
        for policy in ["allkeys-lru", "volatile-lru"] {
            assert!(eviction(Some(policy), false).expect_err("refused").to_string().contains(policy));
            let finding = eviction(Some(policy), true).expect("wanted").expect("a finding");
            assert_eq!(finding.level, Level::Warning);
        }
    }

    #[test]
    fn fields_of_the_report_are_found() {
        let report = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
        assert_eq!((field(report, "redis_version"), field(report, "redis")), (Some("7.0.15"), None));
    }
}
