//! The dead-letter queue as a table. When a letter is written and what a replay does is the application's business.

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::{CampaignId, JsonText, TenantId};
use ports::PortError;
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::journal::{Actor, ActorKind};
use ports::query::{MAX_PAGE, Page, PageRequest};
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::failure::{Failure, corrupt, refused};
use crate::query_lists::{next_cursor, number_of};
use crate::rows::{attempts, instant, limit_of, micros, parse, uint, uuid};
use crate::schema::{dead_letters, statement};
use crate::writer::Unit;

statement! {
    /// The origin's open letter, if there is one, only gets more attempts and a later error (D1).
    AddLetter<'a> {
        id: &'a [u8] as Binary,
        tenant: &'a str as Text,
        kind: &'a str as Text,
        origin: &'a str as Text,
        event_type: &'a str as Text,
        campaign: Option<&'a str> as MaybeText,
        code: &'a str as Text,
        error: &'a str as Text,
        attempts: i64 as BigInt,
        first_error_at: i64 as BigInt,
        last_error_at: i64 as BigInt,
        original: &'a str as Text,
    }
    "INSERT INTO dead_letters (id, tenant, kind, origin, event_type, campaign, code, error, attempts, first_error_at, \
     last_error_at, original, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open') \
     ON CONFLICT (tenant, kind, origin) WHERE state = 'open' DO UPDATE SET attempts = max(attempts, excluded.attempts), \
     code = excluded.code, error = excluded.error, last_error_at = max(last_error_at, excluded.last_error_at)"
}

statement! {
    Settle<'a> {
        state: &'a str as Text,
        settled_kind: &'a str as Text,
        settled_subject: &'a str as Text,
        settled_at: i64 as BigInt,
        settled_reason: Option<&'a str> as MaybeText,
        settled_detail: Option<&'a str> as MaybeText,
        tenant: &'a str as Text,
        id: &'a [u8] as Binary,
    }
    "UPDATE dead_letters SET state = ?, settled_kind = ?, settled_subject = ?, settled_at = ?, settled_reason = ?, \
     settled_detail = ? WHERE tenant = ? AND id = ? AND state = 'open'"
}

#[async_trait]
impl DeadLetters for Embedded {
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError> {
        self.on_writer(move |unit| letters.iter().try_for_each(|letter| add(unit, letter))).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &LetterFilter,
        page: &PageRequest,
    ) -> Result<Page<Letter>, PortError> {
        let after = page.after.as_ref().map(|cursor| number_of(cursor, 'd')).transpose()?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.on_reader(move |connection| {
            let rows = rows(connection, &tenant, &filter, after, limit + 1)?;
            let next = next_cursor(&rows, limit, |row| format!("d{}", row.number));
            let items = rows.into_iter().take(limit).map(LetterRow::letter).collect::<Result<_, Failure>>()?;
            Ok(Page { items, next })
        })
        .await
    }

    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError> {
        let tenant = tenant.clone();
        self.on_reader(move |connection| {
            let row: Option<LetterRow> = dead_letters::table
                .select(LetterRow::as_select())
                .filter(dead_letters::id.eq(id.as_bytes().as_slice()).and(dead_letters::tenant.eq(tenant.as_str())))
                .get_result(connection)
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
            return Err(refused("a letter cannot be settled as open").0);
        }
        let tenant = tenant.clone();
        self.on_writer(move |unit| {
            let settle = Settle {
                state: state.as_str(),
                settled_kind: settlement.by.kind.as_str(),
                settled_subject: &settlement.by.subject,
                settled_at: micros(settlement.at),
                settled_reason: settlement.reason.as_deref(),
                settled_detail: settlement.detail.as_ref().map(JsonText::as_str),
                tenant: tenant.as_str(),
                id: id.as_bytes(),
            };
            Ok(settle.execute(unit.connection)? == 1)
        })
        .await
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        self.on_reader(|connection| {
            let open = dead_letters::table.filter(sql::<Bool>("state = 'open'")).count();
            Ok(uint(open.get_result(connection)?))
        })
        .await
    }
}

pub(crate) fn add(unit: &mut Unit<'_>, letter: &NewLetter) -> Result<(), Failure> {
    AddLetter {
        id: letter.id.as_bytes(),
        tenant: letter.tenant.as_str(),
        kind: letter.kind.as_str(),
        origin: &letter.origin,
        event_type: &letter.event_type,
        campaign: letter.campaign.as_ref().map(CampaignId::as_str),
        code: &letter.code,
        error: &letter.error,
        attempts: i64::from(letter.attempts),
        first_error_at: micros(letter.first_error_at),
        last_error_at: micros(letter.last_error_at),
        original: &letter.original,
    }
    .execute(unit.connection)?;
    Ok(())
}

fn rows(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    filter: &LetterFilter,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<LetterRow>, Failure> {
    let mut query = dead_letters::table
        .select(LetterRow::as_select())
        .filter(dead_letters::tenant.eq(tenant.as_str()))
        .into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(dead_letters::state.eq(state.as_str()));
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
    Ok(query.order(dead_letters::number.desc()).limit(limit_of(limit, MAX_PAGE + 1)).load(connection)?)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letters)]
struct LetterRow {
    number: i64,
    id: Vec<u8>,
    tenant: String,
    kind: String,
    origin: String,
    event_type: String,
    campaign: Option<String>,
    code: String,
    error: String,
    attempts: i64,
    first_error_at: i64,
    last_error_at: i64,
    original: String,
    state: String,
    settled_kind: Option<String>,
    settled_subject: Option<String>,
    settled_at: Option<i64>,
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
                    at: instant(at)?,
                    reason: self.settled_reason,
                    detail: detail.map_err(|e| corrupt(format!("dead letter detail {e}")))?,
                })
            }
            _ => None,
        };
        Ok(Letter {
            letter: NewLetter {
                id: uuid(&self.id)?,
                tenant: parse(&self.tenant, "tenant")?,
                kind: kind.ok_or_else(|| unknown("kind", &self.kind))?,
                origin: self.origin,
                event_type: self.event_type,
                campaign: self.campaign.map(|id| parse(&id, "campaign")).transpose()?,
                code: self.code,
                error: self.error,
                attempts: attempts(self.attempts),
                first_error_at: instant(self.first_error_at)?,
                last_error_at: instant(self.last_error_at)?,
                original: self.original,
            },
            state: state.ok_or_else(|| unknown("state", &self.state))?,
            settled,
        })
    }
}
