//! The journal: facts get their places and links in the chain here, and are read back in order.

use std::sync::Arc;

use diesel::SqliteConnection;
use diesel::prelude::*;
use ports::journal::{Fact, Position, Record};
use wire::chain::ChainRow;

use crate::failure::{Failure, corrupt};
use crate::rows::{JournalRow, int, micros, uint};
use crate::schema::{campaigns, journal, statement};
use crate::writer::Unit;

/// Where the journal, its chain and the numbers of campaigns stand.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) position: Position,
    pub(crate) hash: [u8; 32],
    /// The last fact's time.
    pub(crate) at: i64,
    /// The newest campaign's number.
    pub(crate) campaigns: i64,
}

impl Head {
    pub(crate) fn read(connection: &mut SqliteConnection) -> Result<Self, Failure> {
        let last: Option<(i64, i64, Vec<u8>)> = journal::table
            .select((journal::position, journal::at, journal::hash))
            .order(journal::position.desc())
            .first(connection)
            .optional()?;
        let newest: Option<i64> =
            campaigns::table.select(campaigns::number).order(campaigns::number.desc()).first(connection).optional()?;
        let (position, at, hash) = last.unwrap_or((0, 0, wire::chain::GENESIS.to_vec()));
        let hash = hash.try_into().map_err(|_| corrupt("the last hash of the journal is cut off"))?;
        Ok(Self { position: Position(uint(position)), hash, at, campaigns: newest.unwrap_or(0) })
    }
}

statement! {
    /// One fact at its place.
    InsertRecord<'a> {
        position: i64 as BigInt,
        id: &'a [u8] as Binary,
        at: i64 as BigInt,
        tenant: &'a str as Text,
        actor_kind: &'a str as Text,
        actor_subject: &'a str as Text,
        command: Option<&'a str> as MaybeText,
        correlation: Option<&'a str> as MaybeText,
        campaign: Option<&'a str> as MaybeText,
        owner: Option<&'a str> as MaybeText,
        sequence: Option<i64> as MaybeInt,
        kind: &'a str as Text,
        data: &'a str as Text,
        hash: &'a [u8] as Binary,
    }
    "INSERT INTO journal (position, id, at, tenant, actor_kind, actor_subject, command, correlation, campaign, owner, \
     sequence, kind, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

/// Appends `facts` in order; answers the position of the first.
pub(crate) fn append(unit: &mut Unit<'_>, facts: Vec<Fact>) -> Result<Option<Position>, Failure> {
    let mut first = None;
    for fact in facts {
        let position = Position(unit.head.position.0 + 1);
        first = first.or(Some(position));
        let stored = wire::stored::encode_entry(&fact.entry);
        let at = micros(fact.at);
        let link = ChainRow {
            position: position.0,
            id: fact.id,
            at_micros: at,
            tenant: fact.tenant.as_str(),
            actor_kind: fact.actor.kind.as_str(),
            actor_subject: &fact.actor.subject,
            command: fact.cause.command.as_ref().map(domain::CommandId::as_str),
            correlation: fact.cause.correlation.as_deref(),
            kind: stored.kind,
            data: &stored.data,
        };
        let hash = wire::chain::link(&unit.head.hash, &link);
        InsertRecord {
            position: int(position.0),
            id: fact.id.as_bytes(),
            at,
            tenant: link.tenant,
            actor_kind: link.actor_kind,
            actor_subject: link.actor_subject,
            command: link.command,
            correlation: link.correlation,
            campaign: fact.entry.campaign().map(domain::CampaignId::as_str),
            owner: fact.entry.owner().map(domain::OwnerId::as_str),
            sequence: fact.entry.sequence().map(int),
            kind: link.kind,
            data: link.data,
            hash: &hash,
        }
        .execute(unit.connection)?;
        unit.head.position = position;
        unit.head.hash = hash;
        unit.head.at = at;
        unit.clock.at_least(at);
        unit.news.records.push(Arc::new(Record { position, fact }));
    }
    Ok(first)
}

/// At most `limit` records after `after`, in order.
pub(crate) fn read_after(
    connection: &mut SqliteConnection,
    after: Position,
    limit: i64,
) -> Result<Vec<Arc<Record>>, Failure> {
    let rows = journal::table
        .select(JournalRow::as_select())
        .filter(journal::position.gt(int(after.0)))
        .order(journal::position)
        .limit(limit)
        .load::<JournalRow>(connection)?;
    rows.iter().map(|row| row.record().map(Arc::new)).collect()
}
