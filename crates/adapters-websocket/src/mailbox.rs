//! Where a connection's frames wait for it: one small allocation, since there are thousands, most of them empty.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::encode::Encoded;

/// One listening of one connection; never used again after it ended.
pub(crate) type RouteId = u32;

/// Frames for a connection.
pub(crate) struct Delivery {
    pub(crate) route: RouteId,
    pub(crate) frames: Arc<Encoded>,
}

impl Delivery {
    fn size(&self) -> usize {
        size_of::<Self>() + self.frames.size()
    }
}

/// What a connection finds in its mailbox.
pub(crate) enum Mail {
    /// Frames.
    Frames(Delivery),
    /// These routes ended, since not all fitted: what they missed is in the feed.
    Cut(Vec<RouteId>),
}

/// For how many deliveries an empty mailbox keeps room.
const KEPT: usize = 16;

/// Where a connection's frames are put. What does not fit is not lost: the connection is told which of its routes were
/// cut, and reads what it missed from the feed.
pub(crate) struct Mailbox {
    /// In bytes. What is shared by many is counted for each: a slow client may be the last who holds it.
    capacity: usize,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    frames: VecDeque<Delivery>,
    /// The size of `frames`.
    size: usize,
    cut: Vec<RouteId>,
    /// Of the connection, when it waits.
    waker: Option<Waker>,
    is_closed: bool,
}

/// A mailbox cannot take something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The route was cut.
    Full,
    /// Nobody reads it any more.
    Closed,
}

impl Mailbox {
    /// A mailbox for `capacity` bytes of frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, content: Mutex::default() }
    }

    /// Puts `delivery` in, or cuts its route. An empty mailbox takes one of any size: it must come some day.
    pub(crate) fn put(&self, delivery: Delivery) -> Result<(), Refused> {
        let mut content = self.content();
        if content.is_closed {
            return Err(Refused::Closed);
        }
        let size = delivery.size();
        let is_full = !content.frames.is_empty() && content.size + size > self.capacity;
        if is_full {
            content.cut.push(delivery.route);
        } else {
            content.frames.push_back(delivery);
            content.size += size;
        }
        content.wake();
        if is_full { Err(Refused::Full) } else { Ok(()) }
    }

    /// Cuts `route`.
    pub(crate) fn cut(&self, route: RouteId) {
        let mut content = self.content();
        content.cut.push(route);
        content.wake();
    }

    /// What came, one after the other; waits for it. Safe to drop while waiting. Only one may wait.
    pub(crate) async fn next(&self) -> Mail {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Mail> {
        let mut content = self.content();
        if !content.cut.is_empty() {
            return Poll::Ready(Mail::Cut(std::mem::take(&mut content.cut)));
        }
        if let Some(delivery) = content.frames.pop_front() {
            content.size -= delivery.size();
            return Poll::Ready(Mail::Frames(delivery));
        }
        if content.frames.capacity() > KEPT {
            content.frames = VecDeque::new();
        }
        if content.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            content.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Nobody will read it any more.
    pub(crate) fn close(&self) {
        let mut content = self.content();
        *content = Content { is_closed: true, ..Content::default() };
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // The content is whole after every statement: a panic elsewhere does not spoil it.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn delivery(route: RouteId) -> Delivery {
        Delivery { route, frames: Arc::default() }
    }

    fn routes_of(mailbox: &Mailbox) -> Vec<RouteId> {
        let mut routes = Vec::new();
        while let Some(Mail::Frames(delivery)) = mailbox.next().now_or_never() {
            routes.push(delivery.route);
        }
        routes
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let mailbox = Mailbox::new(100 * delivery(1).size());
        for route in 1..=100 {
            assert_eq!(mailbox.put(delivery(route)), Ok(()));
        }
        assert!(routes_of(&mailbox).into_iter().eq(1..=100));
        assert!(mailbox.content().frames.capacity() <= KEPT);
    }

    #[test]
    fn a_full_mailbox_cuts_the_route_and_says_so_and_goes_on_when_there_is_room() {
        let mailbox = Mailbox::new(1);
        assert_eq!(mailbox.put(delivery(1)), Ok(()));
        assert_eq!(mailbox.put(delivery(2)), Err(Refused::Full));
        assert!(matches!(mailbox.next().now_or_never(), Some(Mail::Cut(routes)) if routes == [2]));
        assert_eq!(routes_of(&mailbox), [1]);
        assert_eq!(mailbox.put(delivery(3)), Ok(()));
    }

    #[test]
    fn a_client_that_does_not_read_holds_no_more_than_its_capacity() {
        let mailbox = Mailbox::new(256 * 1024);
        let large = || Delivery { route: 1, frames: Arc::new(Encoded::of_bytes(8 * 1024)) };
        let taken =
            std::iter::repeat_with(large).map(|delivery| mailbox.put(delivery)).take_while(Result::is_ok).count();
        assert!((25..=32).contains(&taken), "{taken}");
        assert!(mailbox.content().size <= 256 * 1024);
        while let Some(Mail::Cut(_) | Mail::Frames(_)) = mailbox.next().now_or_never() {}
        assert_eq!(mailbox.content().size, 0);
        let endless = Delivery { route: 1, frames: Arc::new(Encoded::of_bytes(300 * 1024)) };
        assert_eq!(mailbox.put(endless), Ok(()), "into an empty one");
        assert_eq!(mailbox.put(delivery(2)), Err(Refused::Full));
    }

    #[test]
    fn nothing_is_put_into_a_closed_mailbox_and_it_holds_nothing() {
        let mailbox = Mailbox::new(usize::MAX);
        assert!(mailbox.next().now_or_never().is_none());
        assert_eq!(mailbox.put(delivery(1)), Ok(()));
        mailbox.close();
        assert_eq!(mailbox.put(delivery(1)), Err(Refused::Closed));
        let content = mailbox.content();
        assert!(content.frames.is_empty() && content.waker.is_none());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let mailbox = Arc::new(Mailbox::new(usize::MAX));
        let other = Arc::clone(&mailbox);
        let waiting = tokio::spawn(async move { other.next().await });
        tokio::task::yield_now().await;
        mailbox.cut(7);
        assert!(matches!(waiting.await.expect("no panic"), Mail::Cut(routes) if routes == [7]));
    }
}
