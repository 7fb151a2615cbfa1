//! Dead letters of inbound entries are also entries of the stream `campaign-events:dlq`, for other services and their
//! tools. The letters themselves, and what becomes of them, live in the store. Timers that were given up are told
//! elsewhere: as `timer.failed`, by the publisher.
//!
//! At least once: after a failure the whole call is made again, and a letter may be in the stream twice. Readers tell by
//! `originalId` that two entries are about the same.

use std::sync::Arc;

use async_trait::async_trait;
use domain::TenantId;
use fred::prelude::Value;
use ports::PortError;
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::query::{Page, PageRequest};
use uuid::Uuid;

use crate::failure::{odd, writing};
use crate::link::Link;
use crate::names::{DEAD_LETTERS, Names};

/// So many letters are appended at once.
const CHUNK: usize = 100;

/// [`DeadLetters`] that are told to other services, too.
pub struct MirroredDeadLetters {
    letters: Arc<dyn DeadLetters>,
    link: Arc<Link>,
    stream: String,
}

impl MirroredDeadLetters {
    pub(crate) fn new(letters: Arc<dyn DeadLetters>, link: Arc<Link>, names: &Names) -> Self {
        Self { letters, link, stream: names.of(DEAD_LETTERS) }
    }
}

fn fields_of(letter: &NewLetter) -> Vec<(&'static str, String)> {
    let mut fields = vec![("letterId", letter.id.to_string()), ("tenant", letter.tenant.as_str().to_owned())];
    fields.extend(letter.campaign.as_ref().map(|id| ("campaignId", id.as_str().to_owned())));
    fields.extend([
        ("kind", letter.kind.as_str().to_owned()),
        ("eventType", letter.event_type.clone()),
        ("code", letter.code.clone()),
        ("error", letter.error.clone()),
        ("attempts", letter.attempts.to_string()),
        ("firstErrorAt", wire::time::format(letter.first_error_at)),
        ("lastErrorAt", wire::time::format(letter.last_error_at)),
        ("originalId", letter.origin.clone()),
        ("original", letter.original.clone()),
    ]);
    fields
}

#[async_trait]
impl DeadLetters for MirroredDeadLetters {
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError> {
        let told: Vec<NewLetter> = letters.iter().filter(|letter| letter.kind == LetterKind::Event).cloned().collect();
        self.letters.add(letters).await?;
        for chunk in told.chunks(CHUNK) {
            let calls = chunk.iter().map(|letter| {
                let fields = fields_of(letter).into_iter().flat_map(|(name, value)| [name.into(), value.into()]);
                [Value::from(self.stream.as_str()), "*".into()].into_iter().chain(fields).collect()
            });
            let answers = self.link.call_all("XADD", calls.collect()).await.map_err(writing)?;
            if answers.len() != chunk.len() {
                return Err(odd("not every dead letter was appended"));
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &LetterFilter,
        page: &PageRequest,
    ) -> Result<Page<Letter>, PortError> {
        self.letters.list(tenant, filter, page).await
    }

    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError> {
        self.letters.get(tenant, id).await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        settlement: Settlement,
    ) -> Result<bool, PortError> {
        self.letters.settle(tenant, id, state, settlement).await
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        self.letters.open_count().await
    }
}
