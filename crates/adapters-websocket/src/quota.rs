//! How fast a client may send: a bucket of frames that refills with time.

use std::time::Duration;

use tokio::time::Instant;

/// The frames that a client may still send.
pub(crate) struct Quota {
    /// When the bucket would be full.
    full_at: Instant,
    per_frame: Duration,
    burst: Duration,
}

impl Quota {
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let per_frame = Duration::from_secs(1) / per_second.max(1);
        Self { full_at: now, per_frame, burst: per_frame.saturating_mul(burst.max(1)) }
    }

    /// Takes one frame, if one is left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.per_frame;
        if full_at > now + self.burst {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut quota = Quota::new(10, 3, start);
        assert_eq!((0..5).filter(|_| quota.take(start)).count(), 3);
        assert!(!quota.take(start + Duration::from_millis(99)));
        assert!(quota.take(start + Duration::from_millis(100)));
        assert!(!quota.take(start + Duration::from_millis(150)));
        assert_eq!((0..5).filter(|_| quota.take(start + Duration::from_mins(1))).count(), 3);
    }
}
