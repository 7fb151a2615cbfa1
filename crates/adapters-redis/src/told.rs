//! What a fact becomes in the outbound streams: events for other services, and what live clients are shown. Where it is
//! written lives in `publisher`.
//!
//! `notification-events` has one entry per frame, with the frame's cursor as its id: `event`, `timestamp`, `tenant`,
//! `campaignId` and `ownerId` where there are any (they name the channels that show it), `position`, and the frame's
//! `data` as JSON.

use fred::prelude::Value;
use ports::journal::Record;
use wire::outbound::Stream;

use crate::values::arg;

/// One entry of a stream.
pub(crate) struct Entry {
    /// Its place in `names::OUTBOUND`, from 1.
    stream: u8,
    position: u64,
    k: u32,
    fields: Vec<(&'static str, String)>,
}

impl Entry {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len() + 16).sum()
    }

    /// As the script wants it.
    pub(crate) fn into_args(self, args: &mut Vec<Value>) {
        args.extend([arg(self.stream), arg(self.position), arg(self.k), arg(self.fields.len() * 2)]);
        args.extend(self.fields.into_iter().flat_map(|(name, value)| [name.into(), value.into()]));
    }
}

/// Everything that `record` becomes; ascending within each stream.
pub(crate) fn of(record: &Record) -> Vec<Entry> {
    let position = record.position.0;
    let events = wire::outbound::expand(record);
    let events = events.iter().map(|event| Entry {
        stream: match event.stream {
            Stream::Lifecycle => 1,
            Stream::Timer => 2,
            Stream::System => 3,
        },
        position,
        k: event.k,
        fields: event.fields(),
    });
    let frames = wire::frames::frames_of(record);
    let frames = frames.iter().map(|frame| {
        let mut fields = vec![
            ("event", frame.event.to_owned()),
            ("timestamp", wire::time::format(frame.timestamp)),
            ("tenant", record.fact.tenant.as_str().to_owned()),
        ];
        fields.extend(record.fact.entry.campaign().map(|id| ("campaignId", id.as_str().to_owned())));
        fields.extend(record.fact.entry.owner().map(|id| ("ownerId", id.as_str().to_owned())));
        fields.push(("position", position.to_string()));
        fields.push(("data", frame.data.get().to_owned()));
        Entry { stream: 4, position, k: frame.cursor.k, fields }
    });
    events.chain(frames).collect()
}
