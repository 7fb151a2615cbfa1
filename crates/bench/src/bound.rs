//! What a figure has to be: at least or at most so much.

use std::fmt;

use crate::report::show;

/// A limit, which itself is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = match self {
            Self::AtLeast(least) => ('≥', *least),
            Self::AtMost(most) => ('≤', *most),
        };
        // Limits are round figures: what `show` adds to them is noise.
        let value = show(value);
        let value = if value.contains('.') { value.trim_end_matches('0').trim_end_matches('.') } else { &value };
        write!(f, "{sign} {value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_itself_is_allowed_and_nothing_is_not() {
        assert!(Bound::AtLeast(2.0).holds(2.0) && Bound::AtMost(2.0).holds(2.0));
        assert!(!Bound::AtLeast(2.0).holds(1.9) && !Bound::AtMost(2.0).holds(2.1));
        assert!(!Bound::AtLeast(2.0).holds(f64::NAN) && !Bound::AtMost(2.0).holds(f64::NAN));
    }

    #[test]
    fn limits_are_told_as_people_write_them() {
        assert_eq!(Bound::AtLeast(16_000.0).to_string(), "≥ 16,000");
        assert_eq!(Bound::AtMost(40.0).to_string(), "≤ 40");
        assert_eq!(Bound::AtMost(0.5).to_string(), "≤ 0.5");
    }
}
