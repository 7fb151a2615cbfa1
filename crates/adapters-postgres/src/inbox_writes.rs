//! Commands that are now answered, and those that are forgotten.

use domain::Timestamp;
use ports::store::{CommandKey, InboxEntry, Outcome};

use crate::failure::Failure;
use crate::pipeline::Pipeline;
use crate::rows::int;
use crate::schema::statement;

statement! {
    /// In the order of keys: whoever answers the same commands at the same time waits, and does not deadlock.
    InsertInbox<'a> {
        tenant: Vec<&'a str> as Texts,
        sender: Vec<&'a str> as Texts,
        command: Vec<&'a str> as Texts,
        campaign: Vec<&'a str> as Texts,
        fingerprint: Vec<&'a [u8]> as Binaries,
        outcome: Vec<&'a str> as Texts,
        version: Vec<Option<i64>> as MaybeBigInts,
        code: Vec<Option<&'a str>> as MaybeTexts,
        message: Vec<Option<&'a str>> as MaybeTexts,
        at: Vec<Timestamp> as Timestamptzs,
    }
    "INSERT INTO inbox (tenant, sender, command, campaign, fingerprint, outcome, version, code, message, at) \
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS u (tenant, sender, command) \
     ORDER BY u.tenant, u.sender, u.command"
}

statement! {
    ForgetCommands<'a> {
        before: &'a Timestamp as Timestamptz,
        portion: i64 as BigInt,
    }
    "DELETE FROM inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox WHERE at < ? ORDER BY at LIMIT ?))"
}

/// Remembers answers (S6).
pub(crate) async fn write(pipeline: &mut Pipeline<'_>, entries: &[(CommandKey, InboxEntry)]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut insert = InsertInbox {
        tenant: entries.iter().map(|(command, _)| command.tenant.as_str()).collect(),
        sender: entries.iter().map(|(command, _)| command.sender.as_str()).collect(),
        command: entries.iter().map(|(command, _)| command.id.as_str()).collect(),
        campaign: entries.iter().map(|(_, entry)| entry.key.id.as_str()).collect(),
        fingerprint: entries.iter().map(|(_, entry)| entry.fingerprint.as_slice()).collect(),
        outcome: Vec::new(),
        version: Vec::new(),
        code: Vec::new(),
        message: Vec::new(),
        at: entries.iter().map(|(_, entry)| entry.at).collect(),
    };
    for (_, entry) in entries {
        let (outcome, version, code, message) = match &entry.outcome {
            Outcome::Applied { version } => ("applied", Some(int(*version)), None, None),
            Outcome::Unchanged { version } => ("unchanged", Some(int(*version)), None, None),
            Outcome::Rejected { code, message } => ("rejected", None, Some(code.as_str()), Some(message.as_str())),
        };
        insert.outcome.push(outcome);
        insert.version.push(version);
        insert.code.push(code);
        insert.message.push(message);
    }
    pipeline.push(insert, |_| Ok(())).await
}
