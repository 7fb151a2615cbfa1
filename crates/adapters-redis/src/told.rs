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

/// Entries of one record that are alike but for their types and data. What they share is sent once: most of what a
/// publication costs, here and in Redis, is the number of texts in it.
pub(crate) struct Group {
    position: u64,
    /// The field that tells an entry's type.
    type_field: &'static str,
    /// Whether each entry begins with its own id as `eventId`.
    with_id: bool,
    shared: Vec<(&'static str, String)>,
    entries: Vec<Entry>,
}

struct Entry {
    /// Its place in `names::OUTBOUND`, from 1.
    stream: u8,
    k: u32,
    kind: String,
    data: String,
}

impl Group {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let shared: usize = self.shared.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
        self.entries.iter().map(|entry| shared + entry.kind.len() + entry.data.len() + 64).sum()
    }

    /// As the script wants it.
    pub(crate) fn into_args(self, args: &mut Vec<Value>) {
        args.extend([arg(self.position), self.type_field.into(), arg(u8::from(self.with_id))]);
        args.extend([arg(self.entries.len()), arg(self.shared.len() * 2)]);
        args.extend(self.shared.into_iter().flat_map(|(name, value)| [name.into(), value.into()]));
        for entry in self.entries {
            args.extend([arg(entry.stream), arg(entry.k), entry.kind.into(), entry.data.into()]);
        }
    }
}

/// Everything that `record` becomes; ascending within each stream.
pub(crate) fn of(record: &Record) -> [Group; 2] {
    [events(record), frames(record)]
}

/// The entries that `record` becomes, as they stand in the streams: the stream's place in `names::OUTBOUND`, from 0, the id,
/// names and values of the fields. What `publish.lua` writes.
pub(crate) fn entries(record: &Record) -> Vec<(usize, (u64, u64), Vec<String>)> {
    let mut all = Vec::new();
    for group in of(record) {
        let shared: Vec<String> =
            group.shared.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]).collect();
        for entry in group.entries {
            let mut fields = Vec::with_capacity(shared.len() + 6);
            if group.with_id {
                fields.extend(["eventId".to_owned(), format!("{}-{}", group.position, entry.k)]);
            }
            fields.extend([group.type_field.to_owned(), entry.kind]);
            fields.extend(shared.iter().cloned());
            fields.extend(["data".to_owned(), entry.data]);
            all.push((usize::from(entry.stream) - 1, (group.position, u64::from(entry.k)), fields));
        }
    }
    all
}

fn events(record: &Record) -> Group {
    let entries = wire::outbound::expand(record).into_iter().map(|event| Entry {
        stream: match event.stream {
            Stream::Lifecycle => 1,
            Stream::Timer => 2,
            Stream::System => 3,
        },
        k: event.k,
        kind: event.event_type.to_owned(),
        data: event.data,
    });
    Group {
        position: record.position.0,
        type_field: "eventType",
        with_id: true,
        shared: wire::outbound::shared_fields(record),
        entries: entries.collect(),
    }
}

fn frames(record: &Record) -> Group {
    let frames = wire::frames::frames_of(record);
    let mut shared =
        vec![("timestamp", wire::time::format(record.fact.at)), ("tenant", record.fact.tenant.as_str().to_owned())];
    shared.extend(record.fact.entry.campaign().map(|id| ("campaignId", id.as_str().to_owned())));
    shared.extend(record.fact.entry.owner().map(|id| ("ownerId", id.as_str().to_owned())));
    shared.push(("position", record.position.to_string()));
    let entries = frames.into_iter().map(|frame| Entry {
        stream: 4,
        k: frame.cursor.k,
        kind: frame.event.to_owned(),
        data: frame.data.get().to_owned(),
    });
    Group { position: record.position.0, type_field: "event", with_id: false, shared, entries: entries.collect() }
}
