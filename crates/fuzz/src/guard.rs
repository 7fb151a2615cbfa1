//! One input through one target, watched: a panic anywhere in the thread counts, also one that somebody caught, and so
//! does an input that takes too long.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Check;

/// How much processor time one input may take. Far above what any needs: it finds what grows faster than its input.
const MOST_TIME: Duration = Duration::from_secs(1);

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What an input came to: what it met, in a few words that are the same for inputs alike, or which rule it broke.
pub(crate) type Verdict = Result<String, String>;

/// Runs `input`.
pub(crate) fn judge(check: &mut Check, input: &[u8]) -> Verdict {
    listen();
    let mut verdict = once(check, input);
    // A processor that was busy with something else is no fault of the input's.
    for _ in 0..2 {
        match &verdict {
            Err(what) if what.starts_with("takes ") => verdict = once(check, input),
            _ => break,
        }
    }
    verdict
}

fn once(check: &mut Check, input: &[u8]) -> Verdict {
    PANIC.take();
    let began = processor_time();
    let verdict = catch_unwind(AssertUnwindSafe(|| check(input)));
    let took = processor_time().saturating_sub(began);
    match (PANIC.take(), verdict) {
        (Some(panic), _) => Err(format!("panics: {panic}")),
        (None, Err(_)) => Err("panics".to_owned()),
        (None, Ok(Ok(_))) if took > MOST_TIME => Err(format!("takes {took:.1?}")),
        (None, Ok(verdict)) => verdict,
    }
}

/// Keeps panics instead of printing them: what is searched for would fill the screen.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            PANIC.with_borrow_mut(|kept| {
                kept.get_or_insert(info.to_string());
            });
        }));
    });
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_somebody_caught_is_seen() {
        let mut check: Check = Box::new(|input| {
            let _ = catch_unwind(|| assert!(input.is_empty(), "not empty"));
            Ok(String::new())
        });
        assert_eq!(judge(&mut check, b""), Ok(String::new()));
        assert!(judge(&mut check, b"x").is_err_and(|what| what.contains("not empty")));
    }
}
