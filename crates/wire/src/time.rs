//! Instants as text (RFC 3339, UTC) and as whole microseconds since 1970.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use domain::Timestamp;

/// A text that is no instant of the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time such as 2026-11-23T10:00:00Z")]
pub struct NotATime;

/// Microseconds since 1970.
pub fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// The instant so many microseconds since 1970; none beyond the calendar.
pub fn from_micros(micros: i64) -> Option<Timestamp> {
    DateTime::<Utc>::from_timestamp_micros(micros)
}

/// Reads an RFC 3339 time with any offset; what is finer than a microsecond is cut off.
///
/// # Errors
/// [`NotATime`].
pub fn parse(text: &str) -> Result<Timestamp, NotATime> {
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| NotATime)?;
    let at = from_micros(at.timestamp_micros()).ok_or(NotATime)?;
    // With its offset taken off, an instant can fall out of the years that RFC 3339 can write.
    if (0..=9999).contains(&at.year()) { Ok(at) } else { Err(NotATime) }
}

/// Writes `2026-11-23T10:00:00.123456Z`; trailing zeros are dropped in steps of three digits.
pub fn format(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// By how many whole milliseconds `at` is later than `due`; 0 when it is not.
pub fn late_by_ms(due: Timestamp, at: Timestamp) -> u64 {
    u64::try_from((at - due).num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_utc_and_fractions_end_at_microseconds() {
        let at = parse("2026-11-23T12:00:00.1234567+02:00").expect("valid");
        assert_eq!(format(at), "2026-11-23T10:00:00.123456Z");
        assert_eq!(format(parse("2026-11-23T10:00:00.120Z").expect("valid")), "2026-11-23T10:00:00.120Z");
        assert_eq!(format(parse("2026-11-23t10:00:00z").expect("valid")), "2026-11-23T10:00:00Z");
    }

    #[test]
    fn what_is_no_rfc_3339_time_is_refused() {
        for text in ["", "tomorrow", "2026-11-23", "2026-11-23T10:00:00", "2026-13-01T00:00:00Z", "1763892000"] {
            assert_eq!(parse(text), Err(NotATime), "{text}");
        }
        assert_eq!(parse("9999-12-31T23:59:59-01:00"), Err(NotATime));
        assert_eq!(parse("0000-01-01T00:00:00+01:00"), Err(NotATime));
    }

    #[test]
    fn a_leap_second_is_the_first_of_the_next_minute() {
        assert_eq!(format(parse("2016-12-31T23:59:60Z").expect("valid")), "2017-01-01T00:00:00Z");
    }

    #[test]
    fn microseconds_are_read_back_as_written() {
        let at = parse("2026-11-23T10:00:00.000001Z").expect("valid");
        assert_eq!(from_micros(micros(at)), Some(at));
        assert_eq!(from_micros(i64::MAX), None);
    }

    #[test]
    fn early_is_not_late() {
        let due = parse("2026-11-23T10:00:00Z").expect("valid");
        let at = parse("2026-11-23T10:00:01.5Z").expect("valid");
        assert_eq!((late_by_ms(due, at), late_by_ms(at, due)), (1500, 0));
    }
}
