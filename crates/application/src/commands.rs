//! Commands from outside: queued, batched, committed, answered.

use std::sync::Arc;
use std::time::Duration;

use domain::{Campaign, CampaignKey, Command, CommandId};
use failpoints::Point;
use ports::cache::Cache;
use ports::clock::Ids;
use ports::journal::Actor;
use ports::query::Queries;
use ports::store::{InboxEntry, MAX_BATCH, Outcome, Store};
use ports::{PortError, Written};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::FIRST_VERSION;
use crate::Policies;
use crate::command_batch::{CommandBatch, Decided, Verdict};
use crate::history::campaign_at;

/// One command as it comes from outside.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// The campaign that it is about.
    pub key: CampaignKey,
    /// The sender's id of it; made by us when the sender gave none.
    pub id: CommandId,
    /// Whether the id is the sender's, so that it may come again: its answer is remembered.
    pub remember: bool,
    /// A digest of its content.
    pub fingerprint: [u8; 32],
    /// What it asks for.
    pub command: Command,
    /// The version that the sender decided on.
    pub expected_version: Option<u64>,
    /// Who asks.
    pub actor: Actor,
    /// What the sender follows it by.
    pub correlation: Option<String>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its outcome; for a command that came again, the first one.
    pub outcome: Outcome,
    /// The campaign after it (for a command that came again: as it was then). None when there is no such campaign.
    pub campaign: Option<Arc<Campaign>>,
    /// Whether it came again.
    pub replayed: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The id was used for a command with other content.
    #[error("this command id was used before for a different command")]
    KeyReused,
    /// Too many commands wait already; come back later. Nothing happened.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The service is stopping. Nothing happened.
    #[error("the service is stopping")]
    Stopping,
    /// The command cannot be processed: it failed alone, too. Nothing happened.
    #[error("the command cannot be processed: {0}")]
    Poison(String),
    /// The store failed.
    #[error(transparent)]
    Store(Arc<PortError>),
}

impl From<PortError> for SubmitError {
    fn from(error: PortError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// Limits of the command queue.
#[derive(Debug, Clone, Copy)]
pub struct CommandSettings {
    /// How many requests may wait; a batch of commands is one.
    pub queue: usize,
    /// How many go into one commit, at most [`MAX_BATCH`].
    pub batch: usize,
    /// How long one may wait to be begun. Beyond it nobody may be there any more who wants the answer.
    pub wait: Duration,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self { queue: 10_000, batch: 500, wait: Duration::from_secs(3) }
    }
}

struct Waiting {
    request: CommandRequest,
    answer: oneshot::Sender<Decided>,
}

/// Commands that are decided in one commit, in order, or not at all; at most a batch.
struct Group {
    waiting: Vec<Waiting>,
    /// From then on nothing is begun for them. None for what was accepted already, as an event is.
    until: Option<Instant>,
}

/// Takes commands.
pub struct Commands {
    queue: mpsc::Sender<Group>,
    queries: Arc<dyn Queries>,
    batch: usize,
    wait: Duration,
}

/// Handles the commands that [`Commands`] takes.
pub struct CommandWorker {
    queue: mpsc::Receiver<Group>,
    store: Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    ids: Arc<dyn Ids>,
    policies: Arc<Policies>,
    batch: usize,
}

/// How often a batch is tried again at once when its outcome is not known or somebody else came first.
const QUICK_RETRIES: u32 = 5;

impl Commands {
    /// The two ends of the command queue: the worker must be [run](CommandWorker::run).
    pub fn new(
        store: Arc<dyn Store>,
        queries: Arc<dyn Queries>,
        cache: Arc<dyn Cache>,
        ids: Arc<dyn Ids>,
        policies: Arc<Policies>,
        settings: CommandSettings,
    ) -> (Self, CommandWorker) {
        let (sender, receiver) = mpsc::channel(settings.queue.max(1));
        let batch = settings.batch.clamp(1, MAX_BATCH);
        let wait = settings.wait;
        (
            Self { queue: sender, queries, batch, wait },
            CommandWorker { queue: receiver, store, cache, ids, policies, batch },
        )
    }

    /// The share of the queue that is taken, 0 to 1.
    pub fn fill(&self) -> f64 {
        let free = self.queue.capacity();
        let all = self.queue.max_capacity();
        #[expect(clippy::cast_precision_loss, reason = "a queue has far fewer than 2^52 places")]
        let fill = (all - free) as f64 / all as f64;
        fill
    }

    /// Handles one command; refuses it at once when too many wait, and when it has waited for too long.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, request: CommandRequest) -> Result<Answer, SubmitError> {
        let (answer, verdict) = oneshot::channel();
        let group = Group { waiting: vec![Waiting { request, answer }], until: Some(Instant::now() + self.wait) };
        self.queue.try_send(group).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopping,
        })?;
        self.answer(verdict.await.unwrap_or(Err(SubmitError::Stopping))).await
    }

    /// Handles many, in order, waiting for room in the queue; one answer each, in their order. As many as fit into one
    /// batch are committed together; when one of them fails or waits for too long, none after that batch is tried.
    pub async fn submit_all(&self, requests: Vec<CommandRequest>) -> Vec<Result<Answer, SubmitError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for verdict in self.verdicts(requests, Some(self.wait)).await {
            answers.push(self.answer(verdict).await);
        }
        answers
    }

    /// The same for what was accepted already, and waits for as long as it takes. No campaign is looked up.
    pub(crate) async fn settle_all(&self, requests: Vec<CommandRequest>) -> Vec<Result<Outcome, SubmitError>> {
        let settled = self.verdicts(requests, None).await.into_iter().map(|verdict| match verdict? {
            Verdict::Decided { outcome, .. } | Verdict::Remembered(InboxEntry { outcome, .. }) => Ok(outcome),
        });
        settled.collect()
    }

    async fn verdicts(&self, requests: Vec<CommandRequest>, wait: Option<Duration>) -> Vec<Decided> {
        let mut answers: Vec<Decided> = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let (waiting, verdicts): (Vec<_>, Vec<_>) = requests
                .by_ref()
                .take(self.batch)
                .map(|request| {
                    let (answer, verdict) = oneshot::channel();
                    (Waiting { request, answer }, verdict)
                })
                .unzip();
            // A closed queue drops the group, and with it the senders of the verdicts.
            let until = wait.map(|wait| Instant::now() + wait);
            let _ = self.queue.send(Group { waiting, until }).await;
            let mut failed = None;
            for verdict in verdicts {
                let answer = verdict.await.unwrap_or(Err(SubmitError::Stopping));
                if let Err(error @ (SubmitError::Store(_) | SubmitError::Overloaded)) = &answer {
                    failed = Some(error.clone());
                }
                answers.push(answer);
            }
            // Of two commands about one campaign the second one must not go ahead of the first one.
            if let Some(error) = failed {
                answers.extend(requests.by_ref().map(|_| Err(error.clone())));
            }
        }
        answers
    }

    async fn answer(&self, verdict: Decided) -> Result<Answer, SubmitError> {
        match verdict? {
            Verdict::Decided { outcome, campaign } => Ok(Answer { outcome, campaign, replayed: false }),
            Verdict::Remembered(entry) => self.remembered(entry).await,
        }
    }

    async fn remembered(&self, entry: InboxEntry) -> Result<Answer, SubmitError> {
        let InboxEntry { key, outcome, .. } = entry;
        let campaign = match &outcome {
            Outcome::Applied { version } | Outcome::Unchanged { version } => {
                campaign_at(self.queries.as_ref(), &key, *version).await.map_err(not_denying)?.map(Arc::new)
            }
            Outcome::Rejected { .. } => None,
        };
        Ok(Answer { outcome, campaign, replayed: true })
    }
}

impl CommandWorker {
    /// Handles commands until `shutdown`, and then those that already wait.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                first = self.queue.recv() => first,
            };
            let Some(first) = first else { return };
            self.process_with_others(first).await;
        }
        self.queue.close();
        while let Some(first) = self.queue.recv().await {
            self.process_with_others(first).await;
        }
    }

    /// Commits `first` together with what else waits, as far as it fits.
    async fn process_with_others(&mut self, first: Group) {
        let mut next = Some(first);
        while let Some(first) = next.take() {
            let mut batch = first.in_time();
            while batch.len() < self.batch
                && let Ok(group) = self.queue.try_recv()
            {
                if batch.len() + group.waiting.len() > self.batch {
                    next = Some(group); // the next commit begins with it
                    break;
                }
                batch.extend(group.in_time());
            }
            if !batch.is_empty() {
                self.process(batch).await;
            }
        }
    }

    /// Commits a batch. One that the store refuses is split until the bad command stands alone.
    async fn process(&self, batch: Vec<Waiting>) {
        failpoints::pass(Point::CommandTaken);
        let mut portions = vec![batch];
        while let Some(mut batch) = portions.pop() {
            let requests: Vec<_> = batch.iter().map(|w| w.request.clone()).collect();
            match self.commit(requests).await {
                Ok(verdicts) => {
                    for (waiting, verdict) in batch.into_iter().zip(verdicts) {
                        count(&waiting.request, outcome_of(&verdict));
                        // Whoever asked may have gone; the commit stands.
                        let _ = waiting.answer.send(verdict);
                    }
                }
                Err(error) if !error.may_retry() && batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    portions.push(second);
                    portions.push(batch);
                }
                Err(error) => {
                    let error = if error.may_retry() {
                        SubmitError::from(error)
                    } else {
                        SubmitError::Poison(error.to_string())
                    };
                    tracing::warn!(commands = batch.len(), %error, "commands failed");
                    for waiting in batch {
                        let _ = waiting.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    async fn commit(&self, requests: Vec<CommandRequest>) -> Result<Vec<Decided>, PortError> {
        // What nobody remembers must not run twice when the first outcome is not known.
        let may_repeat = requests.iter().all(|r| r.remember);
        let decision = Arc::new(CommandBatch::new(requests, Arc::clone(&self.policies), Arc::clone(&self.ids)));
        let mut tries = 0;
        let mut doubt = None;
        loop {
            match self.store.transact(decision.scope(), decision.clone()).await {
                Ok(_) => break,
                Err(error) => {
                    let again = match &error {
                        PortError::Contended { .. } => true,
                        PortError::Unknown { .. } => may_repeat,
                        PortError::Unavailable { .. } | PortError::Refused { .. } | PortError::Corrupt { .. } => false,
                    };
                    tries += 1;
                    if !again || tries > QUICK_RETRIES {
                        // That this try wrote nothing says nothing of an earlier one.
                        return Err(doubt.filter(|_| error.may_retry()).unwrap_or(error));
                    }
                    if error.written() == Written::Unknown {
                        doubt = Some(error);
                    }
                    tokio::time::sleep(Duration::from_millis(5 << tries)).await;
                }
            }
        }
        failpoints::pass(Point::CommandCommitted);
        let mut verdicts = decision.verdicts();
        if let Some(doubt) = doubt.map(SubmitError::from) {
            // That this try passed a campaign by says nothing of an earlier one, which may be what holds it.
            for verdict in &mut verdicts {
                if matches!(verdict, Err(SubmitError::Store(_))) {
                    *verdict = Err(doubt.clone());
                }
            }
        }
        // Before anybody is answered: who reads after writing must not meet an older campaign.
        self.cache.put(changed_campaigns(&verdicts)).await;
        Ok(verdicts)
    }
}

impl Group {
    /// Who has not waited for too long. The others are told that nothing happened, while they still listen.
    fn in_time(self) -> Vec<Waiting> {
        if self.until.is_none_or(|until| Instant::now() < until) {
            return self.waiting;
        }
        for waiting in self.waiting {
            count(&waiting.request, "given_up");
            let _ = waiting.answer.send(Err(SubmitError::Overloaded));
        }
        Vec::new()
    }
}

/// A read that failed after the command was done: the error must not say that nothing was.
fn not_denying(error: PortError) -> PortError {
    if error.may_retry() { PortError::Unknown { what: "the store", source: Box::new(error) } } else { error }
}

/// Those of which somebody may have kept an older one; of a new campaign there is none.
fn changed_campaigns(verdicts: &[Decided]) -> Vec<Arc<Campaign>> {
    let changed = verdicts.iter().filter_map(|verdict| match verdict {
        Ok(Verdict::Decided { outcome: Outcome::Applied { .. }, campaign }) => campaign.clone(),
        Ok(Verdict::Decided { .. } | Verdict::Remembered(_)) | Err(_) => None,
    });
    changed.filter(|campaign| campaign.version > FIRST_VERSION).collect()
}

/// An outcome as metrics have it.
fn outcome_of(verdict: &Decided) -> &'static str {
    match verdict {
        Ok(Verdict::Decided { outcome: Outcome::Applied { .. }, .. }) => "applied",
        Ok(Verdict::Decided { outcome: Outcome::Unchanged { .. }, .. }) => "unchanged",
        Ok(Verdict::Decided { outcome: Outcome::Rejected { .. }, .. }) => "rejected",
        Ok(Verdict::Remembered(_)) => "duplicate",
        Err(SubmitError::KeyReused) => "key_reused",
        Err(SubmitError::Store(_)) => "busy",
        Err(SubmitError::Poison(_) | SubmitError::Overloaded | SubmitError::Stopping) => "failed",
    }
}

fn count(request: &CommandRequest, outcome: &'static str) {
    metrics::counter!("lifecycle_commands_total", "command" => request.command.name(), "outcome" => outcome)
        .increment(1);
}
