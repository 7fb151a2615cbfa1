//! The dead-letter queue.

use std::collections::BTreeMap;

use domain::TenantId;
use ports::dead_letters::{Letter, LetterFilter, LetterState, NewLetter, Settlement};
use ports::query::{MAX_PAGE, Page, PageCursor, PageRequest};
use uuid::Uuid;

/// All letters, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    all: BTreeMap<u64, Letter>,
    last: u64,
}

impl Letters {
    pub(crate) fn add(&mut self, letter: NewLetter) {
        let known = self.all.values_mut().find(|known| {
            let theirs = &known.letter;
            known.state == LetterState::Open
                && (&theirs.tenant, theirs.kind, &theirs.origin) == (&letter.tenant, letter.kind, &letter.origin)
        });
        if let Some(known) = known {
            known.letter.attempts += letter.attempts;
            known.letter.error = letter.error;
            known.letter.last_error_at = letter.last_error_at;
            return;
        }
        self.last += 1;
        self.all.insert(self.last, Letter { letter, state: LetterState::Open, settled: None });
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Letter> {
        self.all.values()
    }

    pub(crate) fn get(&self, tenant: &TenantId, id: Uuid) -> Option<&Letter> {
        self.all().find(|letter| letter.letter.id == id && letter.letter.tenant == *tenant)
    }

    pub(crate) fn open(&self) -> usize {
        self.all().filter(|letter| letter.state == LetterState::Open).count()
    }

    /// Answers whether it was open.
    pub(crate) fn settle(&mut self, tenant: &TenantId, id: Uuid, state: LetterState, settlement: Settlement) -> bool {
        let found = self.all.values_mut().find(|letter| letter.letter.id == id && letter.letter.tenant == *tenant);
        let Some(letter) = found.filter(|letter| letter.state == LetterState::Open) else { return false };
        letter.state = state;
        letter.settled = Some(settlement);
        true
    }

    /// Newest first; none for a cursor that is none.
    pub(crate) fn list(&self, tenant: &TenantId, filter: &LetterFilter, page: &PageRequest) -> Option<Page<Letter>> {
        let before = match &page.after {
            Some(cursor) => cursor.0.parse().ok()?,
            None => u64::MAX,
        };
        let limit = page.limit.clamp(1, MAX_PAGE);
        let of_filter = |letter: &Letter| {
            let theirs = &letter.letter;
            theirs.tenant == *tenant
                && filter.state.is_none_or(|state| state == letter.state)
                && filter.kind.is_none_or(|kind| kind == theirs.kind)
                && filter.code.as_ref().is_none_or(|code| *code == theirs.code)
                && filter.event_type.as_ref().is_none_or(|kind| *kind == theirs.event_type)
                && (filter.campaign.is_none() || filter.campaign == theirs.campaign)
        };
        let mut found = self.all.range(..before).rev().filter(|(_, letter)| of_filter(letter));
        let items: Vec<(u64, Letter)> = found.by_ref().take(limit).map(|(n, letter)| (*n, letter.clone())).collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|(n, _)| PageCursor(n.to_string()));
        Some(Page { items: items.into_iter().map(|(_, letter)| letter).collect(), next })
    }
}
