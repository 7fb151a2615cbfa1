//! What a connection does next for its subscriptions: it looks into its mailbox, or takes a step of one that is behind.

use std::future::pending;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::mailbox::{Mail, Mailbox};

/// Something to be done.
pub(crate) enum Work<'h> {
    /// This came.
    Mail(Mail),
    /// It is its turn to read what it missed.
    CatchUp(SemaphorePermit<'h>),
}

/// What goes first where there is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// What came.
    Mail,
    /// What was missed.
    CatchUp,
}

impl Work<'_> {
    /// What goes first afterwards: both take turns, so that neither waits for the other's end, which may not come.
    pub(crate) fn then(&self) -> Next {
        match self {
            Self::Mail(_) => Next::CatchUp,
            Self::CatchUp(_) => Next::Mail,
        }
    }
}

/// What is to be done next; waits for it. Safe to drop while waiting.
pub(crate) async fn next<'h>(mailbox: &Mailbox, reads: &'h Semaphore, is_behind: bool, first: Next) -> Work<'h> {
    let mail = async { Work::Mail(mailbox.next().await) };
    if !is_behind {
        return mail.await;
    }
    let turn = async {
        match reads.acquire().await {
            Ok(turn) => Work::CatchUp(turn),
            Err(_) => pending().await,
        }
    };
    match first {
        Next::Mail => tokio::select! { biased; mail = mail => mail, turn = turn => turn },
        Next::CatchUp => tokio::select! { biased; turn = turn => turn, mail = mail => mail },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::mailbox::Delivery;

    fn full() -> Mailbox {
        let mailbox = Mailbox::new(usize::MAX);
        for route in 1..=100 {
            mailbox.put(Delivery { route, frames: Arc::default() }).expect("there is room");
        }
        mailbox
    }

    #[test]
    fn what_came_and_what_was_missed_take_turns_so_that_neither_waits_for_the_other() {
        let (mailbox, reads) = (full(), Semaphore::new(1));
        let mut first = Next::Mail;
        let done: Vec<Next> = std::iter::repeat_with(|| {
            let work = next(&mailbox, &reads, true, first).now_or_never().expect("there is both");
            let was = if matches!(work, Work::Mail(_)) { Next::Mail } else { Next::CatchUp };
            first = work.then();
            was
        })
        .take(6)
        .collect();
        assert_eq!(done, [Next::Mail, Next::CatchUp].repeat(3));
    }

    #[test]
    fn nobody_waits_for_a_turn_while_there_is_mail() {
        let (mailbox, reads) = (full(), Semaphore::new(0));
        let work = next(&mailbox, &reads, true, Next::CatchUp).now_or_never();
        assert!(matches!(work, Some(Work::Mail(_))));
    }

    #[test]
    fn whoever_is_not_behind_takes_no_turn() {
        let (mailbox, reads) = (Mailbox::new(1), Semaphore::new(1));
        assert!(next(&mailbox, &reads, false, Next::CatchUp).now_or_never().is_none());
    }
}
