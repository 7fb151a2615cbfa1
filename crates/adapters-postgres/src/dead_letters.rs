//! The dead-letter queue as a table. When a letter is written and what a replay does is the application's business.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::{CampaignId, JsonText, TenantId, Timestamp};
use ports::PortError;
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::journal::{Actor, ActorKind};
use ports::query::{MAX_PAGE, Page, PageRequest};
use uuid::Uuid;

use crate::failure::{Failure, corrupt, refused};
use crate::postgres::{Freshness, Postgres};
use crate::query_lists::{next_cursor, number_of};
use crate::rows::{attempts, attempts_column, limit_of, parse, uint};
use crate::schema::{dead_letters, statement};

statement! {
    /// An origin's open letter, if there is one, only gets more attempts and a later error (D1).
    AddLetters<'a> {
        id: Vec<Uuid> as Uuids,
        tenant: Vec<&'a str> as Texts,
        kind: Vec<&'a str> as Texts,
        origin: Vec<&'a str> as Texts,
        event_type: Vec<&'a str> as Texts,
        campaign: Vec<Option<&'a str>> as MaybeTexts,
        code: Vec<&'a str> as Texts,
        error: Vec<&'a str> as Texts,
        attempts: Vec<i32> as Integers,
        first_error_at: Vec<Timestamp> as Timestamptzs,
        last_error_at: Vec<Timestamp> as Timestamptzs,
        original: Vec<&'a str> as Texts,
    }
    "INSERT INTO dead_letters AS known (id, tenant, kind, origin, event_type, campaign, code, error, attempts, \
       first_error_at, last_error_at, original, state) \
     SELECT *, 'open' FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT (tenant, kind, origin) WHERE state = 'open' DO UPDATE SET \
       attempts = greatest(known.attempts, excluded.attempts), code = excluded.code, error = excluded.error, \
       last_error_at = greatest(known.last_error_at, excluded.last_error_at)"
}

statement! {
    Settle<'a> {
        state: &'a str as Text,
        settled_kind: &'a str as Text,
        settled_subject: &'a str as Text,
        settled_at: Timestamp as Timestamptz,
        settled_reason: Option<&'a str> as MaybeText,
        settled_detail: Option<&'a str> as MaybeText,
        tenant: &'a str as Text,
        id: Uuid as Uuid,
    }
    "UPDATE dead_letters SET state = ?, settled_kind = ?, settled_subject = ?, settled_at = ?, settled_reason = ?, \
     settled_detail = ? WHERE tenant = ? AND id = ? AND state = 'open'"
}

#[async_trait]
impl DeadLetters for Postgres {
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError> {
        self.write(async move |unit| add(&mut unit.connection, &letters).await).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &LetterFilter,
        page: &PageRequest,
    ) -> Result<Page<Letter>, PortError> {
        let after = page.after.as_ref().map(|cursor| number_of(cursor, 'd')).transpose()?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        if [&filter.code, &filter.event_type].into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(Page { items: Vec::new(), next: None }); // no letter has it, and the server would not take it
        }
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.read(Freshness::Now, async move |connection| {
            let rows = rows(connection, &tenant, &filter, after, limit + 1).await?;
            let next = next_cursor(&rows, limit, |row| format!("d{}", row.number));
            let items = rows.into_iter().take(limit).map(LetterRow::letter).collect::<Result<_, Failure>>()?;
            Ok(Page { items, next })
        })
        .await
    }

    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError> {
        let tenant = tenant.clone();
        self.ask(Freshness::Now, async move |connection| {
            let row: Option<LetterRow> = dead_letters::table
                .select(LetterRow::as_select())
                .filter(dead_letters::id.eq(id).and(dead_letters::tenant.eq(tenant.as_str())))
                .get_result(connection)
                .await
                .optional()?;
            row.map(LetterRow::letter).transpose()
        })
        .await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        settlement: Settlement,
    ) -> Result<bool, PortError> {
        if state == LetterState::Open {
            return Err(refused("a letter cannot be settled as open").into_port());
        }
        let tenant = tenant.clone();
        self.write(async move |unit| {
            let (subject, reason) = (keepable(&settlement.by.subject), settlement.reason.as_deref().map(keepable));
            let settle = Settle {
                state: state.as_str(),
                settled_kind: settlement.by.kind.as_str(),
                settled_subject: &subject,
                settled_at: settlement.at,
                settled_reason: reason.as_deref(),
                settled_detail: settlement.detail.as_ref().map(JsonText::as_str),
                tenant: tenant.as_str(),
                id,
            };
            Ok(settle.execute(&mut *unit.connection).await? == 1)
        })
        .await
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        self.ask(Freshness::Now, async |connection| {
            let open = dead_letters::table.filter(sql::<Bool>("state = 'open'")).count();
            Ok(uint(open.get_result(connection).await?))
        })
        .await
    }
}

/// Adds letters within a unit of work.
pub(crate) async fn add(connection: &mut AsyncPgConnection, letters: &[NewLetter]) -> Result<(), Failure> {
    if letters.is_empty() {
        return Ok(());
    }
    let letters: Vec<Kept<'_>> = merged(letters).into_values().collect();
    let add = AddLetters {
        id: letters.iter().map(|l| l.letter.id).collect(),
        tenant: letters.iter().map(|l| l.letter.tenant.as_str()).collect(),
        kind: letters.iter().map(|l| l.letter.kind.as_str()).collect(),
        origin: letters.iter().map(|l| l.origin.as_ref()).collect(),
        event_type: letters.iter().map(|l| l.event_type.as_ref()).collect(),
        campaign: letters.iter().map(|l| l.letter.campaign.as_ref().map(CampaignId::as_str)).collect(),
        code: letters.iter().map(|l| l.code.as_ref()).collect(),
        error: letters.iter().map(|l| l.error.as_ref()).collect(),
        attempts: letters.iter().map(|l| attempts_column(l.attempts)).collect(),
        first_error_at: letters.iter().map(|l| l.letter.first_error_at).collect(),
        last_error_at: letters.iter().map(|l| l.last_error_at).collect(),
        original: letters.iter().map(|l| l.original.as_ref()).collect(),
    };
    add.execute(connection).await?;
    Ok(())
}

/// A letter with what PostgreSQL can keep of its texts, and what later letters of its origin say.
struct Kept<'a> {
    letter: &'a NewLetter,
    origin: Cow<'a, str>,
    event_type: Cow<'a, str>,
    original: Cow<'a, str>,
    code: Cow<'a, str>,
    error: Cow<'a, str>,
    attempts: u32,
    last_error_at: Timestamp,
}

/// One letter per origin, as if each had been added alone: a statement changes a row only once. In the order of their
/// keys, so that two units never wait for each other.
fn merged(letters: &[NewLetter]) -> BTreeMap<(&str, &str, Cow<'_, str>), Kept<'_>> {
    let mut by_origin = BTreeMap::new();
    for letter in letters {
        let origin = keepable(&letter.origin);
        match by_origin.entry((letter.tenant.as_str(), letter.kind.as_str(), origin.clone())) {
            Entry::Vacant(place) => {
                place.insert(Kept {
                    letter,
                    origin,
                    event_type: keepable(&letter.event_type),
                    original: keepable(&letter.original),
                    code: keepable(&letter.code),
                    error: keepable(&letter.error),
                    attempts: letter.attempts,
                    last_error_at: letter.last_error_at,
                });
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.code = keepable(&letter.code);
                known.error = keepable(&letter.error);
                known.attempts = known.attempts.max(letter.attempts);
                known.last_error_at = known.last_error_at.max(letter.last_error_at);
            }
        }
    }
    by_origin
}

/// A letter is for people to read: what PostgreSQL cannot keep is shown as a sign for it.
fn keepable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

async fn rows(
    connection: &mut AsyncPgConnection,
    tenant: &TenantId,
    filter: &LetterFilter,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<LetterRow>, Failure> {
    let mut query = dead_letters::table
        .select(LetterRow::as_select())
        .filter(dead_letters::tenant.eq(tenant.as_str()))
        .into_boxed();
    match filter.state {
        // A literal: a partial index serves only what the server can see when it plans.
        Some(LetterState::Open) => query = query.filter(sql::<Bool>("dead_letters.state = 'open'")),
        Some(state) => query = query.filter(dead_letters::state.eq(state.as_str())),
        None => {}
    }
    if let Some(kind) = filter.kind {
        query = query.filter(dead_letters::kind.eq(kind.as_str()));
    }
    if let Some(code) = &filter.code {
        query = query.filter(dead_letters::code.eq(code.as_str()));
    }
    if let Some(campaign) = &filter.campaign {
        query = query.filter(dead_letters::campaign.eq(campaign.as_str()));
    }
    if let Some(event_type) = &filter.event_type {
        query = query.filter(dead_letters::event_type.eq(event_type.as_str()));
    }
    if let Some(after) = after {
        query = query.filter(dead_letters::number.lt(after));
    }
    let newest = query.order(dead_letters::number.desc()).limit(limit_of(limit, MAX_PAGE + 1));
    Ok(newest.load(connection).await?)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letters)]
struct LetterRow {
    number: i64,
    id: Uuid,
    tenant: String,
    kind: String,
    origin: String,
    event_type: String,
    campaign: Option<String>,
    code: String,
    error: String,
    attempts: i32,
    first_error_at: Timestamp,
    last_error_at: Timestamp,
    original: String,
    state: String,
    settled_kind: Option<String>,
    settled_subject: Option<String>,
    settled_at: Option<Timestamp>,
    settled_reason: Option<String>,
    settled_detail: Option<String>,
}

impl LetterRow {
    fn letter(self) -> Result<Letter, Failure> {
        let unknown = |what, text: &str| corrupt(format!("dead letter {what} {text:?}"));
        let kind = [LetterKind::Event, LetterKind::Timer].into_iter().find(|k| k.as_str() == self.kind);
        let state = LetterState::ALL.into_iter().find(|s| s.as_str() == self.state);
        let settled = match (self.settled_kind, self.settled_subject, self.settled_at) {
            (Some(kind), Some(subject), Some(at)) => {
                let known = ActorKind::ALL.into_iter().find(|k| k.as_str() == kind);
                let detail = self.settled_detail.as_deref().map(JsonText::new).transpose();
                Some(Settlement {
                    by: Actor { kind: known.ok_or_else(|| unknown("actor", &kind))?, subject },
                    at,
                    reason: self.settled_reason,
                    detail: detail.map_err(|e| corrupt(format!("dead letter detail {e}")))?,
                })
            }
            _ => None,
        };
        Ok(Letter {
            letter: NewLetter {
                id: self.id,
                tenant: parse(&self.tenant, "tenant")?,
                kind: kind.ok_or_else(|| unknown("kind", &self.kind))?,
                origin: self.origin,
                event_type: self.event_type,
                campaign: self.campaign.map(|id| parse(&id, "campaign")).transpose()?,
                code: self.code,
                error: self.error,
                attempts: attempts(self.attempts),
                first_error_at: self.first_error_at,
                last_error_at: self.last_error_at,
                original: self.original,
            },
            state: state.ok_or_else(|| unknown("state", &self.state))?,
            settled,
        })
    }
}
