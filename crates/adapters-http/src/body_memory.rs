//! How much memory the bodies of all requests that are under way take together. How much one may take lives in `request`.

use application::SubmitError;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::ApiError;

/// The most bytes of all bodies together; callers beyond it are told to come back. It is the process' memory that is shared,
/// and so is this.
const MOST: usize = 64 * 1024 * 1024;

static FREE: Semaphore = Semaphore::const_new(MOST);

/// One request's share; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<SemaphorePermit<'static>>);

impl Share {
    /// Takes so many bytes more. Never waits: who waited would hold what it has.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let more = u32::try_from(bytes).ok().and_then(|bytes| FREE.try_acquire_many(bytes).ok());
        let Some(more) = more else {
            metrics::counter!("lifecycle_http_bodies_refused_total").increment(1);
            return Err(SubmitError::Overloaded.into());
        };
        match &mut self.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}
