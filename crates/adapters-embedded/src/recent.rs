//! The newest records at hand, so that whoever reads right behind the head does not ask SQLite. What is not here is there.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ports::journal::{Position, Record};

/// How many records wait here to be published; older ones are read from the file.
const MOST: usize = 4_096;

/// How many stay after they were published, for clients that were away for a moment.
const KEPT: usize = 512;

/// The journal's newest records, without gaps, up to its head.
#[derive(Debug)]
pub(crate) struct Recent {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    records: VecDeque<Arc<Record>>,
    head: Position,
}

impl Recent {
    pub(crate) fn new(head: Position) -> Self {
        Self { inner: RwLock::new(Inner { records: VecDeque::new(), head }) }
    }

    /// The last committed position.
    pub(crate) fn head(&self) -> Position {
        self.inner().head
    }

    /// Takes over what was just committed.
    pub(crate) fn push(&self, records: Vec<Arc<Record>>) {
        let mut inner = self.inner_mut();
        if let Some(last) = records.last() {
            inner.head = last.position;
        }
        inner.records.extend(records);
        let extra = inner.records.len().saturating_sub(MOST);
        inner.records.drain(..extra);
    }

    /// Forgets most of what was published.
    pub(crate) fn published(&self, top: Position) {
        let mut inner = self.inner_mut();
        let done = inner.records.partition_point(|r| r.position <= top);
        inner.records.drain(..done.saturating_sub(KEPT));
    }

    /// At most `limit` records in `(after, up_to]` that are `wanted`; none when they do not reach back that far.
    pub(crate) fn read(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Option<Vec<Arc<Record>>> {
        let inner = self.inner();
        if after >= inner.head {
            return Some(Vec::new());
        }
        if inner.records.front().is_none_or(|first| first.position.0 > after.0 + 1) {
            return None;
        }
        let start = inner.records.partition_point(|r| r.position <= after);
        let found = inner.records.range(start..).take_while(|r| r.position <= up_to);
        Some(found.filter(|r| wanted(r)).take(limit).cloned().collect())
    }

    fn inner(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner_mut(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
