//! The end of the journal: facts get their places and links in the chain here, as the last thing that a commit does.

use diesel::sql_types::{BigInt, Binary, Nullable, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::Timestamp;
use failpoints::Point;
use futures_util::FutureExt as _;
use ports::journal::{Fact, Position};
use ports::store::MAX_BATCH;
use uuid::Uuid;
use wire::chain::ChainRow;
use wire::stored::StoredEntry;

use crate::ending::Ending;
use crate::failure::{Failure, corrupt};
use crate::pipeline::Pipeline;
use crate::rows::{int, uint};
use crate::schema::statement;
use crate::unit::News;

statement! {
    /// Appends facts and moves the head, in one message.
    Append<'a> {
        top: i64 as BigInt,
        top_hash: Vec<u8> as Binary,
        top_at: Timestamp as Timestamptz,
        position: Vec<i64> as BigInts,
        id: Vec<Uuid> as Uuids,
        at: Vec<Timestamp> as Timestamptzs,
        tenant: Vec<&'a str> as Texts,
        actor_kind: Vec<&'a str> as Texts,
        actor_subject: Vec<&'a str> as Texts,
        command: Vec<Option<&'a str>> as MaybeTexts,
        correlation: Vec<Option<&'a str>> as MaybeTexts,
        campaign: Vec<Option<&'a str>> as MaybeTexts,
        owner: Vec<Option<&'a str>> as MaybeTexts,
        sequence: Vec<Option<i64>> as MaybeBigInts,
        kind: Vec<&'a str> as Texts,
        data: Vec<&'a str> as Texts,
        hash: Vec<Vec<u8>> as Binaries,
    }
    "WITH moved AS ( \
       UPDATE journal_head SET position = ?, hash = ?, at = greatest(at, ?) WHERE one \
     ) \
     INSERT INTO journal (position, id, at, tenant, actor_kind, actor_subject, command, correlation, campaign, owner, \
       sequence, kind, data, hash) \
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Fails unless the head is at `top`.
    HasTop<'a> { top: &'a i64 as BigInt }
    "SELECT 1 / count(*) FROM journal_head WHERE one AND position = ?"
}

statement! {
    /// Holds the head, and looks at the end of the index of what is armed.
    ///
    /// Lifts `lock_timeout` for the rest of the transaction, from before the row is locked on. It is made for rows that
    /// somebody sits on; behind the head there is a queue that moves, as fast as the disk does. `statement_timeout` ends the
    /// wait when it does not.
    TakeHead -> (BigInt, Binary, Nullable<Timestamptz>),
    "SELECT position, hash, (SELECT min(fire_at) FROM timers WHERE fire_at IS NOT NULL) FROM journal_head \
     WHERE one AND set_config('lock_timeout', '0', true) = '0' FOR UPDATE"
}

statement! {
    /// One look at the end of an index.
    NextDue -> Nullable<Timestamptz>,
    "SELECT min(fire_at) FROM timers WHERE fire_at IS NOT NULL"
}

/// Where the journal and its chain end.
struct Head {
    position: u64,
    hash: [u8; 32],
}

/// What became of an append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    /// The position of the first fact, when there were facts.
    pub(crate) first: Option<Position>,
    /// When the next timer comes due, as this transaction leaves them.
    pub(crate) next_due: Option<Timestamp>,
}

/// Takes the head, which every commit of every instance waits for until this transaction ends.
async fn take_head(mut connection: &AsyncPgConnection) -> Result<(Head, Option<Timestamp>), Failure> {
    let rows: Vec<(i64, Vec<u8>, Option<Timestamp>)> = TakeHead.load(&mut connection).await?;
    let (position, hash, next_due) = rows.into_iter().next().ok_or_else(|| corrupt("the journal has no head"))?;
    let hash = hash.try_into().map_err(|_| corrupt("the last hash of the journal is cut off"))?;
    Ok((Head { position: uint(position), hash }, next_due))
}

/// Sends what waits and appends `facts` in order (S3). Where there are any, COMMIT goes with the last of them: what all
/// commits wait for is held for as short as can be.
///
/// Passes `between` when all else is written and nothing is appended yet.
pub(crate) async fn append(
    mut pipeline: Pipeline<'_>,
    ending: &Ending,
    news: &mut News,
    facts: &[Fact],
    between: Option<Point>,
) -> Result<Appended, Failure> {
    let mut connection = pipeline.connection();
    if facts.is_empty() {
        pipeline.flush().await?;
        let next_due = NextDue.get_result(&mut connection).await?;
        return Ok(Appended { first: None, next_due });
    }
    let stored: Vec<(&Fact, StoredEntry)> =
        facts.iter().map(|fact| (fact, wire::stored::encode_entry(&fact.entry))).collect();
    // Behind the writes, in the same round trip: the first of the two is asked first.
    let (written, taken) = futures_util::join!(pipeline.flush(), take_head(connection));
    written?;
    if let Some(point) = between {
        failpoints::pass(point);
    }
    let (mut head, next_due) = taken?;
    let first = Position(head.position + 1);
    for portion in stored.chunks(MAX_BATCH) {
        let append = portion_of(&mut head, portion).execute(&mut connection).boxed();
        if head.position - first.0 + 1 < facts.len() as u64 {
            append.await?;
            continue;
        }
        news.top = Some(Position(head.position));
        failpoints::pass(Point::StoreBeforeCommit);
        let proof = HasTop { top: &int(head.position) };
        let mut behind = pipeline.connection();
        ending.commit_behind(pipeline.connection(), append, proof.execute(&mut behind).boxed()).await?;
    }
    Ok(Appended { first: Some(first), next_due })
}

fn portion_of<'a>(head: &mut Head, facts: &'a [(&'a Fact, StoredEntry)]) -> Append<'a> {
    let begin = head.position + 1;
    let mut hashes = Vec::with_capacity(facts.len());
    for (fact, stored) in facts {
        head.position += 1;
        head.hash = wire::chain::link(
            &head.hash,
            &ChainRow {
                position: head.position,
                id: fact.id,
                at_micros: wire::time::micros(fact.at),
                tenant: fact.tenant.as_str(),
                actor_kind: fact.actor.kind.as_str(),
                actor_subject: &fact.actor.subject,
                command: fact.cause.command.as_ref().map(domain::CommandId::as_str),
                correlation: fact.cause.correlation.as_deref(),
                kind: stored.kind,
                data: &stored.data,
            },
        );
        hashes.push(head.hash.to_vec());
    }
    let each = || facts.iter().map(|(fact, _)| *fact);
    Append {
        top: int(head.position),
        top_hash: head.hash.to_vec(),
        top_at: each().map(|f| f.at).max().unwrap_or_default(),
        position: (begin..=head.position).map(int).collect(),
        id: each().map(|f| f.id).collect(),
        at: each().map(|f| f.at).collect(),
        tenant: each().map(|f| f.tenant.as_str()).collect(),
        actor_kind: each().map(|f| f.actor.kind.as_str()).collect(),
        actor_subject: each().map(|f| f.actor.subject.as_str()).collect(),
        command: each().map(|f| f.cause.command.as_ref().map(domain::CommandId::as_str)).collect(),
        correlation: each().map(|f| f.cause.correlation.as_deref()).collect(),
        campaign: each().map(|f| f.entry.campaign().map(domain::CampaignId::as_str)).collect(),
        owner: each().map(|f| f.entry.owner().map(domain::OwnerId::as_str)).collect(),
        sequence: each().map(|f| f.entry.sequence().map(int)).collect(),
        kind: facts.iter().map(|(_, stored)| stored.kind).collect(),
        data: facts.iter().map(|(_, stored)| stored.data.as_str()).collect(),
        hash: hashes,
    }
}
