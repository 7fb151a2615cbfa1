//! What can be set about Redis, and how its address is read. How connections are made from it lives in `connect`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::connect::ConnectError;

/// What can be set about Redis. [`RedisSettings::new`] gives what is right for production.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is: `redis://`, `rediss://` (TLS), `redis-sentinel://`, `redis-cluster://` and these with TLS, with user
    /// and password where there are any. More nodes follow as `?node=host:port`, Sentinel's service as
    /// `?sentinelServiceName=name`.
    pub url: SecretString,
    /// Comes before the name of every key and channel, so that several services may share one Redis.
    ///
    /// A cluster spreads keys over nodes by their names, but one publication must write all streams at once. So on a
    /// cluster the prefix is put in braces, which makes all keys of this service live together: `{prod:}lifecycle-events`,
    /// and `{lifecycle}lifecycle-events` where the prefix is empty.
    pub prefix: String,
    /// A PEM file with the certificates that the server's is checked against; the system's own if there is none.
    pub ca_file: Option<PathBuf>,
    /// This process's name, different from those of all others.
    pub instance: String,
    /// Whether to go on (with a loud warning) on a Redis that may drop keys when its memory is full.
    pub allow_eviction: bool,
    /// How long one connection may take.
    pub connect_timeout: Duration,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// How old the last reply may become before the connection is replaced.
    pub silence: Duration,
    /// How long a question to the cache may take; slower ones count as a miss.
    pub cache_wait: Duration,
    /// How long the cache may take to learn something.
    pub cache_write_wait: Duration,
    /// How many campaigns the cache holds at most.
    pub cache_campaigns: u32,
    /// How long the rate limiter waits before this process counts by itself.
    pub limit_wait: Duration,
    /// How long inbound entries are kept after all groups have dealt with them.
    pub inbound_history: Duration,
    /// How long entries of the dead-letter stream are kept; the letters themselves live in the store.
    pub dead_letter_history: Duration,
}

impl RedisSettings {
    /// The defaults for a Redis at `url`, for the process called `instance`.
    pub fn new(url: SecretString, instance: String) -> Self {
        Self {
            url,
            prefix: String::new(),
            ca_file: None,
            instance,
            allow_eviction: false,
            connect_timeout: Duration::from_secs(3),
            command_timeout: Duration::from_secs(2),
            silence: Duration::from_secs(5),
            cache_wait: Duration::from_millis(50),
            cache_write_wait: Duration::from_millis(250),
            cache_campaigns: 10_000,
            limit_wait: Duration::from_millis(50),
            inbound_history: Duration::from_hours(24),
            dead_letter_history: Duration::from_hours(30 * 24),
        }
    }
}

/// The address, split: TLS is ours to set up, the rest is the driver's to read.
pub(crate) struct Address {
    /// Without TLS in its scheme.
    pub(crate) plain_url: SecretString,
    pub(crate) tls: bool,
    pub(crate) cluster: bool,
}

const SCHEMES: [(&str, &str); 6] = [
    ("redis", "redis"),
    ("rediss", "redis"),
    ("redis-sentinel", "redis-sentinel"),
    ("rediss-sentinel", "redis-sentinel"),
    ("redis-cluster", "redis-cluster"),
    ("rediss-cluster", "redis-cluster"),
];

impl Address {
    pub(crate) fn of(url: &SecretString) -> Result<Self, ConnectError> {
        let (scheme, rest) = url
            .expose_secret()
            .split_once("://")
            .ok_or_else(|| ConnectError::Url("it has no scheme; redis://host:6379 is the simplest form".to_owned()))?;
        let Some((_, plain)) = SCHEMES.iter().find(|(known, _)| *known == scheme) else {
            let known: Vec<_> = SCHEMES.iter().map(|(known, _)| *known).collect();
            return Err(ConnectError::Url(format!("its scheme must be one of {}", known.join(", "))));
        };
        Ok(Self {
            plain_url: format!("{plain}://{rest}").into(),
            tls: scheme.starts_with("rediss"),
            cluster: plain.ends_with("cluster"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_understood_and_no_other() {
        let of = |url: &str| Address::of(&url.to_owned().into()).map(|a| (a.tls, a.cluster));
        assert_eq!(of("redis://h").expect("known"), (false, false));
        assert_eq!(of("rediss://u:p@h:1/2").expect("known"), (true, false));
        assert_eq!(of("rediss-sentinel://h?sentinelServiceName=m").expect("known"), (true, false));
        assert_eq!(of("redis-cluster://h").expect("known"), (false, true));
        for wrong in ["http://h", "h:6379", ""] {
            let error = of(wrong).expect_err("not an address of Redis").to_string();
            assert!(error.contains("REDIS_URL"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let settings = RedisSettings::new("redis://ada:hunter2@h".to_owned().into(), "one".to_owned());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
