//! Campaigns as they once were, folded from their journal.

use domain::{Campaign, CampaignKey, Step, fold};
use ports::PortError;
use ports::feed::MAX_READ;
use ports::journal::{Entry, Position};
use ports::query::Queries;

/// The campaign as it was at `version`; none when it never had that version.
pub(crate) async fn campaign_at(
    queries: &dyn Queries,
    key: &CampaignKey,
    version: u64,
) -> Result<Option<Campaign>, PortError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut after = Position::START;
    loop {
        let page = queries.history(key, after, MAX_READ).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for record in page {
            if let Entry::Step(step) = record.fact.entry
                && step.step.sequence <= version
            {
                steps.push(step.step);
            }
        }
        if steps.last().is_some_and(|s| s.sequence == version) {
            break;
        }
    }
    if steps.last().is_none_or(|s| s.sequence != version) {
        return Ok(None);
    }
    fold(key, &steps)
        .map(Some)
        .map_err(|error| PortError::Corrupt { what: "the journal", detail: format!("{key}: {error}") })
}
