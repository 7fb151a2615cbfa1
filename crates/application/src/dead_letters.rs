//! The desk where dead letters are replayed and discarded. Looking at them is a plain question to the port.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::{CampaignKey, Command, CommandId, Firing, JsonText, Reason, TenantId, TimerId};
use ports::PortError;
use ports::clock::{Clock, Ids};
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, Settlement};
use ports::inbound::Inbound;
use ports::journal::Actor;
use ports::query::{MAX_PAGE, PageRequest};
use ports::store::Outcome;
use uuid::Uuid;

use crate::commands::{Answer, CommandRequest, Commands, SubmitError};
use crate::consume::request_of;
use crate::letters::entry_of;
use crate::notices::Notices;

/// What a replay came to.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The letter.
    pub id: Uuid,
    /// The stable code: `applied`, `unchanged`, `duplicate`, `rejected`, `failed`, `would_replay` (dry run).
    pub outcome: String,
    /// In words, when there is something to say.
    pub message: Option<String>,
}

/// Why the desk refuses.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// No such letter in this tenant.
    #[error("there is no such dead letter")]
    Unknown,
    /// Somebody settled it before.
    #[error("the dead letter is settled already")]
    Settled,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What the desk works with.
#[derive(Clone)]
pub struct DeskParts {
    /// The queue.
    pub letters: Arc<dyn DeadLetters>,
    /// Reads originals again.
    pub inbound: Arc<dyn Inbound>,
    /// Where replayed commands go.
    pub commands: Arc<Commands>,
    /// Writes down who did what.
    pub notices: Notices,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn Ids>,
    /// The pause between two letters of a replay of many.
    pub pause: Duration,
}

/// The desk.
pub struct DeadLetterDesk {
    parts: DeskParts,
}

impl DeadLetterDesk {
    /// A desk.
    pub fn new(parts: DeskParts) -> Self {
        Self { parts }
    }

    /// Processes one open letter again; settles it when that succeeds (applied, unchanged or duplicate).
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn replay(&self, tenant: &TenantId, id: Uuid, by: &Actor) -> Result<Replayed, DeskError> {
        let letter = self.open_letter(tenant, id).await?;
        self.replay_letter(tenant, &letter, by).await
    }

    /// Processes the open letters that `filter` names, oldest first, at most `limit`, with a pause in between; with
    /// `dry_run` only says which.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn replay_all(
        &self,
        tenant: &TenantId,
        filter: LetterFilter,
        limit: usize,
        dry_run: bool,
        by: &Actor,
    ) -> Result<Vec<Replayed>, DeskError> {
        let letters = self.oldest_open(tenant, filter, limit).await?;
        let mut replayed = Vec::with_capacity(letters.len());
        for letter in letters {
            if dry_run {
                let id = letter.letter.id;
                replayed.push(Replayed { id, outcome: "would_replay".to_owned(), message: None });
                continue;
            }
            match self.replay_letter(tenant, &letter, by).await {
                Ok(result) => replayed.push(result),
                Err(DeskError::Settled | DeskError::Unknown) => {} // somebody was faster
                Err(error @ DeskError::Port(_)) => return Err(error),
            }
            tokio::time::sleep(self.parts.pause).await;
        }
        Ok(replayed)
    }

    /// Gives an open letter up.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn discard(&self, tenant: &TenantId, id: Uuid, reason: &Reason, by: &Actor) -> Result<Letter, DeskError> {
        self.open_letter(tenant, id).await?;
        self.settle(tenant, id, LetterState::Discarded, by, Some(reason.as_str().to_owned())).await?;
        self.parts.letters.get(tenant, id).await?.ok_or(DeskError::Unknown)
    }

    async fn open_letter(&self, tenant: &TenantId, id: Uuid) -> Result<Letter, DeskError> {
        let letter = self.parts.letters.get(tenant, id).await?.ok_or(DeskError::Unknown)?;
        if letter.state == LetterState::Open { Ok(letter) } else { Err(DeskError::Settled) }
    }

    /// The oldest `limit` open letters, oldest first. The queue lists the newest first, so all pages are looked through.
    async fn oldest_open(
        &self,
        tenant: &TenantId,
        filter: LetterFilter,
        limit: usize,
    ) -> Result<VecDeque<Letter>, DeskError> {
        let filter = LetterFilter { state: Some(LetterState::Open), ..filter };
        let mut letters = VecDeque::new();
        let mut after = None;
        loop {
            let page = self.parts.letters.list(tenant, &filter, &PageRequest { after, limit: MAX_PAGE }).await?;
            for letter in page.items {
                letters.push_front(letter);
                letters.truncate(limit);
            }
            after = page.next;
            if after.is_none() {
                return Ok(letters);
            }
        }
    }

    async fn replay_letter(&self, tenant: &TenantId, letter: &Letter, by: &Actor) -> Result<Replayed, DeskError> {
        let id = letter.letter.id;
        let request = match self.request(tenant, letter, by) {
            Ok(request) => request,
            Err(message) => return Ok(Replayed { id, outcome: "failed".to_owned(), message: Some(message) }),
        };
        let (outcome, message) = match self.parts.commands.submit(request).await {
            Ok(Answer { outcome: Outcome::Rejected { message, .. }, .. }) => ("rejected", Some(message)),
            Ok(Answer { replayed: true, .. }) => ("duplicate", None),
            Ok(Answer { outcome: Outcome::Applied { .. }, .. }) => ("applied", None),
            Ok(Answer { outcome: Outcome::Unchanged { .. }, .. }) => ("unchanged", None),
            Err(SubmitError::Store(error)) => {
                tracing::warn!(letter = %id, %error, "a dead letter could not be replayed");
                ("failed", Some("the store is not available".to_owned()))
            }
            Err(error) => ("failed", Some(error.to_string())),
        };
        if matches!(outcome, "applied" | "unchanged" | "duplicate") {
            self.settle(tenant, id, LetterState::Replayed, by, Some(outcome.to_owned())).await?;
        }
        Ok(Replayed { id, outcome: outcome.to_owned(), message })
    }

    fn request(&self, tenant: &TenantId, letter: &Letter, by: &Actor) -> Result<CommandRequest, String> {
        let letter = &letter.letter;
        match letter.kind {
            LetterKind::Event => {
                let raw = entry_of(&letter.original).ok_or("the original cannot be read")?;
                let event = self.parts.inbound.decode(&raw).map_err(|why| why.message)?;
                Ok(request_of(&event))
            }
            LetterKind::Timer => {
                let campaign = letter.campaign.clone().ok_or("the letter names no campaign")?;
                let timer = Uuid::parse_str(&letter.origin).map_err(|e| e.to_string())?;
                let id = self.parts.ids.next();
                Ok(CommandRequest {
                    key: CampaignKey { tenant: tenant.clone(), id: campaign },
                    id: CommandId::parse(&id.to_string()).map_err(|e| e.to_string())?,
                    remember: false,
                    fingerprint: [0; 32],
                    command: Command::FireTimer { id: TimerId(timer), by: Firing::Operator },
                    expected_version: None,
                    actor: by.clone(),
                    correlation: None,
                })
            }
        }
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        by: &Actor,
        reason: Option<String>,
    ) -> Result<(), DeskError> {
        let at = self.parts.clock.now();
        let settlement = Settlement { by: by.clone(), at, reason: reason.clone(), detail: None };
        if !self.parts.letters.settle(tenant, id, state, settlement).await? {
            return Err(DeskError::Settled);
        }
        let name = format!("dead_letter.{}", state.as_str());
        let detail = serde_json::json!({ "reason": reason }).to_string();
        let detail = JsonText::new(&detail).unwrap_or_else(|_| JsonText::empty());
        self.parts.notices.write(tenant.clone(), by.clone(), &name, &id.to_string(), detail).await?;
        Ok(())
    }
}
