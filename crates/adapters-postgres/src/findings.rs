//! What the tables keep to find a campaign and to fire its timers by, compared with the campaign's state (V3).

use diesel::prelude::*;
use domain::invariants::{Invariant, Violation};
use domain::{Campaign, CampaignKey, OwnerId, Timer, Timestamp};

use crate::rows::{TimerCore, TimerProgress, int, rank};
use crate::schema::campaigns;

/// A campaign's row with all its columns.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = campaigns)]
pub(crate) struct CampaignRow {
    pub(crate) number: i64,
    pub(crate) tenant: String,
    pub(crate) id: String,
    version: i64,
    pub(crate) status: String,
    owner: Option<String>,
    start_at: Timestamp,
    end_at: Timestamp,
    pub(crate) body: String,
}

impl CampaignRow {
    /// The columns that say something else than `campaign` does: their names, what they say, and what they must say.
    pub(crate) fn wrong_columns(
        &self,
        campaign: &Campaign,
    ) -> impl Iterator<Item = (&'static str, String, String)> + use<> {
        let window = &campaign.definition.window;
        let owner = campaign.definition.owner.as_ref().map(OwnerId::as_str);
        let time = wire::time::format;
        let columns = [
            ("version", self.version.to_string(), int(campaign.version).to_string()),
            ("status", self.status.clone(), campaign.status().as_str().to_owned()),
            ("owner", format!("{:?}", self.owner.as_deref()), format!("{owner:?}")),
            ("start_at", time(self.start_at), time(window.start())),
            ("end_at", time(self.end_at), time(window.end())),
        ];
        columns.into_iter().filter(|(_, is, must)| is != must)
    }
}

/// Collects what is found about one campaign.
pub(crate) struct Findings<'a> {
    key: &'a CampaignKey,
    pub(crate) faults: Vec<Violation>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(key: &'a CampaignKey) -> Self {
        Self { key, faults: Vec::new() }
    }

    fn add(&mut self, invariant: Invariant, detail: &str) {
        let subject = format!("campaign {}", self.key);
        self.faults.push(Violation { invariant, subject, detail: detail.to_owned() });
    }

    /// The columns by which lists and counts find a campaign.
    pub(crate) fn compare_campaign(&mut self, campaign: &Campaign, row: &CampaignRow) {
        for (column, ..) in row.wrong_columns(campaign) {
            self.add(Invariant::StateIsFold, &format!("its column {column} says something else than its state"));
        }
    }

    /// The timer in a row; none, and a fault, when it cannot be read.
    pub(crate) fn readable(&mut self, core: &TimerCore) -> Option<Timer> {
        match core.timer() {
            Ok(timer) => Some(timer),
            Err(failure) => {
                let error = failure.into_port();
                self.add(Invariant::TimersArePlan, &format!("a row of its timers cannot be read ({error})"));
                None
            }
        }
    }

    /// The columns by which the clock finds a timer.
    pub(crate) fn compare_timer(
        &mut self,
        campaign: Option<&Campaign>,
        timer: &Timer,
        tenant: &str,
        progress: &TimerProgress,
    ) {
        let held = campaign.is_none_or(|c| c.held.contains(&timer.id) == progress.held);
        let columns = [
            ("tenant", tenant == self.key.tenant.as_str()),
            ("fire_at", progress.fire_at == progress.must_fire_at(timer.due)),
            ("held", held),
            ("rank", progress.rank == rank(&timer.kind)),
        ];
        for (column, _) in columns.iter().filter(|(_, same)| !same) {
            let detail = format!(
                "column {column} of {} timer {} says something else than its state",
                timer.kind.as_str(),
                timer.id
            );
            self.add(Invariant::TimersArePlan, &detail);
        }
    }
}
