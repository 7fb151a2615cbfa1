//! The window of a campaign: when it may run.

use chrono::TimeDelta;

use crate::Timestamp;

/// When a campaign may run: from `start` (inclusive) to `end` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

/// One way to say where a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEnd {
    /// At an instant.
    At(Timestamp),
    /// After the start by this long.
    After(TimeDelta),
}

/// Why a window is refused (DESIGN §3, rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No end was given.
    #[error("a window needs endTime, durationMinutes or durationHours")]
    NoEnd,
    /// Several ends were given and differ.
    #[error("endTime, durationMinutes and durationHours name different ends")]
    EndsDisagree,
    /// The window ends before, or as, it starts.
    #[error("the window ends before it starts")]
    OutOfOrder,
    /// Shorter than a second.
    #[error("the window is shorter than 1 second")]
    TooShort,
    /// Longer than 366 days.
    #[error("the window is longer than 366 days")]
    TooLong,
    /// The window is over already.
    #[error("the window ends in the past")]
    EndsInPast,
    /// The instants lie outside the years 1970 to 9999.
    #[error("the window lies outside the years 1970 to 9999")]
    OutOfRange,
}

impl Window {
    /// The shortest window.
    pub const MIN: TimeDelta = TimeDelta::seconds(1);
    /// The longest window.
    pub const MAX: TimeDelta = TimeDelta::days(366);

    /// A window from `start` to `end`.
    ///
    /// # Errors
    /// When out of order, shorter than [`Window::MIN`] or longer than [`Window::MAX`].
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, WindowError> {
        use chrono::Datelike;
        if [start, end].iter().any(|t| !(1970..=9999).contains(&t.year())) {
            return Err(WindowError::OutOfRange);
        }
        let length = end - start;
        if length <= TimeDelta::zero() {
            Err(WindowError::OutOfOrder)
        } else if length < Self::MIN {
            Err(WindowError::TooShort)
        } else if length > Self::MAX {
            Err(WindowError::TooLong)
        } else {
            Ok(Self { start, end })
        }
    }

    /// A window from `start` to the one end that all of `ends` name.
    ///
    /// # Errors
    /// When no end is given, when ends differ, or as [`Window::new`].
    pub fn from_ends(start: Timestamp, ends: &[WindowEnd]) -> Result<Self, WindowError> {
        let mut resolved = None;
        for end in ends {
            let at = match *end {
                WindowEnd::At(at) => at,
                WindowEnd::After(length) => start.checked_add_signed(length).ok_or(WindowError::OutOfRange)?,
            };
            match resolved {
                Some(other) if other != at => return Err(WindowError::EndsDisagree),
                _ => resolved = Some(at),
            }
        }
        Self::new(start, resolved.ok_or(WindowError::NoEnd)?)
    }

    /// First instant of the window.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// First instant after the window.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether the window is over at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end
    }

    /// Refuses a window that is over at `now`.
    ///
    /// # Errors
    /// [`WindowError::EndsInPast`].
    pub fn ending_after(self, now: Timestamp) -> Result<Self, WindowError> {
        if self.is_over(now) { Err(WindowError::EndsInPast) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    #[test]
    fn several_ends_must_agree() {
        let hour = TimeDelta::hours(1);
        assert!(Window::from_ends(at(0), &[WindowEnd::At(at(3600)), WindowEnd::After(hour)]).is_ok());
        assert_eq!(
            Window::from_ends(at(0), &[WindowEnd::At(at(3601)), WindowEnd::After(hour)]),
            Err(WindowError::EndsDisagree)
        );
        assert_eq!(Window::from_ends(at(0), &[]), Err(WindowError::NoEnd));
    }

    #[test]
    fn a_window_is_in_order_and_between_a_second_and_366_days_long() {
        assert_eq!(Window::new(at(10), at(10)), Err(WindowError::OutOfOrder));
        assert_eq!(Window::new(at(10), at(9)), Err(WindowError::OutOfOrder));
        assert_eq!(Window::new(at(0), at(0) + TimeDelta::milliseconds(999)), Err(WindowError::TooShort));
        assert!(Window::new(at(0), at(1)).is_ok());
        assert!(Window::new(at(0), at(366 * 86_400)).is_ok());
        assert_eq!(Window::new(at(0), at(366 * 86_400 + 1)), Err(WindowError::TooLong));
    }

    #[test]
    fn instants_that_no_calendar_holds_are_refused() {
        assert_eq!(Window::from_ends(at(0), &[WindowEnd::After(TimeDelta::MAX)]), Err(WindowError::OutOfRange));
        assert_eq!(Window::new(at(-10), at(10)), Err(WindowError::OutOfRange));
    }
}
