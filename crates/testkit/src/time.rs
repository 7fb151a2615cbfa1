//! Real time: the subject of these tests, so this is the one place of the suite that reads the machine's clock.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Now, in milliseconds since 1970.
#[expect(clippy::missing_panics_doc, reason = "a clock before 1970 or after the year 292 million")]
#[expect(clippy::disallowed_methods, reason = "scenarios play in real time, beside a process with its own clock")]
pub fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("in range")
}

/// The instant so many seconds from now, as the contract writes it.
#[expect(clippy::missing_panics_doc, reason = "offsets of tests are small")]
pub fn in_seconds(seconds: f64) -> String {
    let now = DateTime::<Utc>::from_timestamp_millis(now_millis()).expect("in range");
    let offset = TimeDelta::from_std(Duration::from_secs_f64(seconds.abs())).expect("in range");
    let at = if seconds < 0.0 { now - offset } else { now + offset };
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time of the contract, in milliseconds since 1970.
///
/// # Panics
/// When it is none.
pub fn millis_of(value: &serde_json::Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|e| panic!("{text}: {e}")).timestamp_millis()
}

/// Asks again and again until there is an answer; panics with `what` when there is none in time.
///
/// # Panics
/// When there is no answer within [`crate::PATIENCE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < crate::PATIENCE, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
