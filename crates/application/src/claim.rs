//! One instance's claim to something that only one may do at a time, kept by asking again in good time.

use std::sync::Arc;
use std::time::Duration;

use ports::PortError;
use ports::leases::Leases;
use tokio::time::Instant;

/// How long a lease lasts: so long nobody else goes on when its holder is lost.
const LASTING: Duration = Duration::from_secs(2);
/// How often a holder asks again, and who waits for the lease looks for it.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(500);

/// A claim to one lease.
pub(crate) struct Claim {
    leases: Arc<dyn Leases>,
    name: &'static str,
    holder: String,
    /// The last yes.
    granted: Option<Instant>,
    /// The term of the last yes.
    term: u64,
}

/// What asking came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was somebody else's, or nobody's, and is ours now.
    New,
    /// It is ours as before.
    Kept,
    /// It is somebody else's.
    None,
}

impl Claim {
    pub(crate) fn new(leases: Arc<dyn Leases>, name: &'static str, holder: &str) -> Self {
        Self { leases, name, holder: holder.to_owned(), granted: None, term: 0 }
    }

    /// Whether the lease is ours; asks when the last yes is not fresh any more.
    pub(crate) async fn standing(&mut self) -> Result<Standing, PortError> {
        if self.granted.is_some_and(|at| at.elapsed() < ASK_EVERY) {
            return Ok(Standing::Kept);
        }
        // From before the question on, so that we never believe in it longer than the store does.
        let asked = Instant::now();
        let before = self.granted.take();
        let Some(term) = self.leases.hold(self.name, &self.holder, LASTING).await? else {
            if before.is_some() {
                tracing::warn!(lease = self.name, "somebody else has taken over");
            }
            return Ok(Standing::None);
        };
        self.granted = Some(asked);
        // In one term nobody else can have had it in between.
        let kept = before.is_some() && term == self.term;
        self.term = term;
        if !kept {
            tracing::info!(lease = self.name, term, "this instance holds the lease");
        }
        Ok(if kept { Standing::Kept } else { Standing::New })
    }

    /// The term in which the lease is, or was, ours. Who is served in the name of it must refuse earlier ones.
    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Gives the lease back, so that the next one need not wait for its end.
    pub(crate) async fn give_back(&mut self) {
        if self.granted.take().is_some()
            && let Err(error) = self.leases.release(self.name, &self.holder).await
        {
            tracing::warn!(lease = self.name, error = &error as &dyn std::error::Error, "a lease runs out by itself");
        }
    }
}
