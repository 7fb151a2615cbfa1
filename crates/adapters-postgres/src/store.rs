//! The write side: hold what a scope names, ask the decision, commit what it wants. What each table takes lives beside this.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use diesel_async::RunQueryDsl;
use domain::Timestamp;
use failpoints::Point;
use ports::PortError;
use ports::store::{Changes, Decision, Receipt, Scope, Store, View};

use crate::failure::{Failure, STORE};
use crate::inbox_writes::{self, ForgetCommands};
use crate::journal_writes::Appended;
use crate::pipeline::Pipeline;
use crate::postgres::Postgres;
use crate::rows::limit_of;
use crate::unit::{Begun, Unit, Writer};
use crate::{campaign_writes, dead_letters, journal_writes, loading, timer_writes};

/// How often a decision runs when somebody else took a campaign's id or answered a command in the meantime, and how many
/// connections are tried.
const ATTEMPTS: usize = 3;

/// How many inbox entries one commit forgets.
const FORGET_PORTION: usize = 1_000;

#[async_trait]
impl Store for Postgres {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        let scope = Arc::new(scope);
        let mut attempt = 1;
        loop {
            let (writer, scope_now, decision) = (Arc::clone(&self.writer), Arc::clone(&scope), Arc::clone(&decision));
            let outcome = self
                .writer
                .run(Begun::ByWork, async move |unit: &mut Unit| {
                    transact(unit, &writer, &scope_now, decision.as_ref()).await
                })
                .await;
            match outcome {
                // Nothing could be locked of what did not exist yet; now it does, and the decision must see it.
                Err(Failure::Taken { constraint, .. }) if appears(&constraint) && attempt < ATTEMPTS => attempt += 1,
                Err(Failure::NotBegun(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Failure::Taken { constraint, .. }) if constraint == CAMPAIGN_ID && names_campaigns(&scope) => {
                    return Err(PortError::Contended { what: STORE });
                }
                outcome => return outcome.map_err(Failure::into_port),
            }
        }
    }

    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError> {
        let mut forgotten = 0;
        loop {
            let portion = self
                .write(async move |unit: &mut Unit| {
                    let forget = ForgetCommands { before: &before, portion: limit_of(FORGET_PORTION, FORGET_PORTION) };
                    Ok(forget.execute(&mut *unit.connection).await?)
                })
                .await?;
            forgotten += portion as u64;
            if portion < FORGET_PORTION {
                return Ok(forgotten);
            }
        }
    }
}

/// The constraint that a second campaign of the same name breaks.
const CAMPAIGN_ID: &str = "campaigns_id";

/// Whether the row behind a broken constraint may have come after the scope was held.
fn appears(constraint: &str) -> bool {
    constraint == CAMPAIGN_ID || constraint == "inbox_pkey"
}

fn names_campaigns(scope: &Scope) -> bool {
    matches!(scope, Scope::Campaigns { keys, .. } if !keys.is_empty())
}

async fn transact(
    unit: &mut Unit,
    writer: &Writer,
    scope: &Scope,
    decision: &dyn Decision,
) -> Result<Receipt, Failure> {
    let mut view = View::default();
    let (unreadable, clock) = match scope {
        Scope::Campaigns { keys, commands } => {
            let clock = loading::hold(unit, &mut view, keys, commands).await?;
            failpoints::pass(Point::StoreBegun);
            (Vec::new(), clock)
        }
        Scope::Due { limit } => loading::hold_due(unit, &mut view, *limit).await?,
    };
    view.now = now(clock, writer);
    loading::put_off(unit, view.now, &unreadable).await?;
    let due = view.due.len();
    let changes = decision.decide(&view);
    let appended = apply(unit, &view, changes).await?;
    Ok(Receipt { now: view.now, first_position: appended.first, due, next_due: appended.next_due })
}

/// The store's clock (S4): the server's, but never behind what this process said or what anybody committed.
pub(crate) fn now((now, committed): loading::Clock, writer: &Writer) -> Timestamp {
    let now = now.max(committed);
    let micros = now.timestamp_micros();
    let floor = writer.last_now.fetch_max(micros, Ordering::AcqRel);
    if floor > micros { Timestamp::from_timestamp_micros(floor).unwrap_or(now) } else { now }
}

/// Writes `changes`.
async fn apply(unit: &mut Unit, view: &View, changes: Changes) -> Result<Appended, Failure> {
    if !changes.letters.is_empty() {
        dead_letters::add(&mut unit.connection, &changes.letters).await?;
    }
    let Unit { connection, ending, numbers, news } = unit;
    let mut pipeline = Pipeline::new(connection);
    campaign_writes::write(&mut pipeline, numbers, view, &changes.campaigns).await?;
    timer_writes::write(&mut pipeline, numbers, news, &changes.timers).await?;
    inbox_writes::write(&mut pipeline, &changes.inbox).await?;
    // Last, since all commits of the store wait for each other from here on.
    let between = (!changes.inbox.is_empty()).then_some(Point::StoreInboxWritten);
    journal_writes::append(pipeline, ending, news, &changes.facts, between).await
}
