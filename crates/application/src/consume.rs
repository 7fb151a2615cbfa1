//! The consumer: reads events of other services, handles them, and acknowledges them after the commit.
//!
//! Of many instances one consumes at a time: a consumer group hands events of one campaign to whoever asks, and two
//! instances could apply them in the wrong order. Who takes over begins with what its predecessor had not finished. That one, should it
//! only have been frozen, is handed nothing more (the stream knows the term of the lease, rule I7 of its port), and what it
//! still does with what it had is met by the inbox.
//!
//! An event about a campaign that is not known yet waits for its create (behind it, later events about the same campaign
//! wait too, so that the last word stays the last); after the retry window it is a dead letter. Events about a campaign that
//! somebody else holds wait there, too, for as long as it takes, and those about others go on.

use std::sync::Arc;
use std::time::Duration;

use failpoints::Point;
use ports::PortError;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::inbound::{Delivery, EntryId, Inbound, InboundEvent};
use ports::journal::{Actor, ActorKind};
use ports::leases::Leases;
use ports::store::Outcome;
use tokio_util::sync::CancellationToken;

use crate::claim::{ASK_EVERY, Claim, Standing};
use crate::commands::{CommandRequest, Commands, SubmitError};
use crate::heartbeat::Heartbeat;
use crate::letters;
use crate::waiting_room::{Arrival, WaitingRoom};

/// How events are consumed.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerSettings {
    /// How many entries are read at once.
    pub batch: usize,
    /// How long an event waits for its campaign to become known.
    pub retry_window: Duration,
    /// How many events may wait so; beyond, the oldest become dead letters at once.
    pub waiting: usize,
    /// After how long an entry of another consumer is taken over.
    pub take_over_after: Duration,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            batch: 500,
            retry_window: Duration::from_mins(1),
            waiting: 10_000,
            take_over_after: Duration::from_secs(5),
        }
    }
}

/// How often entries of other consumers are looked for.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(2);

/// What the consumer works with.
#[derive(Clone)]
pub struct ConsumerParts {
    /// The inbound stream.
    pub inbound: Arc<dyn Inbound>,
    /// Where events go.
    pub commands: Arc<Commands>,
    /// Where events go that cannot be processed.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Says who consumes.
    pub leases: Arc<dyn Leases>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn Ids>,
}

/// Consumes events.
pub struct Consumer {
    parts: ConsumerParts,
    /// This consumer's name, unique per process.
    name: String,
    settings: ConsumerSettings,
    heartbeat: Heartbeat,
}

/// What is to be done with an entry once its command was submitted.
enum Fate {
    /// It is dealt with.
    Done,
    /// Its campaign is not known (yet).
    Unknown,
    /// It will never work: a dead letter.
    Dead { code: &'static str, error: String },
    /// Somebody else holds its campaign.
    Busy,
    /// It was not handled at all, through no fault of its own.
    Again,
}

impl Consumer {
    /// A consumer, not yet running.
    pub fn new(parts: ConsumerParts, name: String, settings: ConsumerSettings, heartbeat: Heartbeat) -> Self {
        Self { parts, name, settings, heartbeat }
    }

    /// Consumes until `shutdown`. What is not dealt with then stays pending and comes again.
    pub async fn run(&self, shutdown: CancellationToken) {
        // None until what was pending when the claim became ours is dealt with.
        let mut room = None;
        let mut next_take_over = self.parts.clock.now();
        let mut claim = Claim::new(Arc::clone(&self.parts.leases), "events", &self.name);
        while !shutdown.is_cancelled() {
            let result = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                result = self.round(&mut claim, &mut room, &mut next_take_over) => result,
            };
            let pause = match result {
                Ok(true) => None,
                Ok(false) => Some(ASK_EVERY),
                Err(PortError::Contended { what }) => {
                    tracing::warn!(what, "events are consumed by somebody else, or in a later term; asking again");
                    room = None;
                    // If it is ours all the same, the terms have gone back (a database from a backup): the next is higher.
                    claim.give_back().await;
                    Some(ASK_EVERY)
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "events cannot be consumed");
                    Some(Duration::from_millis(500))
                }
            };
            if let Some(pause) = pause {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
        claim.give_back().await;
    }

    /// One round, if consuming is ours to do; answers whether it is.
    async fn round(
        &self,
        claim: &mut Claim,
        room: &mut Option<WaitingRoom>,
        next_take_over: &mut domain::Timestamp,
    ) -> Result<bool, PortError> {
        failpoints::pass(Point::ConsumerRound);
        match claim.standing().await? {
            Standing::None => {
                // Whoever consumes now has what waits, too.
                *room = None;
                self.heartbeat.beat(self.parts.clock.now());
                return Ok(false);
            }
            Standing::New => *room = None,
            Standing::Kept => {}
        }
        let term = claim.term();
        let waiting = match room {
            Some(waiting) => waiting,
            None => room.insert(self.take_over(term).await?),
        };
        let now = self.parts.clock.now();
        let mut deliveries = Vec::new();
        if now >= *next_take_over {
            let idle = self.settings.take_over_after;
            let taken = self.parts.inbound.reclaim(&self.name, term, idle, self.settings.batch).await?;
            deliveries.extend(taken.into_iter().filter(|d| !waiting.holds(&d.id)));
            *next_take_over = now + chrono::TimeDelta::from_std(TAKE_OVER_EVERY).unwrap_or_default();
        }
        if deliveries.is_empty() {
            // No longer than the lease is fresh.
            let wait =
                waiting.next_try().map_or(ASK_EVERY, |at| (at - now).to_std().unwrap_or_default().min(ASK_EVERY));
            deliveries = self.parts.inbound.fetch(&self.name, term, self.settings.batch, wait).await?;
        }
        if let Err(error) = self.handle(waiting, term, deliveries).await {
            // Some of it is neither waiting nor dealt with now. It is taken again before anything new: events keep their
            // order.
            *room = None;
            return Err(error);
        }
        self.heartbeat.beat(self.parts.clock.now());
        Ok(true)
    }

    /// Takes everything that is pending with anybody, before anything new: events keep their order. Answers
    /// what must wait.
    async fn take_over(&self, term: u64) -> Result<WaitingRoom, PortError> {
        let mut room = WaitingRoom::new(self.settings.retry_window, self.settings.waiting);
        loop {
            // What waits in the room is pending still, and comes first each time.
            let most = room.len() + self.settings.batch;
            let taken = self.parts.inbound.reclaim(&self.name, term, Duration::ZERO, most).await?;
            let more = taken.len() >= most;
            let unknown = taken.into_iter().filter(|d| !room.holds(&d.id)).collect();
            self.handle(&mut room, term, unknown).await?;
            if !more {
                return Ok(room);
            }
        }
    }

    /// Handles new deliveries and those whose time has come in the waiting room.
    async fn handle(&self, room: &mut WaitingRoom, term: u64, deliveries: Vec<Delivery>) -> Result<(), PortError> {
        if !deliveries.is_empty() {
            failpoints::pass(Point::ConsumerTaken);
        }
        let now = self.parts.clock.now();
        let mut done: Vec<EntryId> = Vec::new();
        let mut dead = Vec::new();
        let mut readable = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match &delivery.event {
                Ok(event) => readable.push(Arrival { event: event.clone(), delivery, since: now }),
                Err(why) => {
                    dead.push(letters::of_entry(&delivery, &why.code, &why.message, now, self.parts.ids.next()));
                    done.push(delivery.id);
                }
            }
        }
        let mut no_room = false;
        let mut ready = room.admit(readable, now);
        while !ready.is_empty() {
            let requests = ready.iter().map(|a| request_of(&a.event)).collect();
            let answers = self.parts.commands.settle_all(requests).await;
            let mut again = Vec::new();
            for (arrival, answer) in ready.into_iter().zip(answers) {
                match fate(answer) {
                    Fate::Done => done.push(arrival.delivery.id),
                    Fate::Unknown => {
                        if let Some(late) = room.wait(arrival, now) {
                            let error = "its campaign did not become known in time";
                            let id = self.parts.ids.next();
                            dead.push(letters::of_entry(&late.delivery, "unknown_campaign", error, now, id));
                            done.push(late.delivery.id);
                        }
                    }
                    Fate::Dead { code, error } => {
                        dead.push(letters::of_entry(&arrival.delivery, code, &error, now, self.parts.ids.next()));
                        done.push(arrival.delivery.id);
                    }
                    Fate::Busy => no_room |= room.wait_for_holder(arrival, now).is_some(),
                    Fate::Again => again.push(arrival),
                }
            }
            ready = again;
            if !ready.is_empty() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        // First kept, then acknowledged: dying in between repeats, and repeating is harmless.
        if !dead.is_empty() {
            metrics::counter!("lifecycle_dead_letters_total", "kind" => "event").increment(dead.len() as u64);
            self.parts.dead_letters.add(dead).await?;
            failpoints::pass(Point::ConsumerLettersKept);
        }
        if !done.is_empty() {
            failpoints::pass(Point::ConsumerBeforeAcknowledge);
            self.parts.inbound.acknowledge(term, &done).await?;
            failpoints::pass(Point::ConsumerAcknowledged);
        }
        if no_room {
            let why = "too many events are about campaigns that somebody else holds";
            return Err(PortError::Unavailable { what: "the store", source: why.into() });
        }
        Ok(())
    }
}

/// The command that an event is.
pub(crate) fn request_of(event: &InboundEvent) -> CommandRequest {
    CommandRequest {
        key: event.key.clone(),
        id: event.id.clone(),
        remember: true,
        fingerprint: event.fingerprint,
        command: event.command.clone(),
        expected_version: event.expected_version,
        actor: Actor { kind: ActorKind::Producer, subject: event.source.clone() },
        correlation: event.correlation.clone(),
    }
}

fn fate(answer: Result<Outcome, SubmitError>) -> Fate {
    match answer {
        Ok(Outcome::Rejected { code, .. }) if code == domain::Rejection::UnknownCampaign.code() => Fate::Unknown,
        // A rejection is an answer: it is in the journal, and on the stream as `command.rejected`.
        Ok(_) => Fate::Done,
        Err(error @ SubmitError::KeyReused) => Fate::Dead { code: "key_reused", error: error.to_string() },
        Err(SubmitError::Poison(error)) => Fate::Dead { code: "processing_failed", error },
        Err(SubmitError::Store(error)) if matches!(*error, PortError::Contended { .. }) => Fate::Busy,
        Err(SubmitError::Overloaded | SubmitError::Stopping | SubmitError::Store(_)) => Fate::Again,
    }
}
