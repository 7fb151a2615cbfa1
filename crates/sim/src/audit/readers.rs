//! What readers of the streams and whoever asks were shown: every record once, in order, none left out; and
//! never an older campaign than the world has heard of.

use domain::{Campaign, CampaignKey};
use ports::feed::Channel;
use ports::journal::{Position, Record};

use super::{Audit, campaign_of};
use crate::model::store::Database;

/// What one reader was shown.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) name: String,
    /// None for everything.
    pub(crate) channel: Option<Channel>,
    /// The last position that it was shown, or where it began.
    pub(crate) last: Position,
}

impl Reader {
    fn wants(&self, record: &Record) -> bool {
        self.channel.as_ref().is_none_or(|channel| channel.has(record))
    }

    /// The next record that it must be shown.
    pub(crate) fn next<'a>(&self, db: &'a Database) -> Option<&'a Record> {
        let rest = db.read(self.last, usize::MAX >> 1).iter().map(|record| &**record);
        rest.into_iter().find(|record| self.wants(record))
    }
}

impl Audit {
    /// Somebody begins to read; answers its place among the readers.
    pub(crate) fn begins(&mut self, reader: Reader) -> usize {
        self.readers.push(reader);
        self.readers.len() - 1
    }

    /// A reader is shown the fact `id` at `position`.
    pub(crate) fn shows(&mut self, db: &Database, reader: usize, position: Position, id: uuid::Uuid) {
        let at = reader;
        let reader = self.readers[at].clone();
        let name = &reader.name;
        if position <= reader.last {
            self.breaks(format!("{name} was shown {position} after {}", reader.last));
            return;
        }
        match reader.next(db) {
            Some(next) if next.position != position => {
                self.breaks(format!("{name} was shown {position} after {}, and never {}", reader.last, next.position));
            }
            Some(next) if next.fact.id != id => {
                self.breaks(format!("{name} was shown another fact at {position} than the journal has"));
            }
            Some(next) => {
                if let (Some(key), Some(version)) = (campaign_of(next), next.fact.entry.sequence()) {
                    let heard = self.heard.entry(key).or_default();
                    *heard = version.max(*heard);
                }
            }
            None => self.breaks(format!("{name} was shown {position}, which the journal does not have")),
        }
        self.counts.shown += 1;
        self.readers[at].last = position;
        self.latest = self.latest.max(position);
    }

    /// What the world has heard of a campaign so far.
    pub(crate) fn heard_of(&self, key: &CampaignKey) -> u64 {
        self.heard.get(key).copied().unwrap_or(0)
    }

    /// Somebody asked for a campaign when the world had heard of version `heard`.
    pub(crate) fn answers(&mut self, key: &CampaignKey, heard: u64, found: Option<&Campaign>) {
        self.counts.reads += 1;
        let version = found.map_or(0, |campaign| campaign.version);
        if version < heard {
            self.breaks(format!("campaign {key}: version {version} is shown, and the world has heard of {heard}"));
        }
        let now = self.folded.get(key);
        let wrong = found.and_then(|found| match now {
            Some(now) if now.version > found.version || now == found => None,
            Some(now) if now.version == found.version => Some("is not what was committed"),
            _ => Some("was never committed"),
        });
        if let Some(wrong) = wrong {
            self.breaks(format!("campaign {key}: version {version} is shown, and {wrong}"));
        }
    }
}
