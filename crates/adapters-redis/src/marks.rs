//! The last published position, as far as this process knows: from its own publications, from what others call out, and
//! from a look each second, so that a call that got lost is no loss. Who publishes lives in `publisher`.

use std::sync::Arc;
use std::time::Duration;

use failpoints::Point;
use fred::prelude::Value;
use ports::journal::Position;
use tokio::sync::{Notify, watch};

use crate::link::Link;
use crate::names::{MARK, Names};
use crate::values::number;

/// How often the mark is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The mark and those who wait for it.
pub(crate) struct Marks {
    link: Arc<Link>,
    key: String,
    position: watch::Sender<Position>,
    look: Notify,
}

impl Marks {
    pub(crate) fn new(link: Arc<Link>, names: &Names) -> Arc<Self> {
        let (position, _) = watch::channel(Position::START);
        Arc::new(Self { link, key: names.of(MARK), position, look: Notify::new() })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Somebody got so far: there may be later news already.
    pub(crate) fn is_at_least(&self, position: Position) {
        self.position.send_if_modified(|known| {
            let is_news = *known < position;
            *known = position.max(*known);
            is_news
        });
    }

    /// It is exactly there, also when it was further before.
    pub(crate) fn is(&self, position: Position) {
        self.position.send_if_modified(|known| std::mem::replace(known, position) != position);
    }

    /// Looks soon: a call may have been missed.
    pub(crate) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Looks now.
    pub(crate) async fn look(&self) {
        let before = *self.position.borrow();
        let args: Vec<Value> = vec![self.key.as_str().into(), "position".into()];
        match self.link.call("HGET", args).await {
            Ok(answer) => {
                let seen = Position(number(&answer).unwrap_or_default());
                // What was asked for before somebody moved it on is old news.
                self.position.send_if_modified(|known| {
                    let is_news = *known != seen && (seen > *known || *known == before);
                    if is_news {
                        *known = seen;
                    }
                    is_news
                });
            }
            Err(error) => tracing::debug!(error = %error, "the mark cannot be looked at"),
        }
    }

    pub(crate) async fn keep_looking(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.look.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            failpoints::pass(Point::MarksRound);
            self.look().await;
        }
    }
}
