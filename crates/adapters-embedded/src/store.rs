//! The write side: what a decision sees, and what it wants done, within one commit.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::dsl::min;
use diesel::prelude::*;
use domain::{Campaign, CampaignKey, Timestamp};
use failpoints::Point;
use ports::PortError;
use ports::store::{
    CampaignWrite, Changes, CommandKey, Decision, DueTimer, InboxEntry, MAX_BATCH, Outcome, Receipt, Scope, Store, View,
};

use crate::dead_letters;
use crate::embedded::Embedded;
use crate::failure::{Failure, corrupt, refused};
use crate::journal;
use crate::rows::{self, TimerCore, attempts, instant, int, limit_of, micros, uint};
use crate::schema::{campaigns, inbox, statement, timers};
use crate::timer_writes;
use crate::writer::Unit;

/// How long a due timer that cannot be read is left alone.
const UNREADABLE_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// How many inbox entries one commit forgets.
const FORGET_PORTION: usize = 1_000;

statement! {
    InsertCampaign<'a> {
        number: i64 as BigInt,
        tenant: &'a str as Text,
        id: &'a str as Text,
        version: i64 as BigInt,
        status: &'a str as Text,
        owner: Option<&'a str> as MaybeText,
        start_at: i64 as BigInt,
        end_at: i64 as BigInt,
        body: &'a str as Text,
    }
    "INSERT INTO campaigns (number, tenant, id, version, status, owner, start_at, end_at, body) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Leaves out what seldom changes, whose indexes would be written anew each time.
    UpdateCampaign<'a> {
        version: i64 as BigInt,
        status: &'a str as Text,
        body: &'a str as Text,
        number: i64 as BigInt,
        from_version: i64 as BigInt,
    }
    "UPDATE campaigns SET version = ?, status = ?, body = ? WHERE number = ? AND version = ?"
}

statement! {
    MoveWindow<'a> {
        start_at: i64 as BigInt,
        end_at: i64 as BigInt,
        number: &'a i64 as BigInt,
    }
    "UPDATE campaigns SET start_at = ?, end_at = ? WHERE number = ?"
}

statement! {
    InsertInbox<'a> {
        tenant: &'a str as Text,
        sender: &'a str as Text,
        command: &'a str as Text,
        campaign: &'a str as Text,
        fingerprint: &'a [u8] as Binary,
        outcome: &'a str as Text,
        version: Option<i64> as MaybeInt,
        code: Option<&'a str> as MaybeText,
        message: Option<&'a str> as MaybeText,
        at: i64 as BigInt,
    }
    "INSERT INTO inbox (tenant, sender, command, campaign, fingerprint, outcome, version, code, message, at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    ForgetCommands<'a> {
        before: &'a i64 as BigInt,
        portion: i64 as BigInt,
    }
    "DELETE FROM inbox WHERE (tenant, sender, command) IN \
     (SELECT tenant, sender, command FROM inbox WHERE at < ? ORDER BY at LIMIT ?)"
}

#[async_trait]
impl Store for Embedded {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        self.on_writer(move |unit| transact(unit, &scope, decision.as_ref())).await
    }

    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError> {
        let before = micros(before);
        let mut forgotten = 0;
        loop {
            let portion = self
                .on_writer(move |unit| {
                    Ok(ForgetCommands { before: &before, portion: limit_of(FORGET_PORTION, FORGET_PORTION) }
                        .execute(unit.connection)?)
                })
                .await?;
            forgotten += portion as u64;
            if portion < FORGET_PORTION {
                return Ok(forgotten);
            }
        }
    }
}

fn transact(unit: &mut Unit<'_>, scope: &Scope, decision: &dyn Decision) -> Result<Receipt, Failure> {
    let mut held = Held::default();
    let mut view = View { now: unit.clock.now(), ..View::default() };
    match scope {
        Scope::Campaigns { keys, commands } => {
            failpoints::pass(Point::StoreBegun);
            for key in keys {
                held.load(unit.connection, &mut view, key)?;
            }
            for command in commands {
                if let Some(entry) = inbox_entry(unit.connection, command)? {
                    view.inbox.insert(command.clone(), entry);
                }
            }
        }
        Scope::Due { limit } => held.load_due(unit.connection, &mut view, *limit)?,
    }
    let changes = decision.decide(&view);
    let first_position = apply(unit, &mut held, &view, changes)?;
    let next: Option<i64> =
        timers::table.select(min(timers::fire_at)).filter(timers::fire_at.is_not_null()).get_result(unit.connection)?;
    Ok(Receipt { now: view.now, first_position, due: view.due.len(), next_due: next.map(instant).transpose()? })
}

/// The row numbers of the campaigns that this transaction has met.
#[derive(Default)]
pub(crate) struct Held {
    numbers: HashMap<CampaignKey, i64>,
}

impl Held {
    // Unique rows are asked for without LIMIT here: SQLite prepares a statement with `LIMIT ?` anew whenever it is bound.
    fn load(&mut self, connection: &mut SqliteConnection, view: &mut View, key: &CampaignKey) -> Result<(), Failure> {
        let row: Option<(i64, String)> = campaigns::table
            .select((campaigns::number, campaigns::body))
            .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
            .get_result(connection)
            .optional()?;
        if let Some((number, body)) = row {
            self.show(view, key.clone(), number, &body);
        }
        Ok(())
    }

    fn show(&mut self, view: &mut View, key: CampaignKey, number: i64, body: &str) {
        match rows::campaign(&key, body) {
            Ok(campaign) => drop(view.campaigns.insert(key.clone(), campaign)),
            Err(reason) => drop(view.unreadable.insert(key.clone(), reason)),
        }
        self.numbers.insert(key, number);
    }

    fn load_due(&mut self, connection: &mut SqliteConnection, view: &mut View, limit: usize) -> Result<(), Failure> {
        let due = timers::table
            .inner_join(campaigns::table)
            .select((
                TimerCore::as_select(),
                timers::attempts,
                campaigns::number,
                campaigns::tenant,
                campaigns::id,
                campaigns::body,
            ))
            .filter(timers::fire_at.le(micros(view.now)))
            .order((timers::fire_at, timers::rank, timers::id))
            .limit(limit_of(limit, MAX_BATCH))
            .load::<(TimerCore, i64, i64, String, String, String)>(connection)?;
        for (core, tried, number, tenant, id, body) in due {
            let timer = rows::key(&tenant, &id).and_then(|key| Ok((key, core.timer()?)));
            let (key, timer) = match timer {
                Ok(found) => found,
                Err(Failure(error)) => {
                    // Only a hand in the file can make this. The rest of the batch goes on; `verify` shows the row, and
                    // `replay` writes it anew.
                    tracing::error!(%error, campaign = id, "a due timer cannot be read and is put off");
                    timer_writes::put_off(connection, &core.id, view.now + UNREADABLE_PAUSE, &error.to_string())?;
                    continue;
                }
            };
            if !self.numbers.contains_key(&key) {
                self.show(view, key.clone(), number, &body);
            }
            view.due.push(DueTimer { key, timer, attempts: attempts(tried) });
        }
        Ok(())
    }

    /// The number of a campaign that exists.
    pub(crate) fn number(&mut self, connection: &mut SqliteConnection, key: &CampaignKey) -> Result<i64, Failure> {
        if let Some(number) = self.numbers.get(key) {
            return Ok(*number);
        }
        let number: Option<i64> = campaigns::table
            .select(campaigns::number)
            .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
            .get_result(connection)
            .optional()?;
        let number = number.ok_or_else(|| refused(format!("there is no campaign {key}")))?;
        self.numbers.insert(key.clone(), number);
        Ok(number)
    }
}

fn inbox_entry(connection: &mut SqliteConnection, command: &CommandKey) -> Result<Option<InboxEntry>, Failure> {
    type Row = (String, Vec<u8>, String, Option<i64>, Option<String>, Option<String>, i64);
    let row: Option<Row> = inbox::table
        .select((
            inbox::campaign,
            inbox::fingerprint,
            inbox::outcome,
            inbox::version,
            inbox::code,
            inbox::message,
            inbox::at,
        ))
        .filter(inbox::tenant.eq(command.tenant.as_str()).and(inbox::sender.eq(command.sender.as_str())))
        .filter(inbox::command.eq(command.id.as_str()))
        .get_result(connection)
        .optional()?;
    let Some((campaign, fingerprint, outcome, version, code, message, at)) = row else {
        return Ok(None);
    };
    let outcome = match (outcome.as_str(), version, code, message) {
        ("applied", Some(version), None, None) => Outcome::Applied { version: uint(version) },
        ("unchanged", Some(version), None, None) => Outcome::Unchanged { version: uint(version) },
        ("rejected", None, Some(code), Some(message)) => Outcome::Rejected { code, message },
        _ => return Err(corrupt(format!("the inbox entry of command {:?}", command.id))),
    };
    Ok(Some(InboxEntry {
        key: rows::key(command.tenant.as_str(), &campaign)?,
        fingerprint: fingerprint.try_into().map_err(|_| corrupt("a fingerprint is cut off"))?,
        outcome,
        at: instant(at)?,
    }))
}

fn apply(
    unit: &mut Unit<'_>,
    held: &mut Held,
    view: &View,
    changes: Changes,
) -> Result<Option<ports::journal::Position>, Failure> {
    for write in &changes.campaigns {
        write_campaign(unit, held, view.campaigns.get(&write.campaign.key), write)?;
    }
    let first_position = journal::append(unit, changes.facts)?;
    if first_position.is_some() {
        failpoints::pass(Point::StoreLogWritten);
    }
    for write in &changes.timers {
        timer_writes::apply(unit, held, write)?;
    }
    for (command, entry) in &changes.inbox {
        write_inbox(unit, command, entry)?;
    }
    if !changes.inbox.is_empty() {
        failpoints::pass(Point::StoreInboxWritten);
    }
    for letter in &changes.letters {
        dead_letters::add(unit, letter)?;
    }
    Ok(first_position)
}

fn write_campaign(
    unit: &mut Unit<'_>,
    held: &mut Held,
    seen: Option<&Campaign>,
    CampaignWrite { from_version, campaign }: &CampaignWrite,
) -> Result<(), Failure> {
    if *from_version == 0 {
        unit.head.campaigns += 1;
        insert_campaign(unit.connection, unit.head.campaigns, campaign)?;
        held.numbers.insert(campaign.key.clone(), unit.head.campaigns);
        return Ok(());
    }
    let number = held.number(unit.connection, &campaign.key)?;
    let window = &campaign.definition.window;
    let update = UpdateCampaign {
        version: int(campaign.version),
        status: campaign.status().as_str(),
        body: &wire::stored::encode_campaign(campaign),
        number,
        from_version: int(*from_version),
    };
    if update.execute(unit.connection)? != 1 {
        return Err(refused(format!("campaign {} is not at version {from_version}", campaign.key)));
    }
    if seen.is_none_or(|seen| seen.definition.window != *window) {
        MoveWindow { start_at: micros(window.start()), end_at: micros(window.end()), number: &number }
            .execute(unit.connection)?;
    }
    Ok(())
}

pub(crate) fn insert_campaign(
    connection: &mut SqliteConnection,
    number: i64,
    campaign: &Campaign,
) -> Result<(), Failure> {
    let window = &campaign.definition.window;
    InsertCampaign {
        number,
        tenant: campaign.key.tenant.as_str(),
        id: campaign.key.id.as_str(),
        version: int(campaign.version),
        status: campaign.status().as_str(),
        owner: campaign.definition.owner.as_ref().map(domain::OwnerId::as_str),
        start_at: micros(window.start()),
        end_at: micros(window.end()),
        body: &wire::stored::encode_campaign(campaign),
    }
    .execute(connection)?;
    Ok(())
}

fn write_inbox(unit: &mut Unit<'_>, command: &CommandKey, entry: &InboxEntry) -> Result<(), Failure> {
    let (outcome, version, code, message) = match &entry.outcome {
        Outcome::Applied { version } => ("applied", Some(int(*version)), None, None),
        Outcome::Unchanged { version } => ("unchanged", Some(int(*version)), None, None),
        Outcome::Rejected { code, message } => ("rejected", None, Some(code.as_str()), Some(message.as_str())),
    };
    InsertInbox {
        tenant: command.tenant.as_str(),
        sender: &command.sender,
        command: command.id.as_str(),
        campaign: entry.key.id.as_str(),
        fingerprint: &entry.fingerprint,
        outcome,
        version,
        code,
        message,
        at: micros(entry.at),
    }
    .execute(unit.connection)?;
    Ok(())
}
