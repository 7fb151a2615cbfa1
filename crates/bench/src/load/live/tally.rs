//! What all clients together have heard.

use std::collections::VecDeque;

use anyhow::Result;

use super::messages::{self, Event};
use super::{Arguments, Heard};
use crate::latency::{Latencies, now_micros};

/// How many texts are remembered.
const LATELY: usize = 16;

/// Counts and latencies.
pub(super) struct Tally {
    is_peer: bool,
    expected: usize,
    due: Latencies,
    told: Latencies,
    frames: u64,
    clients: Vec<Progress>,
    /// Clients that have heard all.
    complete: usize,
    disordered: u64,
    gone: usize,
    reason: Option<String>,
    faults: usize,
    /// Texts that were read lately, and what they said: all clients of a room hear the same.
    lately: VecDeque<(Box<[u8]>, Read)>,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    events: usize,
    cursor: Option<(u64, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Read {
    event: Option<Event>,
    cursor: Option<(u64, u32)>,
}

impl Tally {
    pub(super) fn new(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            is_peer: arguments.peer,
            expected: arguments.expected,
            due: Latencies::new()?,
            told: Latencies::new()?,
            frames: 0,
            clients: vec![Progress::default(); arguments.clients],
            complete: 0,
            disordered: 0,
            gone: 0,
            reason: None,
            faults: 0,
            lately: VecDeque::with_capacity(LATELY),
        })
    }

    /// Client `number` got a text frame.
    pub(super) fn hear(&mut self, number: usize, text: &[u8]) {
        self.frames += 1;
        let Ok(Read { event, cursor }) = self.read(text) else {
            self.faults += 1;
            return;
        };
        let client = &mut self.clients[number];
        if !self.is_peer {
            if cursor <= client.cursor {
                self.disordered += 1;
            }
            client.cursor = cursor;
        }
        let Some(event) = event else { return };
        let now = now_micros();
        if self.due.add(now - event.due).is_err() || self.told.add(now - event.told).is_err() {
            self.faults += 1;
        }
        client.events += 1;
        self.complete += usize::from(client.events == self.expected);
    }

    fn read(&mut self, text: &[u8]) -> Result<Read> {
        if let Some((_, read)) = self.lately.iter().find(|(known, _)| **known == *text) {
            return Ok(*read);
        }
        let words = std::str::from_utf8(text)?;
        let read = if self.is_peer {
            Read { event: Some(messages::of_peer(words)?), cursor: None }
        } else {
            Read { event: messages::start(words)?, cursor: messages::cursor(words) }
        };
        self.lately.truncate(LATELY - 1);
        self.lately.push_front((text.into(), read));
        Ok(read)
    }

    /// The connection of client `number` ended. A peer's ends when all is heard.
    pub(super) fn lose(&mut self, number: usize, reason: &str) {
        if self.is_peer && self.clients[number].events == self.expected {
            return;
        }
        self.gone += 1;
        self.reason.get_or_insert_with(|| reason.to_owned());
    }

    /// Whether every client has heard all, or is gone.
    pub(super) fn is_complete(&self) -> bool {
        self.complete + self.gone >= self.clients.len()
    }

    /// Whether all frames could be read.
    pub(super) fn is_sound(&self) -> bool {
        self.faults == 0
    }

    pub(super) fn heard(&self) -> Heard {
        let events = || self.clients.iter().map(|client| client.events);
        Heard {
            due: self.due.percentiles(),
            told: self.told.percentiles(),
            frames: self.frames,
            events: self.due.len(),
            expected: (self.expected * self.clients.len()) as u64,
            fewest: events().min().unwrap_or_default(),
            most: events().max().unwrap_or_default(),
            disordered: self.disordered,
            gone: self.gone,
            reason: self.reason.clone(),
        }
    }
}
