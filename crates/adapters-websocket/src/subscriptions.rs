//! What one connection is subscribed to, and how far each subscription is. Ends with the connection.

use std::sync::Arc;

use ports::feed::Channel;
use ports::journal::Position;
use tokio::time::Instant;
use wire::frames::Cursor;

use crate::Hub;
use crate::mailbox::{Mailbox, RouteId};
use crate::planted::Planted;
use crate::routes::Listener;

/// The route of a subscription that does not listen.
const NO_ROUTE: RouteId = 0;

/// How far a subscription is: everything up to a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached(Cursor);

impl Reached {
    pub(crate) fn at(cursor: Cursor) -> Self {
        Self(cursor)
    }

    /// Everything up to and with `position`.
    pub(crate) fn whole(position: Position) -> Self {
        Self(Cursor { position, k: u32::MAX })
    }

    pub(crate) fn cursor(self) -> Cursor {
        self.0
    }

    /// Whether the client knows the frame at `cursor` already.
    pub(crate) fn has(self, cursor: Cursor) -> bool {
        cursor <= self.0
    }

    pub(crate) fn advance(&mut self, to: Self) {
        self.0 = self.0.max(to.0);
    }

    /// The last position of which nothing is missing.
    pub(crate) fn complete(self) -> Position {
        if self.0.k == u32::MAX { self.0.position } else { Position(self.0.position.0.saturating_sub(1)) }
    }
}

/// Whether a subscription hears what happens as it happens.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It does.
    Live,
    /// It has to read first.
    Behind {
        /// When it began to read.
        since: Option<Instant>,
        /// The client's own resume, which is to be answered.
        resume: Option<Resume>,
    },
}

/// A resume on its way.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) id: Option<u64>,
    /// Records replayed so far.
    pub(crate) records: usize,
}

/// One subscription.
pub(crate) struct Subscription {
    pub(crate) channel: Channel,
    pub(crate) name: String,
    pub(crate) reached: Reached,
    pub(crate) progress: Progress,
    route: RouteId,
}

/// All subscriptions of a connection.
pub(crate) struct Subscriptions {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
    list: Vec<Subscription>,
    last_route: RouteId,
}

impl Subscriptions {
    pub(crate) fn new(hub: Arc<Hub>, mailbox: Arc<Mailbox>) -> Self {
        Self { hub, mailbox, list: Vec::new(), last_route: NO_ROUTE }
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The subscription that listens by `route`.
    pub(crate) fn of_route(&mut self, route: RouteId) -> Option<&mut Subscription> {
        self.list.iter_mut().find(|s| s.route == route)
    }

    /// Adds a subscription.
    pub(crate) fn add(&mut self, subscription: Subscription) {
        metrics::gauge!("lifecycle_websocket_subscriptions").increment(1);
        self.list.push(subscription);
    }

    /// Ends the subscription to the channel `name`; false when there is none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.list.iter().position(|s| s.name == name) else { return false };
        let mut subscription = self.list.swap_remove(at);
        self.stop_listening(&mut subscription);
        metrics::gauge!("lifecycle_websocket_subscriptions").decrement(1);
        true
    }

    /// Marks those that listened by `routes` as behind.
    pub(crate) fn fall_behind(&mut self, routes: &[RouteId]) {
        if self.hub.has(Planted::CutUnheard) {
            return;
        }
        for subscription in self.list.iter_mut().filter(|s| routes.contains(&s.route)) {
            // Its route stays until it reads: what is in the mailbox still follows what was sent.
            subscription.progress = Progress::Behind { since: None, resume: None };
        }
    }

    pub(crate) fn is_any_behind(&self) -> bool {
        self.list.iter().any(Subscription::is_behind)
    }

    /// Takes the subscription out that is behind for longest, to work on it; [`Subscriptions::put_back`] ends that.
    pub(crate) fn take_behind(&mut self) -> Option<Subscription> {
        let at = self.list.iter().position(Subscription::is_behind)?;
        Some(self.list.remove(at))
    }

    pub(crate) fn put_back(&mut self, subscription: Subscription) {
        self.list.push(subscription);
    }

    /// Lets `subscription` hear everything after the position that this answers, and nothing by an earlier route.
    pub(crate) fn listen(&mut self, subscription: &mut Subscription) -> Position {
        self.stop_listening(subscription);
        self.last_route += 1;
        subscription.route = self.last_route;
        let listener = Listener { route: subscription.route, mailbox: Arc::clone(&self.mailbox) };
        self.hub.routes.add(&subscription.channel, listener)
    }

    pub(crate) fn stop_listening(&self, subscription: &mut Subscription) {
        if subscription.route != NO_ROUTE {
            self.hub.routes.remove(&subscription.channel, &self.mailbox, subscription.route);
            subscription.route = NO_ROUTE;
        }
    }

    /// From where the client can resume all its channels without missing anything.
    pub(crate) fn resume_cursor(&self) -> Option<Cursor> {
        self.list.iter().map(|s| s.reached.cursor()).min()
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.mailbox.close();
        for mut subscription in std::mem::take(&mut self.list) {
            self.stop_listening(&mut subscription);
            metrics::gauge!("lifecycle_websocket_subscriptions").decrement(1);
        }
    }
}

impl Subscription {
    /// A subscription that does not listen yet.
    pub(crate) fn new(channel: Channel, name: String) -> Self {
        Self { channel, name, reached: Reached::whole(Position::START), progress: Progress::Live, route: NO_ROUTE }
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.progress, Progress::Behind { .. })
    }
}
