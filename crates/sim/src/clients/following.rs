//! One channel that a tab follows, over all of its connections: what it asked for, and which answers are due. Whether
//! what it is told is right, the auditor says.

use domain::{CampaignId, OwnerId, TenantId};
use ports::feed::Channel;
use ports::journal::Position;
use wire::frames::Cursor;

use super::socket::{Recovery, ServerSays, State};
use crate::audit::{Snapshot, Viewer};
use crate::world::World;

/// One channel.
pub(super) struct Following {
    pub(super) called: String,
    /// Its place among the auditor's viewers.
    at: usize,
    progress: Progress,
    /// Whether the server has, or may have, a subscription of it.
    is_heard: bool,
    /// From where a server said that it can resume.
    resume_from: Option<Cursor>,
}

/// How far asking has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Off,
    /// Subscribing.
    Asked(Question),
    /// It is told what it missed, or that it cannot be.
    Resuming {
        id: u64,
        begun_anew: bool,
    },
    On,
    /// Unsubscribing.
    Leaving {
        id: u64,
    },
}

/// A `subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Question {
    id: u64,
    since: Option<Cursor>,
    /// The last position that anybody had been told of.
    latest: Position,
    /// Whether there was anything to be seen.
    was_there: bool,
}

impl Following {
    pub(super) fn new(world: &World, name: String, called: String, tenant: &TenantId, owner: Option<&OwnerId>) -> Self {
        let channel = channel(&called, tenant).expect("a channel of this world");
        let viewer = Viewer::new(name, channel, called.clone(), owner.cloned());
        let at = world.audit(|audit, _, _| audit.watches(viewer));
        Self { called, at, progress: Progress::Off, is_heard: false, resume_from: None }
    }

    pub(super) fn is_off(&self) -> bool {
        self.progress == Progress::Off
    }

    /// The connection is over.
    pub(super) fn is_cut_off(&mut self, world: &World) {
        self.is_heard = false;
        self.becomes(world, Progress::Off);
    }

    fn becomes(&mut self, world: &World, progress: Progress) {
        self.progress = progress;
        world.audit(|audit, _, _| audit.viewers[self.at].is_on = progress == Progress::On);
    }

    /// Asks for the channel: from where it left off, or now and then from the present, as after a reload. One question
    /// at a time.
    pub(super) fn subscribe(&mut self, world: &World, id: u64) -> Option<String> {
        if !matches!(self.progress, Progress::Off | Progress::On) {
            return None;
        }
        let reloads = world.state().rng.chance(150);
        let (seen, latest, was_there) = world.audit(|audit, db, _| {
            let viewer = &audit.viewers[self.at];
            (viewer.seen, audit.latest, viewer.exists(db))
        });
        let since = self.resume_from.take().or(seen).filter(|_| !reloads);
        self.becomes(world, Progress::Asked(Question { id, since, latest, was_there }));
        let since = since.map(|since| format!(r#","since":"{since}""#)).unwrap_or_default();
        let called = &self.called;
        Some(format!(r#"{{"action":"subscribe","channel":"{called}","id":{id}{since}}}"#))
    }

    /// Leaves the channel.
    pub(super) fn unsubscribe(&mut self, id: u64) -> Option<String> {
        if self.progress != Progress::On {
            return None;
        }
        self.progress = Progress::Leaving { id };
        Some(format!(r#"{{"action":"unsubscribe","channel":"{}","id":{id}}}"#, self.called))
    }

    /// A frame of this channel.
    pub(super) fn hear(&mut self, world: &World, says: &ServerSays<'_>, text: &str) {
        let mark = says.cursor().map_or(0, |cursor| cursor.position.0 << 8 | u64::from(cursor.k.min(255)));
        world.tell("frame", [self.at as u64, mark], || format!("viewer {}: {text}", self.at));
        match (says.event, self.progress, says.cursor()) {
            ("subscribed", Progress::Asked(asked), Some(cursor)) if says.id == Some(asked.id) => {
                self.begin(world, asked, cursor, says.state());
            }
            ("recovered", Progress::Resuming { id, begun_anew }, Some(cursor)) if says.id == Some(id) => {
                self.recover(world, cursor, says.recovery(), begun_anew);
                self.becomes(world, Progress::On);
            }
            // It was cut off, and the journal does not reach back.
            ("recovered", _, Some(cursor)) if says.id.is_none() && self.is_heard => {
                self.recover(world, cursor, says.recovery(), false);
            }
            ("unsubscribed", Progress::Leaving { id }, None) if says.id == Some(id) => self.is_cut_off(world),
            ("error", Progress::Asked(asked), None) if says.id == Some(asked.id) => {
                self.refused(world, asked, says.code());
            }
            (event, _, Some(cursor)) if says.id.is_none() && self.is_heard => {
                world.audit(|audit, db, _| audit.tells(db, self.at, event, cursor, text));
            }
            _ => self.objects(world, text),
        }
    }

    fn begin(&mut self, world: &World, asked: Question, cursor: Cursor, state: Option<State>) {
        self.is_heard = true;
        let resuming = |begun_anew| Progress::Resuming { id: asked.id, begun_anew };
        let next = world.audit(|audit, db, _| match (asked.since, state) {
            (Some(since), None) if cursor == since => {
                audit.goes_on(db, self.at, cursor);
                Some(resuming(false))
            }
            (since, Some(state)) => {
                if let Some(since) = since {
                    audit.begins_anew(db, self.at, since);
                }
                audit.begins_with(db, self.at, Snapshot { cursor, version: state.version() }, asked.latest);
                Some(if since.is_some() { resuming(true) } else { Progress::On })
            }
            _ => None,
        });
        match next {
            Some(next) => self.becomes(world, next),
            None => self.objects(world, &format!("subscribed at {cursor}")),
        }
    }

    /// It has been told all that it missed, or gets a snapshot instead, perhaps once more.
    fn recover(&mut self, world: &World, cursor: Cursor, told: Option<Recovery>, begun_anew: bool) {
        world.audit(|audit, db, _| match (told, audit.viewers[self.at].seen) {
            (Some(Recovery::Whole), _) if !begun_anew => audit.has_all(db, self.at, cursor, "has recovered up to"),
            (Some(Recovery::Anew(_)), Some(seen)) if begun_anew && seen == cursor => {}
            (Some(Recovery::Anew(state)), Some(seen)) if !begun_anew => {
                audit.begins_anew(db, self.at, seen);
                audit.begins_with(db, self.at, Snapshot { cursor, version: state.version() }, seen.position);
            }
            _ => audit.breaks(format!("viewer {} has recovered at {cursor}, and how is not said", self.at)),
        });
    }

    fn refused(&mut self, world: &World, asked: Question, code: &str) {
        match code {
            "unavailable" => {}
            "not_found" => world.audit(|audit, _, _| audit.finds_nothing(self.at, asked.was_there)),
            code => self.objects(world, code),
        }
        self.is_cut_off(world);
    }

    /// A server that closes says from where the client can resume.
    pub(super) fn may_resume_from(&mut self, world: &World, cursor: Cursor, takes_it: bool) {
        if !self.is_heard || matches!(self.progress, Progress::Leaving { .. } | Progress::Asked(_)) {
            return;
        }
        world.audit(|audit, db, _| audit.has_all(db, self.at, cursor, "may resume from"));
        self.resume_from = takes_it.then_some(cursor);
    }

    fn objects(&self, world: &World, what: &str) {
        let progress = self.progress;
        world.audit(|audit, _, _| audit.breaks(format!("{}: {what} is no answer to {progress:?}", self.called)));
    }
}

fn channel(called: &str, tenant: &TenantId) -> Option<Channel> {
    let tenant = tenant.clone();
    match called.split_once(':') {
        Some(("campaign", id)) => Some(Channel::Campaign(tenant, CampaignId::parse(id).ok()?)),
        Some(("owner", id)) => Some(Channel::Owner(tenant, OwnerId::parse(id).ok()?)),
        None if called == "tenant" => Some(Channel::Tenant(tenant)),
        None if called == "system" => Some(Channel::System),
        _ => None,
    }
}
