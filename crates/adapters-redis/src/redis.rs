//! Redis as a whole: its connections, its background tasks, and a maker for each port. What each port does lives beside
//! this.

use std::sync::Arc;
use std::time::Duration;

use ports::dead_letters::DeadLetters;
use ports::feed::Outbox;
use ports::journal::Position;
use ports::limits::{LimitSettings, RateLimiter};
use ports::upkeep::Upkeep;
use ports::wakeups::Wakeups;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::RedisCache;
use crate::checks::{self, Finding};
use crate::connect::{ConnectError, Connector};
use crate::dead_letter_stream::MirroredDeadLetters;
use crate::ears::Ears;
use crate::inbound::RedisInbound;
use crate::limits::RedisRateLimiter;
use crate::link::Link;
use crate::marks::Marks;
use crate::names::Names;
use crate::publisher::RedisPublisher;
use crate::settings::{Address, RedisSettings};
use crate::streams::RedisStreams;
use crate::upkeep::{InboundUpkeep, OutboundUpkeep, Trimmer};
use crate::wakeups::SharedWakeups;

/// How long an orderly end of a connection may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// How long after its panic a task is started again.
const START_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// One Redis, or one cluster of them. End it with [`Redis::close`].
pub struct Redis {
    settings: RedisSettings,
    names: Names,
    findings: Vec<Finding>,
    /// For everything that is answered at once.
    commands: Arc<Link>,
    /// For what waits in the server.
    reader: Arc<Link>,
    /// For what others call out.
    listener: Arc<Link>,
    inbound: Arc<RedisInbound>,
    marks: Arc<Marks>,
    ears: Arc<Ears>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Redis {
    /// Connects, checks whether this Redis will do, and starts what runs in the background until `stop` or
    /// [`Redis::close`].
    ///
    /// # Errors
    /// [`ConnectError`] says which setting to look at.
    pub async fn connect(settings: RedisSettings, stop: &CancellationToken) -> Result<Arc<Self>, ConnectError> {
        let mut opened = Vec::new();
        let started = Self::start(settings, stop, &mut opened).await;
        if started.is_err() {
            for link in opened {
                link.close(CLOSE_WITHIN).await;
            }
        }
        started
    }

    async fn start(
        settings: RedisSettings,
        stop: &CancellationToken,
        opened: &mut Vec<Arc<Link>>,
    ) -> Result<Arc<Self>, ConnectError> {
        let address = Address::of(&settings.url)?;
        let names = Names::new(&settings.prefix, address.cluster)?;
        let connector = Connector::new(&settings, &address)?;
        let within = settings.connect_timeout * 2;
        let mut open = async |client, role| {
            let link =
                Link::open(client, role, names.slot(), within).await.map_err(|error| connector.explain(error))?;
            opened.push(Arc::clone(&link));
            Ok::<_, ConnectError>(link)
        };
        let commands = open(connector.client()?, "commands").await?;
        let findings = checks::look(&commands, settings.allow_eviction).await?;
        let reader = open(connector.client()?, "reader").await?;
        let listener = open(connector.listener()?, "listener").await?;
        let inbound = Arc::new(RedisInbound::new(Arc::clone(&commands), Arc::clone(&reader), &names));
        inbound.ensure_group().await.map_err(|error| connector.explain(error))?;
        let marks = Marks::new(Arc::clone(&commands), &names);
        // In what is called out, words end at white space.
        let instance = settings.instance.replace(char::is_whitespace, "_");
        let ears = Ears::new(Arc::clone(&listener), Arc::clone(&marks), &names, &instance);
        ears.open().await.map_err(|error| connector.explain(error))?;
        marks.look().await;
        let (tasks, stop) = (TaskTracker::new(), stop.child_token());
        let settings = RedisSettings { instance, ..settings };
        let redis = Self { settings, names, findings, commands, reader, listener, inbound, marks, ears, tasks, stop };
        for (link, asks) in [(&redis.commands, true), (&redis.reader, false), (&redis.listener, true)] {
            let (link, silence) = (Arc::clone(link), redis.settings.silence);
            redis.until_stopped("redis connection", move || Arc::clone(&link).watch(silence, asks));
        }
        let (marks, ears) = (Arc::clone(&redis.marks), Arc::clone(&redis.ears));
        redis.until_stopped("redis marks", move || Arc::clone(&marks).keep_looking());
        redis.until_stopped("redis hints", move || Arc::clone(&ears).listen());
        Ok(Arc::new(redis))
    }

    /// Runs a task in the background. It is given up wherever it waits: a server that does not answer holds up no end. One
    /// that panics is started again; all of them can begin anew at any time.
    fn until_stopped<F>(&self, name: &'static str, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let mut running = task();
        self.tasks.spawn(async move {
            while tokio::spawn(stop.clone().run_until_cancelled_owned(running)).await.is_err() {
                metrics::counter!("lifecycle_task_restarts_total", "task" => name).increment(1);
                tracing::error!(task = name, "a task panicked; it is started again");
                tokio::time::sleep(START_AGAIN_AFTER).await;
                running = task();
            }
        });
    }

    /// What was noticed about this Redis at the start.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How long ago Redis answered last; it is asked each second.
    pub fn silence(&self) -> Duration {
        self.commands.silence()
    }

    /// Events from other services.
    pub fn inbound(&self) -> Arc<RedisInbound> {
        Arc::clone(&self.inbound)
    }

    /// Who tells the world.
    pub fn publisher(&self) -> Arc<RedisPublisher> {
        Arc::new(RedisPublisher::new(Arc::clone(&self.commands), Arc::clone(&self.marks), &self.names))
    }

    /// What the streams hold.
    pub fn streams(&self) -> Arc<RedisStreams> {
        Arc::new(RedisStreams::new(Arc::clone(&self.commands), self.names.clone()))
    }

    /// The last published position, as far as this process knows; it goes back when Redis has lost what it was told.
    pub fn marks(&self) -> watch::Receiver<Position> {
        self.marks.subscribe()
    }

    /// Hints to all processes, those of this one by `local`.
    pub fn wakeups(&self, local: Arc<dyn Wakeups>) -> Arc<SharedWakeups> {
        self.ears.tell(Arc::clone(&local));
        let shared = SharedWakeups::new(local);
        let (calling, link) = (Arc::clone(&shared), Arc::clone(&self.commands));
        let (names, me) = (self.names.clone(), self.settings.instance.clone());
        self.until_stopped("redis calls", move || {
            Arc::clone(&calling).call_out(Arc::clone(&link), names.clone(), me.clone())
        });
        shared
    }

    /// Campaigns at hand, for all processes.
    pub fn cache(&self) -> Arc<RedisCache> {
        Arc::new(RedisCache::new(Arc::clone(&self.commands), self.names.clone(), &self.settings))
    }

    /// Rate limits of all processes together; `alone` counts while Redis does not answer.
    pub fn limiter(&self, limits: LimitSettings, alone: Arc<dyn RateLimiter>) -> Arc<RedisRateLimiter> {
        let wait = self.settings.limit_wait;
        Arc::new(RedisRateLimiter::new(Arc::clone(&self.commands), self.names.clone(), limits, wait, alone))
    }

    /// `letters`, told to other services as well.
    pub fn dead_letters(&self, letters: Arc<dyn DeadLetters>) -> Arc<MirroredDeadLetters> {
        Arc::new(MirroredDeadLetters::new(letters, Arc::clone(&self.commands), &self.names))
    }

    /// What keeps the streams small, by hand.
    pub fn trimmer(&self) -> Arc<Trimmer> {
        let RedisSettings { inbound_history, dead_letter_history, .. } = self.settings;
        let link = Arc::clone(&self.commands);
        Arc::new(Trimmer::new(link, self.names.clone(), inbound_history, dead_letter_history))
    }

    /// What one instance does for all, now and then; the outbound streams are kept as far back as `outbox` reaches.
    pub fn upkeep(&self, outbox: Arc<dyn Outbox>) -> Vec<Arc<dyn Upkeep>> {
        let trimmer = self.trimmer();
        vec![Arc::new(InboundUpkeep(Arc::clone(&trimmer))), Arc::new(OutboundUpkeep(trimmer, outbox))]
    }

    /// Ends the background tasks and the connections.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        tokio::join!(
            self.reader.close(CLOSE_WITHIN),
            self.listener.close(CLOSE_WITHIN),
            self.commands.close(CLOSE_WITHIN)
        );
    }
}
