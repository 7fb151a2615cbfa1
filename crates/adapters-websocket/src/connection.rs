//! One connection: one task that waits for its socket, its mailbox and its clock, and nothing else. What is subscribed
//! and how it catches up lives in `subscribing` and `catching_up`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ports::auth::{AuthError, Principal};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use wire::frames::ClientFrame;

use crate::Hub;
use crate::admission::Seat;
use crate::encode::{Answer, Unsent};
use crate::goodbye::Goodbye;
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::quota::Quota;
use crate::socket::{Received, Socket, Stream};
use crate::subscriptions::Subscriptions;
use crate::work::{Next, Work, next};

/// The longest sleep: the clock that tokens expire by may be set.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// Serves one connection to its end.
pub(crate) async fn serve<S: Stream>(hub: Arc<Hub>, stream: S, token: Option<String>, seat: Option<Seat>) {
    let mut socket = Socket::new(stream, hub.settings.send_limit).await;
    let goodbye = match seat {
        None => Goodbye::too_many("connections"),
        Some(seat) => match Box::pin(admit(&hub, &mut socket, token, seat)).await {
            Err(goodbye) => goodbye,
            Ok((caller, seat)) => {
                let mut connection = Connection::new(&hub, &mut socket, caller, seat);
                let goodbye = connection.run().await;
                goodbye.resumable_from(connection.subscriptions.resume_cursor())
            }
        },
    };
    metrics::counter!("lifecycle_websocket_closes_total", "reason" => goodbye.label()).increment(1);
    Box::pin(socket.close(&goodbye, hub.settings.close_limit)).await;
}

/// Waits for a valid token: the one that came with the request, or that of the first frame. Where authentication is off,
/// everybody is somebody, and no token is waited for.
async fn admit<S: Stream>(
    hub: &Arc<Hub>,
    socket: &mut Socket<S>,
    token: Option<String>,
    mut seat: Seat,
) -> Result<(Caller, Seat), Goodbye> {
    let caller = if let Some(token) = token {
        Caller::authenticate(hub, &token).await?
    } else if let Ok(caller) = Caller::authenticate(hub, "").await {
        caller
    } else {
        let first = tokio::select! {
            () = hub.stopping.cancelled() => return Err(hub.restart()),
            first = timeout(hub.settings.auth_timeout, first_frame(socket)) => first,
        };
        let Ok(first) = first else {
            return Err(Goodbye::unauthenticated("no token came in time"));
        };
        let (token, id) = first?;
        let caller = Caller::authenticate(hub, &token).await?;
        let answer = Answer { at: hub.deps.clock.now(), id, channel: None };
        socket.send(answer.authenticated(&caller.principal)).await?;
        caller
    };
    if seat.belongs_to(&caller.principal) { Ok((caller, seat)) } else { Err(Goodbye::too_many("connections")) }
}

/// The token of the first frame, with the frame's id.
async fn first_frame<S: Stream>(socket: &mut Socket<S>) -> Result<(String, Option<u64>), Goodbye> {
    loop {
        match socket.receive().await {
            Received::Sign => {}
            Received::Binary => return Err(Goodbye::binary()),
            Received::End(goodbye) => return Err(goodbye),
            Received::Text(text) => {
                return match ClientFrame::read(&text) {
                    Ok(ClientFrame::Authenticate { token, id }) => Ok((token, id)),
                    _ => Err(Goodbye::unauthenticated("the first frame must be authenticate")),
                };
            }
        }
    }
}

/// Whose connection it is, and until when.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    /// When to look whether the token has expired.
    check_at: Instant,
}

impl Caller {
    async fn authenticate(hub: &Hub, token: &str) -> Result<Self, Goodbye> {
        let principal = match timeout(hub.settings.read_limit, hub.deps.auth.authenticate(token)).await {
            Ok(Ok(principal)) => principal,
            Ok(Err(AuthError::KeysUnavailable)) | Err(_) => return Err(Goodbye::unavailable()),
            // Who it is is proved; there is just nothing that they may do here.
            Ok(Err(AuthError::Claim { claim: "roles" })) => {
                return Err(Goodbye::forbidden("the token has no role that is known here"));
            }
            Ok(Err(error)) => return Err(Goodbye::unauthenticated(error.to_string())),
        };
        let mut caller = Self { principal, check_at: Instant::now() };
        caller.check(hub)?;
        Ok(caller)
    }

    /// Ends the connection when its token has expired.
    fn check(&mut self, hub: &Hub) -> Result<(), Goodbye> {
        let left = (self.principal.expires_at - hub.deps.clock.now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Err(Goodbye::unauthenticated("the token has expired"));
        }
        self.check_at = Instant::now() + left.min(LONGEST_SLEEP);
        Ok(())
    }

    /// Whether the same person is behind `other`, with the same rights.
    fn is_as(&self, other: &Principal) -> bool {
        let own = &self.principal;
        own.subject == other.subject
            && own.tenant == other.tenant
            && own.owner == other.owner
            && own.roles == other.roles
    }
}

/// A connection whose caller is known.
pub(crate) struct Connection<'c, S> {
    pub(crate) hub: &'c Arc<Hub>,
    pub(crate) caller: Caller,
    pub(crate) subscriptions: Subscriptions,
    socket: &'c mut Socket<S>,
    quota: Quota,
    /// Refused frames in a row.
    errors: u32,
    next_ping: Instant,
    /// Pings since the last sign of life.
    unanswered: u32,
    _seat: Seat,
}

impl<'c, S: Stream> Connection<'c, S> {
    fn new(hub: &'c Arc<Hub>, socket: &'c mut Socket<S>, caller: Caller, seat: Seat) -> Self {
        let mailbox = Arc::new(Mailbox::new(hub.settings.queue_bytes));
        let now = Instant::now();
        Self {
            hub,
            socket,
            caller,
            subscriptions: Subscriptions::new(Arc::clone(hub), mailbox),
            quota: Quota::new(hub.settings.frames_per_second, hub.settings.frames_burst, now),
            errors: 0,
            next_ping: now + hub.settings.ping_interval,
            unanswered: 0,
            _seat: seat,
        }
    }

    async fn run(&mut self) -> Goodbye {
        let hub = Arc::clone(self.hub);
        let mailbox = Arc::clone(self.subscriptions.mailbox());
        let mut stopping = pin!(hub.stopping.cancelled());
        let mut alarm = pin!(sleep_until(self.next_alarm()));
        let mut first = Next::Mail;
        loop {
            let is_behind = self.subscriptions.is_any_behind();
            let step = tokio::select! {
                // In this order, and never by chance: what happens in the same order is answered in the same order. No
                // client keeps the rest waiting: its frames are counted.
                biased;
                () = &mut stopping => Err(hub.restart()),
                () = &mut alarm => {
                    let rung = self.ring().await;
                    alarm.as_mut().reset(self.next_alarm());
                    rung
                }
                received = self.socket.receive() => {
                    let heard = self.hear(received).await;
                    // A new token may expire earlier.
                    if self.next_alarm() < alarm.deadline() {
                        alarm.as_mut().reset(self.next_alarm());
                    }
                    heard
                }
                work = next(&mailbox, &hub.reads, is_behind, first) => {
                    first = work.then();
                    match work {
                        Work::Mail(Mail::Frames(delivery)) => self.deliver(delivery).await,
                        Work::Mail(Mail::Cut(routes)) => {
                            self.subscriptions.fall_behind(&routes);
                            Ok(())
                        }
                        Work::CatchUp(turn) => Box::pin(self.catch_up(turn)).await,
                    }
                }
            };
            if let Err(goodbye) = step {
                return goodbye;
            }
        }
    }

    fn next_alarm(&self) -> Instant {
        self.next_ping.min(self.caller.check_at)
    }

    async fn ring(&mut self) -> Result<(), Goodbye> {
        let now = Instant::now();
        if now >= self.caller.check_at {
            self.caller.check(self.hub)?;
        }
        if now >= self.next_ping {
            if self.unanswered >= self.hub.settings.missed_pongs {
                return Err(Goodbye::silent());
            }
            self.unanswered += 1;
            self.next_ping = now + self.hub.settings.ping_interval;
            self.socket.ping().await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), Goodbye> {
        let Some(subscription) = self.subscriptions.of_route(delivery.route) else { return Ok(()) };
        let Some(unsent) = delivery.frames.after(subscription.reached) else { return Ok(()) };
        let reached = unsent.reached;
        self.send_frames(unsent).await?;
        if let Some(subscription) = self.subscriptions.of_route(delivery.route) {
            subscription.reached.advance(reached);
        }
        Ok(())
    }

    /// Sends frames; however many follow each other, the token is still valid.
    pub(crate) async fn send_frames(&mut self, unsent: Unsent) -> Result<(), Goodbye> {
        self.check_token()?;
        self.socket.send_encoded(unsent.bytes).await?;
        self.hub.frames_sent.increment(unsent.frames as u64);
        Ok(())
    }

    /// Sends an answer, if the token is still valid.
    pub(crate) async fn send(&mut self, text: Utf8Bytes) -> Result<(), Goodbye> {
        self.check_token()?;
        self.socket.send(text).await?;
        self.hub.frames_sent.increment(1);
        Ok(())
    }

    fn check_token(&mut self) -> Result<(), Goodbye> {
        if Instant::now() >= self.caller.check_at {
            self.caller.check(self.hub)?;
        }
        Ok(())
    }

    async fn hear(&mut self, received: Received) -> Result<(), Goodbye> {
        let text = match received {
            Received::End(goodbye) => return Err(goodbye),
            Received::Binary => return Err(Goodbye::binary()),
            Received::Sign => None,
            Received::Text(text) => Some(text),
        };
        self.unanswered = 0;
        if !self.quota.take(Instant::now()) {
            return Err(Goodbye::too_many("frames"));
        }
        let Some(text) = text else { return Ok(()) };
        // The text lies in the read buffer, which has to be free for what comes next.
        let frame = ClientFrame::read(&text);
        drop(text);
        match frame {
            Ok(frame) => {
                self.errors = 0;
                Box::pin(self.obey(frame)).await
            }
            Err(fault) => {
                self.errors += 1;
                let message = match fault.dotted() {
                    whole if whole.is_empty() => fault.detail,
                    field => format!("{field}: {}", fault.detail),
                };
                self.refuse(None, None, "malformed_frame", &message).await?;
                if self.errors >= self.hub.settings.max_errors { Err(Goodbye::too_many_errors()) } else { Ok(()) }
            }
        }
    }

    async fn obey(&mut self, frame: ClientFrame) -> Result<(), Goodbye> {
        match frame {
            ClientFrame::Subscribe { channel, since, id } => self.subscribe(&channel, since.as_deref(), id).await,
            ClientFrame::Unsubscribe { channel, id } => {
                if self.subscriptions.remove(&channel) {
                    let answer = self.answer(id, Some(&channel));
                    self.send(answer.unsubscribed()).await
                } else {
                    self.refuse(id, Some(&channel), "not_subscribed", "there is no such subscription").await
                }
            }
            ClientFrame::Ping { id } => {
                let answer = self.answer(id, None);
                self.send(answer.pong()).await
            }
            ClientFrame::Authenticate { token, id } => self.authenticate_again(&token, id).await,
        }
    }

    /// Takes a new token of the same person, so that a connection outlives its first one.
    async fn authenticate_again(&mut self, token: &str, id: Option<u64>) -> Result<(), Goodbye> {
        let caller = Caller::authenticate(self.hub, token).await?;
        if !self.caller.is_as(&caller.principal) {
            let message = "a connection stays with its subject and rights; open another one";
            return self.refuse(id, None, "forbidden", message).await;
        }
        self.caller = caller;
        let text = self.answer(id, None).authenticated(&self.caller.principal);
        self.send(text).await
    }

    pub(crate) fn answer<'a>(&self, id: Option<u64>, channel: Option<&'a str>) -> Answer<'a> {
        Answer { at: self.hub.deps.clock.now(), id, channel }
    }

    /// Answers that something cannot be done.
    pub(crate) async fn refuse(
        &mut self,
        id: Option<u64>,
        channel: Option<&str>,
        code: &str,
        message: &str,
    ) -> Result<(), Goodbye> {
        let text = self.answer(id, channel).error(code, message);
        self.send(text).await
    }
}
