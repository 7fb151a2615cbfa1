//! What live clients were told by the hubs: of each channel every frame once, in order, none left out, or plainly a new
//! beginning where the protocol has one; over all connections of a client, by the cursors that it goes on from.

use std::collections::VecDeque;

use domain::{CampaignKey, OwnerId};
use ports::feed::Channel;
use ports::journal::Position;
use wire::frames::{Cursor, Frame, frames_of};

use super::{Audit, campaign_of};
use crate::model::store::Database;

/// What one client was told of one channel.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) name: String,
    pub(crate) channel: Channel,
    /// The channel in frames.
    pub(crate) called: String,
    /// Whose campaigns it may see; none for all of its tenant.
    pub(crate) owner: Option<OwnerId>,
    /// Up to where it was told everything; none before the first snapshot.
    pub(crate) seen: Option<Cursor>,
    /// It is subscribed, and has been told so.
    pub(crate) is_on: bool,
    /// The frames that are due next, of one record: made once for all of them.
    due: VecDeque<Frame>,
}

/// What a client is told when it begins, or begins anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) cursor: Cursor,
    /// The campaign's version, where the channel is of a campaign.
    pub(crate) version: Option<u64>,
}

impl Viewer {
    /// Somebody who has seen nothing of the channel that is `called` so.
    pub(crate) fn new(name: String, channel: Channel, called: String, owner: Option<OwnerId>) -> Self {
        Self { name, channel, called, owner, seen: None, is_on: false, due: VecDeque::new() }
    }

    /// The frame that is due after what it has `seen`.
    fn due(&mut self, db: &Database, seen: Cursor) -> Option<&Frame> {
        if self.due.is_empty() {
            self.due = self.frames_after(db, seen).unwrap_or_default();
        }
        self.due.front()
    }

    fn has_seen(&mut self, cursor: Cursor) {
        self.seen = Some(cursor);
        self.due.clear();
    }

    /// Whether there is anything that it may see.
    pub(crate) fn exists(&self, db: &Database) -> bool {
        let Some(key) = self.campaign() else { return true };
        let owned = |owner: &Option<OwnerId>| self.owner.is_none() || *owner == self.owner;
        db.campaign(&key).is_some_and(|stored| owned(&stored.campaign.definition.owner))
    }

    fn campaign(&self) -> Option<CampaignKey> {
        match &self.channel {
            Channel::Campaign(tenant, id) => Some(CampaignKey { tenant: tenant.clone(), id: id.clone() }),
            _ => None,
        }
    }

    /// The next frames that it must be told, having `seen` everything up to there: all that are of one record.
    fn frames_after(&self, db: &Database, seen: Cursor) -> Option<VecDeque<Frame>> {
        let records = db.read(complete(seen), usize::MAX >> 1).iter().filter(|record| self.channel.has(record));
        let unseen = |record| frames_of(record).into_iter().filter(|frame| frame.cursor > seen).collect();
        records.map(|record| unseen(record)).find(|frames: &VecDeque<_>| !frames.is_empty())
    }

    /// When the first thing happened that it was not told.
    pub(crate) fn waits_since(&self, db: &Database) -> Option<domain::Timestamp> {
        let frames = self.frames_after(db, self.seen.unwrap_or_default())?;
        frames.front().map(|frame| frame.timestamp)
    }
}

/// The last position of which nothing is missing.
fn complete(seen: Cursor) -> Position {
    Position(seen.position.0.saturating_sub(u64::from(seen.k < u32::MAX)))
}

impl Audit {
    /// Somebody begins to watch a channel; answers its place among the viewers.
    pub(crate) fn watches(&mut self, viewer: Viewer) -> usize {
        self.viewers.push(viewer);
        self.viewers.len() - 1
    }

    fn breaks_of(&mut self, viewer: usize, what: &str) {
        let Viewer { name, called, seen, .. } = &self.viewers[viewer];
        let seen = seen.map_or_else(|| "nothing".to_owned(), |seen| seen.to_string());
        let what = format!("{name} of {called}, which has seen {seen}, {what}");
        self.breaks(what);
    }

    /// It is told what happened, in a frame with this `text`.
    pub(crate) fn tells(&mut self, db: &Database, viewer: usize, event: &str, cursor: Cursor, text: &str) {
        let reads_words = self.reads_words;
        let told = &mut self.viewers[viewer];
        let Some(seen) = told.seen else {
            return self.breaks_of(viewer, &format!("is told {event} at {cursor} without a beginning"));
        };
        let called = told.called.clone();
        let wrong = match told.due(db, seen) {
            Some(due) if due.cursor != cursor || due.event != event => {
                Some(format!("{} at {} is due", due.event, due.cursor))
            }
            Some(due) if reads_words && due.to_text(&called) != text => {
                Some("the journal says it in other words".to_owned())
            }
            Some(_) => None,
            None => Some("the journal does not have it".to_owned()),
        };
        if let Some(wrong) = wrong {
            return self.breaks_of(viewer, &format!("is told {event} at {cursor}, and {wrong}"));
        }
        told.due.pop_front();
        told.seen = Some(cursor);
        self.counts.shown += 1;
        self.latest = self.latest.max(cursor.position);
        let record = db.read(Position(cursor.position.0 - 1), 1).first();
        if let Some((key, version)) =
            record.and_then(|record| Some((campaign_of(record)?, record.fact.entry.sequence()?)))
        {
            let heard = self.heard.entry(key).or_default();
            *heard = version.max(*heard);
        }
    }

    /// It gets the state of the channel, as of a moment that is no earlier than the position `asked`.
    pub(crate) fn begins_with(&mut self, db: &Database, viewer: usize, snapshot: Snapshot, asked: Position) {
        let Snapshot { cursor, version } = snapshot;
        let told = &self.viewers[viewer];
        let state = told.campaign().map(|key| {
            let past = db.history(&key).take_while(|record| record.position <= cursor.position);
            past.filter_map(|record| record.fact.entry.sequence()).last().unwrap_or(0)
        });
        if cursor.position < asked || told.seen.is_some_and(|seen| cursor < seen) {
            self.breaks_of(viewer, &format!("gets a snapshot of {cursor}, and {asked} was known when it asked"));
        } else if cursor.position > db.head() || cursor.k != u32::MAX {
            self.breaks_of(viewer, &format!("gets a snapshot of {cursor}, and the journal ends at {}", db.head()));
        } else if state != version {
            self.breaks_of(
                viewer,
                &format!("gets a snapshot of {cursor} with {version:?}, and there it was {state:?}"),
            );
        }
        self.viewers[viewer].has_seen(cursor);
        self.latest = self.latest.max(cursor.position);
    }

    /// It is told that it missed something: only where the journal does not reach back, or too much would follow.
    pub(crate) fn begins_anew(&mut self, db: &Database, viewer: usize, since: Cursor) {
        let told = &self.viewers[viewer];
        let complete = complete(since);
        let is_gone = db.head().0.saturating_sub(self.lines.kept) > complete.0;
        let limit = self.lines.resume_limit;
        let missed = db.read(complete, usize::MAX >> 1).iter().filter(|record| told.channel.has(record));
        if !is_gone && missed.take(limit + 1).count() <= limit {
            self.breaks_of(viewer, &format!("is told that what follows {since} is lost, and it is not"));
        }
    }

    /// It goes on from `cursor`, where it asked to: what lies before is told again, and nothing is left out.
    pub(crate) fn goes_on(&mut self, db: &Database, viewer: usize, cursor: Cursor) {
        self.has_all(db, viewer, cursor, "goes on from");
        self.viewers[viewer].has_seen(cursor);
    }

    /// It is told that it has everything up to `cursor`.
    pub(crate) fn has_all(&mut self, db: &Database, viewer: usize, cursor: Cursor, what: &str) {
        let told = &self.viewers[viewer];
        let Some(seen) = told.seen else {
            return self.breaks_of(viewer, &format!("{what} {cursor} without a beginning"));
        };
        if seen >= cursor {
            return;
        }
        let missed = told.frames_after(db, seen).and_then(|frames| Some(frames.front()?.cursor));
        match missed.filter(|missed| *missed <= cursor) {
            Some(missed) => self.breaks_of(viewer, &format!("{what} {cursor}, and was never told {missed}")),
            None => self.viewers[viewer].has_seen(cursor),
        }
    }

    /// It is told that there is nothing of that name.
    pub(crate) fn finds_nothing(&mut self, viewer: usize, was_there: bool) {
        if was_there || self.viewers[viewer].campaign().is_none() {
            self.breaks_of(viewer, "is told that there is no such campaign, and there is");
        }
    }
}
