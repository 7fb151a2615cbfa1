//! The bus: the inbound stream, the outbound one with its mark, and the shared cache. All of it may be lost at once.

use std::sync::Arc;

use ports::feed::Told;
use ports::journal::{Position, Record};
use uuid::Uuid;

use super::cache::Cached;
use super::inbound::Stream;

/// All that the bus knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bus {
    pub(crate) inbound: Stream,
    pub(crate) outbound: Outbound,
    pub(crate) cache: Cached,
}

/// The outbound streams, told as one, and how far the world was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbound {
    entries: Vec<(Position, Uuid)>,
    /// The last id that the stream has ever given.
    top: Position,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    position: Position,
    /// What the stream's top was then.
    top: Position,
    fact: Option<Uuid>,
}

/// Why nothing was published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTold {
    /// It does not continue what was told.
    Gap(Position),
    /// The stream is not what the mark says.
    Moved,
}

impl Outbound {
    /// How far the world was told, after a look at whether it still has that.
    pub(crate) fn told(&mut self) -> Told {
        let before = self.mark.position;
        if self.top != self.mark.top {
            if self.top < self.mark.top {
                self.mark.position = before.min(self.top);
            }
            self.mark.top = self.top;
        }
        if self.mark.position != before {
            self.mark.fact = None;
        }
        Told { position: self.mark.position, fact: self.mark.fact }
    }

    pub(crate) fn mark(&self) -> Position {
        self.mark.position
    }

    /// Tells records that follow each other; answers how far the world was told then.
    pub(crate) fn publish(&mut self, records: &[Arc<Record>]) -> Result<Position, NotTold> {
        if self.top != self.mark.top {
            return Err(NotTold::Moved);
        }
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(self.mark.position) };
        if last.position <= self.mark.position {
            return Ok(self.mark.position);
        }
        if first.position.0 > self.mark.position.0 + 1 {
            return Err(NotTold::Gap(self.mark.position));
        }
        self.write(records);
        self.move_mark(last);
        Ok(last.position)
    }

    /// Writes the entries that are not there.
    pub(crate) fn write(&mut self, records: &[Arc<Record>]) {
        for record in records.iter().filter(|record| record.position > self.mark.position) {
            if record.position > self.top {
                self.entries.push((record.position, record.fact.id));
                self.top = record.position;
            }
        }
        self.mark.top = self.top;
    }

    /// Writes the entries whatever is there: what a planted bug does.
    pub(crate) fn write_again(&mut self, records: &[Arc<Record>]) {
        self.entries.extend(records.iter().map(|record| (record.position, record.fact.id)));
        self.top = records.iter().map(|record| record.position).max().unwrap_or_default().max(self.top);
        self.mark.top = self.top;
    }

    pub(crate) fn move_mark(&mut self, last: &Record) {
        self.mark.position = last.position;
        self.mark.fact = Some(last.fact.id);
    }

    /// Moves the mark up, never down.
    pub(crate) fn begin_after(&mut self, begin: Position) -> Position {
        if self.mark.position < begin {
            self.mark.position = begin;
            self.mark.fact = None;
        }
        self.mark.position
    }

    pub(crate) fn entries(&self) -> &[(Position, Uuid)] {
        &self.entries
    }

    pub(crate) fn lose_stream(&mut self) {
        self.entries.clear();
        self.top = Position::START;
    }

    pub(crate) fn lose_mark(&mut self) {
        self.mark = Mark::default();
    }
}
