//! Hears what other processes call out, and keeps hearing through lost connections and floods. Whatever is heard only
//! wakes: nothing relies on it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use failpoints::Point;
use fred::error::Error;
use fred::interfaces::{EventInterface as _, PubsubInterface as _};
use fred::types::Message;
use fred::types::config::Server;
use ports::journal::Position;
use ports::wakeups::{Hint, Wakeups};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::link::{Link, lock};
use crate::marks::Marks;
use crate::names::{HINTS_CHANNEL, MARKS_CHANNEL, Names};
use crate::values::{number, text};
use crate::wakeups::Hints;

/// After a subscription failed.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// One subscription to all channels.
pub(crate) struct Ears {
    link: Arc<Link>,
    marks: Arc<Marks>,
    marks_channel: String,
    hints_channel: String,
    instance: String,
    /// Who is told hints of other processes.
    sleepers: Mutex<Vec<Arc<dyn Wakeups>>>,
}

impl Ears {
    pub(crate) fn new(link: Arc<Link>, marks: Arc<Marks>, names: &Names, instance: &str) -> Arc<Self> {
        Arc::new(Self {
            link,
            marks,
            marks_channel: names.of(MARKS_CHANNEL),
            hints_channel: names.of(HINTS_CHANNEL),
            instance: instance.to_owned(),
            sleepers: Mutex::default(),
        })
    }

    /// From now on `sleepers` is told what other processes announce.
    pub(crate) fn tell(&self, sleepers: Arc<dyn Wakeups>) {
        lock(&self.sleepers).push(sleepers);
    }

    /// Asks the server for all channels.
    pub(crate) async fn open(&self) -> Result<(), Error> {
        self.link.client().subscribe(vec![self.marks_channel.clone(), self.hints_channel.clone()]).await
    }

    /// Hears what comes from this call on, not only once somebody runs it.
    pub(crate) fn listen(self: Arc<Self>) -> impl Future<Output = ()> + Send {
        let (messages, reconnects) = (self.link.client().message_rx(), self.link.client().reconnect_rx());
        self.follow(messages, reconnects)
    }

    async fn follow(self: Arc<Self>, mut messages: Receiver<Message>, mut reconnects: Receiver<Server>) {
        let mut is_open = true;
        loop {
            tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Ok(message) => self.hear(&message),
                    Err(RecvError::Lagged(_)) => self.missed(),
                    Err(RecvError::Closed) => return,
                },
                reconnect = reconnects.recv() => {
                    if matches!(reconnect, Err(RecvError::Closed)) {
                        return;
                    }
                    // A new connection has no subscriptions.
                    is_open = self.open_again().await;
                }
                () = tokio::time::sleep(OPEN_AGAIN_AFTER), if !is_open => is_open = self.open_again().await,
            }
        }
    }

    async fn open_again(&self) -> bool {
        let opened = self.open().await;
        if let Err(error) = &opened {
            tracing::warn!(error = %error, "calls of other processes are not heard; they are found by looking");
        }
        self.missed();
        opened.is_ok()
    }

    fn hear(&self, message: &Message) {
        failpoints::pass(Point::EarsRound);
        if *message.channel == *self.marks_channel {
            match number(&message.value) {
                Some(position) => self.marks.is_at_least(Position(position)),
                None => self.marks.look_soon(),
            }
        } else if *message.channel == *self.hints_channel
            && let Some((instance, hints)) = text(&message.value).as_deref().and_then(Hints::read)
            && instance != self.instance
        {
            hints.each(|hint| self.announce(hint));
        }
    }

    /// Everybody looks for himself.
    fn missed(&self) {
        self.marks.look_soon();
        self.announce(Hint::Committed);
        self.announce(Hint::Appended);
    }

    fn announce(&self, hint: Hint) {
        let sleepers = lock(&self.sleepers).clone();
        for sleepers in sleepers {
            sleepers.announce(hint);
        }
    }
}
