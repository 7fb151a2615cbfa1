//! Hints to all processes: told here at once, and called out to the others a moment later, many in one. Hearing them lives
//! in `ears`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Timestamp;
use fred::prelude::Value;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use tokio::sync::Notify;

use crate::link::{Link, lock};
use crate::names::{HINTS_CHANNEL, Names};

/// After a call the next one waits so long, and takes along what came meanwhile.
const PAUSE: Duration = Duration::from_millis(1);

/// Hints that were not called out yet. Hints of one kind merge; the earliest timer wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hints {
    committed: bool,
    appended: bool,
    earliest: Option<Timestamp>,
}

impl Hints {
    fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Committed => self.committed = true,
            Hint::Appended => self.appended = true,
            Hint::TimerArmed(at) => self.earliest = Some(self.earliest.map_or(at, |known| known.min(at))),
        }
    }

    pub(crate) fn each(self, mut tell: impl FnMut(Hint)) {
        if self.committed {
            tell(Hint::Committed);
        }
        if self.appended {
            tell(Hint::Appended);
        }
        if let Some(at) = self.earliest {
            tell(Hint::TimerArmed(at));
        }
    }

    /// As it is called out: who calls, then `c`, `a` and `t<microseconds>`, each if it is so.
    fn write(self, instance: &str) -> String {
        let mut words = vec![instance.to_owned()];
        self.each(|hint| {
            words.push(match hint {
                Hint::Committed => "c".to_owned(),
                Hint::Appended => "a".to_owned(),
                Hint::TimerArmed(at) => format!("t{}", wire::time::micros(at)),
            });
        });
        words.join(" ")
    }

    /// Reads what [`Hints::write`] wrote; words that a newer process may use are passed over.
    pub(crate) fn read(text: &str) -> Option<(&str, Self)> {
        let mut words = text.split(' ');
        let instance = words.next()?;
        let mut hints = Self::default();
        for word in words {
            match word.split_at_checked(1)? {
                ("c", "") => hints.add(Hint::Committed),
                ("a", "") => hints.add(Hint::Appended),
                ("t", at) => hints.add(Hint::TimerArmed(at.parse().ok().and_then(wire::time::from_micros)?)),
                _ => {}
            }
        }
        Some((instance, hints))
    }
}

/// [`Wakeups`] of all processes.
pub struct SharedWakeups {
    local: Arc<dyn Wakeups>,
    waiting: Mutex<Hints>,
    news: Notify,
}

impl SharedWakeups {
    pub(crate) fn new(local: Arc<dyn Wakeups>) -> Arc<Self> {
        Arc::new(Self { local, waiting: Mutex::default(), news: Notify::new() })
    }

    /// Calls out.
    pub(crate) async fn call_out(self: Arc<Self>, link: Arc<Link>, names: Names, me: String) {
        let channel = names.of(HINTS_CHANNEL);
        loop {
            self.news.notified().await;
            let hints = std::mem::take(&mut *lock(&self.waiting));
            if hints != Hints::default() {
                let args: Vec<Value> = vec![channel.as_str().into(), hints.write(&me).into()];
                if let Err(error) = link.call("PUBLISH", args).await {
                    tracing::debug!(error = %error, "a hint was lost; the others look by themselves");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Wakeups for SharedWakeups {
    fn announce(&self, hint: Hint) {
        self.local.announce(hint);
        lock(&self.waiting).add(hint);
        self.news.notify_one();
    }

    fn subscribe(&self) -> Box<dyn Sleeper> {
        self.local.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        wire::time::from_micros(micros).expect("in range")
    }

    #[test]
    fn what_is_called_out_is_understood() {
        let mut hints = Hints::default();
        for hint in [Hint::TimerArmed(at(9)), Hint::Committed, Hint::TimerArmed(at(-7)), Hint::TimerArmed(at(3))] {
            hints.add(hint);
        }
        assert_eq!(hints.write("one"), "one c t-7");
        assert_eq!(Hints::read("one c t-7"), Some(("one", hints)));
        assert_eq!(Hints::read("one"), Some(("one", Hints::default())));
    }

    #[test]
    fn nonsense_is_not() {
        for text in ["one tx", "one  c", "one t"] {
            assert_eq!(Hints::read(text), None, "{text}");
        }
        assert_eq!(Hints::read("one z9 c").map(|(_, hints)| hints.committed), Some(true));
    }
}
