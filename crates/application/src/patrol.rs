//! The proof that never ends: while the service runs, one instance goes over all campaigns, the audit chain and the streams
//! again and again, little by little. What it finds is told loudly and stops nothing. What is checked lives in `proof`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::invariants::Invariant;
use domain::{CampaignKey, JsonText, TenantId, Timestamp};
use ports::PortError;
use ports::clock::Clock;
use ports::feed::MAX_READ;
use ports::journal::{Actor, Position};
use ports::leases::Leases;
use ports::query::Queries;
use ports::verification::Verification;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::claim::{Claim, Standing};
use crate::heartbeat::Heartbeat;
use crate::notices::Notices;
use crate::proof::{self, Found, Telling};

/// How often a little is checked.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// How often the chain's head is noted, and the one noted before is looked for.
const NOTE_EVERY: Duration = Duration::from_mins(1);
/// The most violations that are told one by one, and looked for again, in one round over one ground; all are counted.
const TOLD: usize = 20;
/// So often, a second apart, something must be wrong in the streams before it is believed.
const SUSPECTED: u32 = 5;
/// A look for commands with two effects sorts so many records at the log's end: what it costs does not grow with the log.
const COMMANDS_WITHIN: u64 = 20_000;

/// How much is checked.
#[derive(Debug, Clone, Copy)]
pub struct PatrolSettings {
    /// At most so many campaigns a second; 0 checks none.
    pub campaigns_per_second: usize,
    /// At most so many links of the chain, and as many records against the streams, a second; 0 checks none.
    pub records_per_second: usize,
    /// A round that ends sooner waits until the next one may begin.
    pub every: Duration,
    /// How long a command's id is remembered.
    pub memory: Duration,
}

/// What the patrol works with.
#[derive(Clone)]
pub struct PatrolParts {
    /// The store.
    pub verification: Arc<dyn Verification>,
    /// What the world was told; none where nobody keeps it.
    pub telling: Option<Telling>,
    /// Where the log ends.
    pub queries: Arc<dyn Queries>,
    /// Says who patrols.
    pub leases: Arc<dyn Leases>,
    /// Tells what is found.
    pub notices: Notices,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Something that is gone over again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// Every campaign: INV-1 to INV-5, INV-7, INV-8.
    Campaigns,
    /// Every link of the audit chain: INV-6.
    Chain,
    /// Everything that the world was told: INV-6.
    Streams,
}

impl Ground {
    /// Its name in metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Campaigns => "campaigns",
            Self::Chain => "chain",
            Self::Streams => "streams",
        }
    }
}

/// How far one ground is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroundReport {
    /// Checked in the round that goes on, or in the last one.
    pub checked: u64,
    /// Rounds that this instance finished.
    pub rounds: u64,
    /// When the last one ended.
    pub last_round: Option<Timestamp>,
}

/// What the patrol of this instance did and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatrolReport {
    /// How far it is.
    pub grounds: BTreeMap<Ground, GroundReport>,
    /// The violations that the last look everywhere found.
    pub violations: BTreeMap<Invariant, u64>,
    /// The last head of the audit chain that it noted: its position, its hash in hex, and when.
    pub head: Option<(Position, String, Timestamp)>,
}

/// Checks again and again.
pub struct Patrol {
    parts: PatrolParts,
    settings: PatrolSettings,
    /// This instance's name.
    holder: String,
    heartbeat: Heartbeat,
    report: Mutex<Option<PatrolReport>>,
}

impl Patrol {
    /// A patrol, not yet at work.
    pub fn new(parts: PatrolParts, settings: PatrolSettings, holder: String, heartbeat: Heartbeat) -> Self {
        Self { parts, settings, holder, heartbeat, report: Mutex::new(None) }
    }

    /// What it did and found; none while another instance patrols.
    pub fn report(&self) -> Option<PatrolReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Patrols until `shutdown`, while that is this instance's to do.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut claim = Claim::new(Arc::clone(&self.parts.leases), "verification", &self.holder);
        let mut rounds = None;
        while !shutdown.is_cancelled() {
            let step = async {
                match claim.standing().await? {
                    // Nobody knows how far somebody else came: it begins anew.
                    Standing::New => rounds = Some(Rounds::default()),
                    Standing::Kept => {}
                    Standing::None => rounds = None,
                }
                match &mut rounds {
                    Some(rounds) => self.step(rounds).await,
                    None => Ok(()),
                }
            };
            // Half a step is done again.
            if let Some(Err(error)) = shutdown.run_until_cancelled(step).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the patrol waits");
            }
            self.show(rounds.as_ref());
            self.heartbeat.beat(self.parts.clock.now());
            let _ = shutdown.run_until_cancelled(tokio::time::sleep(STEP_EVERY)).await;
        }
        claim.give_back().await;
    }

    /// Checks a little of everything.
    async fn step(&self, rounds: &mut Rounds) -> Result<(), PortError> {
        if self.settings.campaigns_per_second > 0 && rounds.campaigns.is_due(self.settings.every) {
            self.campaigns(&mut rounds.campaigns).await?;
        }
        if self.settings.records_per_second > 0 {
            if rounds.chain.is_due(self.settings.every) {
                self.chain(&mut rounds.chain).await?;
            }
            if let Some(telling) = &self.parts.telling
                && rounds.streams.is_due(self.settings.every)
            {
                self.streams(telling, &mut rounds.streams).await?;
            }
            if rounds.noted_at.is_none_or(|at| at.elapsed() >= NOTE_EVERY) {
                self.note(rounds).await?;
                rounds.noted_at = Some(Instant::now());
            }
        }
        Ok(())
    }

    async fn campaigns(&self, walk: &mut Walk<Option<CampaignKey>>) -> Result<(), PortError> {
        let store = &self.parts.verification;
        let files = store.case_files(walk.cursor.clone(), self.settings.campaigns_per_second).await?;
        for file in &files {
            self.tell(walk, proof::check_file(file)).await?;
        }
        walk.count(Ground::Campaigns, files.len() as u64);
        if let Some(last) = files.last() {
            walk.cursor = Some(last.key.clone());
            return Ok(());
        }
        let head = self.parts.queries.status().await?.head;
        let after = Position(head.0.saturating_sub(COMMANDS_WITHIN));
        let doubled = proof::check_commands(store.as_ref(), after, self.settings.memory).await?;
        self.tell(walk, doubled).await?;
        self.end(Ground::Campaigns, walk).await
    }

    async fn chain(&self, walk: &mut Walk<(Position, String)>) -> Result<(), PortError> {
        let (after, hash) = &walk.cursor;
        let page = self.parts.verification.check_chain(*after, hash, self.settings.records_per_second).await?;
        let (done, checked) = (page.done || page.last <= *after, page.checked);
        self.tell(walk, page.faults.iter().map(proof::lost).collect()).await?;
        walk.cursor = (page.last, page.hash);
        walk.count(Ground::Chain, checked);
        if done { self.end(Ground::Chain, walk).await } else { Ok(()) }
    }

    async fn streams(&self, telling: &Telling, walk: &mut Walk<Option<(Position, Position)>>) -> Result<(), PortError> {
        let told_now = telling.streams.told().await?;
        let (after, told) = match walk.cursor {
            Some(cursor) => cursor,
            None => (telling.outbox.begin().await?, told_now),
        };
        let page = telling.page(after, told, self.settings.records_per_second.min(MAX_READ)).await?;
        if !page.faults.is_empty() {
            // Where Redis has lost something it is told again, by itself and within moments.
            let being_told = page.last.is_some_and(|last| told_now < last);
            if being_told || walk.suspected < SUSPECTED {
                walk.suspected += u32::from(!being_told);
                return Ok(());
            }
        }
        walk.suspected = 0;
        self.tell(walk, page.found().collect()).await?;
        walk.count(Ground::Streams, page.checked);
        match page.last {
            Some(last) => walk.cursor = Some((last, told)),
            None => self.end(Ground::Streams, walk).await?,
        }
        Ok(())
    }

    /// Looks for the head that was noted before, which must still be there, and notes the present one. Who cuts the end of
    /// the log off, or writes it anew, cannot take back what this process, its log and its readers know.
    async fn note(&self, rounds: &mut Rounds) -> Result<(), PortError> {
        let store = &self.parts.verification;
        if let Some((position, hash, _)) = &rounds.head {
            let page = store.check_chain(*position, hash, 1).await?;
            let gone: Vec<Found> = page.faults.iter().filter(|f| f.position <= *position).map(proof::lost).collect();
            self.tell(&mut rounds.heads, gone).await?;
        }
        let head = self.parts.queries.status().await?.head;
        if head > Position::START && rounds.head.as_ref().is_none_or(|(noted, ..)| *noted != head) {
            let page = store.check_chain(Position(head.0 - 1), "", 1).await?;
            tracing::info!(head = %format_args!("{}:{}", page.last, page.hash), "the audit chain's head");
            rounds.head = Some((page.last, page.hash, self.parts.clock.now()));
        }
        Ok(())
    }

    /// Tells what was not told before.
    async fn tell<C>(&self, walk: &mut Walk<C>, found: Vec<Found>) -> Result<(), PortError> {
        for Found { violation, .. } in found {
            let key = (violation.invariant, violation.subject.clone());
            let is_news = !walk.before.contains(&key) && !walk.found.contains(&key);
            if is_news && walk.found.len() < TOLD {
                tracing::error!(%violation, "the stored data break an invariant");
                let detail = serde_json::json!({
                    "invariant": violation.invariant.id(),
                    "detail": violation.detail,
                });
                self.write("verification.violation", &violation.subject, &detail).await?;
            }
            *walk.counts.entry(violation.invariant).or_default() += 1;
            if walk.found.len() < TOLD {
                walk.found.insert(key);
            }
        }
        Ok(())
    }

    /// A round is over: tells what it did not find any more.
    async fn end<C: Default>(&self, ground: Ground, walk: &mut Walk<C>) -> Result<(), PortError> {
        for (invariant, subject) in walk.before.difference(&walk.found) {
            tracing::info!(invariant = invariant.id(), subject, "what was wrong is right again");
            self.write("verification.cleared", subject, &serde_json::json!({ "invariant": invariant.id() })).await?;
        }
        let now = self.parts.clock.now();
        walk.end(now);
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        metrics::gauge!("lifecycle_verification_last_round_timestamp_seconds", "what" => ground.as_str())
            .set(now.timestamp() as f64);
        Ok(())
    }

    async fn write(&self, name: &str, subject: &str, detail: &serde_json::Value) -> Result<(), PortError> {
        let detail = JsonText::new(&detail.to_string()).unwrap_or_else(|_| JsonText::empty());
        self.parts.notices.write(TenantId::service(), Actor::system(), name, subject, detail).await
    }

    /// Shows how far it is, and what is wrong.
    fn show(&self, rounds: Option<&Rounds>) {
        let report = rounds.map(|rounds| rounds.report(&self.settings, self.parts.telling.is_some()));
        let mut shown = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.is_some() || shown.is_some() {
            for invariant in Invariant::ALL {
                let count = report.as_ref().and_then(|report| report.violations.get(&invariant)).copied();
                #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
                metrics::gauge!("lifecycle_verification_violations", "invariant" => invariant.id())
                    .set(count.unwrap_or_default() as f64);
            }
        }
        *shown = report;
    }
}

/// All that goes on.
#[derive(Default)]
struct Rounds {
    campaigns: Walk<Option<CampaignKey>>,
    chain: Walk<(Position, String)>,
    /// Where it is, and up to where it goes.
    streams: Walk<Option<(Position, Position)>>,
    /// Heads that are gone. No later look brings them back.
    heads: Walk<()>,
    head: Option<(Position, String, Timestamp)>,
    noted_at: Option<Instant>,
}

impl Rounds {
    fn report(&self, settings: &PatrolSettings, has_streams: bool) -> PatrolReport {
        let records = settings.records_per_second > 0;
        let grounds = [
            (Ground::Campaigns, settings.campaigns_per_second > 0, self.campaigns.report()),
            (Ground::Chain, records, self.chain.report()),
            (Ground::Streams, records && has_streams, self.streams.report()),
        ];
        let mut violations = BTreeMap::new();
        for counts in [self.campaigns.known(), self.chain.known(), self.streams.known(), self.heads.known()] {
            for (invariant, count) in counts {
                *violations.entry(invariant).or_default() += count;
            }
        }
        PatrolReport {
            grounds: grounds.into_iter().filter(|(_, on, _)| *on).map(|(ground, _, report)| (ground, report)).collect(),
            violations,
            head: self.head.clone(),
        }
    }
}

/// What tells one violation from another.
type Told = (Invariant, String);

/// The rounds over one ground.
#[derive(Default)]
struct Walk<C> {
    cursor: C,
    /// When this round, or the last one, began.
    began: Option<Instant>,
    /// Whether the next round waits for its time.
    rests: bool,
    progress: GroundReport,
    /// How often something was found that may pass by itself.
    suspected: u32,
    /// Violations of this round, and of the one before.
    counts: BTreeMap<Invariant, u64>,
    counts_before: BTreeMap<Invariant, u64>,
    found: BTreeSet<Told>,
    before: BTreeSet<Told>,
}

impl<C: Default> Walk<C> {
    /// Whether a round goes on, or the next one may begin.
    fn is_due(&mut self, every: Duration) -> bool {
        if self.rests && self.began.is_some_and(|began| began.elapsed() < every) {
            return false;
        }
        if self.rests || self.began.is_none() {
            self.began = Some(Instant::now());
            self.rests = false;
            self.progress.checked = 0;
        }
        true
    }

    fn end(&mut self, now: Timestamp) {
        self.cursor = C::default();
        self.rests = true;
        self.progress.rounds += 1;
        self.progress.last_round = Some(now);
        self.counts_before = std::mem::take(&mut self.counts);
        self.before = std::mem::take(&mut self.found);
    }
}

impl<C> Walk<C> {
    fn count(&mut self, ground: Ground, checked: u64) {
        self.progress.checked += checked;
        metrics::counter!("lifecycle_verification_checked_total", "what" => ground.as_str()).increment(checked);
    }

    fn report(&self) -> GroundReport {
        self.progress.clone()
    }

    /// What is known to be wrong: until a round is over, what the one before it found counts as well.
    fn known(&self) -> BTreeMap<Invariant, u64> {
        let mut known = self.counts_before.clone();
        for (invariant, count) in &self.counts {
            let at_least = known.entry(*invariant).or_default();
            *at_least = (*at_least).max(*count);
        }
        known
    }
}
