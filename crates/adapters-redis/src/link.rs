//! One client and its health: commands, scripts, and a watchdog that replaces a connection which has gone silent. What is
//! asked and what the answers mean lives with who asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface as _};
use fred::prelude::Value;
use fred::types::config::Options;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand};
use tokio::time::Instant;

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long is waited for a connection to be replaced; the driver goes on by itself.
const REPLACE_WITHIN: Duration = Duration::from_secs(1);

/// A script and, once the server knows it, the name that it goes by.
pub(crate) struct Script {
    text: &'static str,
    digest: OnceLock<String>,
}

impl Script {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }
}

/// One client.
pub(crate) struct Link {
    client: Client,
    /// What it is for, in logs and metrics.
    role: &'static str,
    hash: ClusterHash,
    connecting: Mutex<Option<ConnectHandle>>,
    /// How often its connection was lost.
    losses: AtomicU64,
    heard: Mutex<Instant>,
}

impl Link {
    /// Connects `client`, or says why that does not work.
    pub(crate) async fn open(
        client: Client,
        role: &'static str,
        slot: Option<u16>,
        within: Duration,
    ) -> Result<Arc<Self>, Error> {
        let Ok(connected) = tokio::time::timeout(within, client.init()).await else {
            let _ = tokio::time::timeout(LOOK_EVERY, client.quit()).await;
            return Err(Error::new(ErrorKind::Timeout, "no answer in time"));
        };
        let connecting = connected?;
        Ok(Arc::new(Self {
            client,
            role,
            hash: slot.map_or(ClusterHash::FirstKey, ClusterHash::Custom),
            connecting: Mutex::new(Some(connecting)),
            losses: AtomicU64::new(0),
            heard: Mutex::new(Instant::now()),
        }))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How often its connection was lost or made anew. While this stays the same, so does the server behind it.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// How long ago the server answered last.
    pub(crate) fn silence(&self) -> Duration {
        lock(&self.heard).elapsed()
    }

    /// One command with its arguments.
    pub(crate) async fn call(&self, command: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.heed(self.client.custom(self.command(command, false), args).await)
    }

    /// One command with many lists of arguments, sent at once.
    pub(crate) async fn call_all(&self, command: &'static str, calls: Vec<Vec<Value>>) -> Result<Vec<Value>, Error> {
        let pipeline = self.client.pipeline();
        for args in calls {
            let _: () = pipeline.custom(self.command(command, false), args).await?;
        }
        match self.heed(pipeline.all().await)? {
            Value::Array(answers) => Ok(answers),
            one => Ok(vec![one]),
        }
    }

    /// One command that waits in the server for up to `wait`.
    pub(crate) async fn wait(&self, command: &'static str, args: Vec<Value>, wait: Duration) -> Result<Value, Error> {
        let options = Options { timeout: Some(wait), ..Options::default() };
        let answer = self.client.with_options(&options).custom(self.command(command, true), args).await;
        if matches!(&answer, Err(error) if *error.kind() == ErrorKind::Timeout) && self.client.is_connected() {
            // Nobody else looks after a connection on which a command waits.
            self.replace("no answer to a waiting command").await;
        }
        self.heed(answer)
    }

    /// Runs a script; teaches it to the server where it does not know it.
    pub(crate) async fn run(&self, script: &Script, keys: Vec<String>, args: Vec<Value>) -> Result<Value, Error> {
        self.run_with(&self.client, script, keys, args).await
    }

    /// Runs a script if that takes no longer than `within`; fails at once without a connection.
    pub(crate) async fn run_within(
        &self,
        within: Duration,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let options = Options { timeout: Some(within), fail_fast: true, ..Options::default() };
        self.run_with(&self.client.with_options(&options), script, keys, args).await
    }

    async fn run_with<C: ClientLike>(
        &self,
        client: &C,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let invocation = |digest: &str| {
            let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
            let mut all: Vec<Value> = vec![digest.into(), count.into()];
            all.extend(keys.iter().map(|key| key.as_str().into()));
            all.extend(args.iter().cloned());
            all
        };
        if let Some(digest) = script.digest.get() {
            let answer = client.custom(self.command("EVALSHA", false), invocation(digest)).await;
            if !matches!(&answer, Err(error) if error.details().starts_with("NOSCRIPT")) {
                return self.heed(answer);
            }
        }
        // Unknown there: a new server, or a new process. Nothing has run.
        let load: Vec<Value> = vec!["LOAD".into(), script.text.into()];
        let digest: String = self.heed(client.custom(self.command("SCRIPT", false), load).await)?;
        let digest = script.digest.get_or_init(|| digest);
        self.heed(client.custom(self.command("EVALSHA", false), invocation(digest)).await)
    }

    fn command(&self, name: &'static str, blocking: bool) -> CustomCommand {
        CustomCommand::new_static(name, self.hash.clone(), blocking)
    }

    /// Every answer that the server itself gave is a sign of life.
    fn heed<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        let is_from_here = matches!(
            &answer,
            Err(error) if matches!(
                error.kind(),
                ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Backpressure | ErrorKind::Routing
            )
        );
        if !is_from_here {
            *lock(&self.heard) = Instant::now();
        }
        answer
    }

    /// Watches: counts losses, and replaces a connection that is silent for longer than `silence`. A link
    /// that waits in the server (`asks` is false) is not asked whether it lives; whoever waits there looks after it.
    pub(crate) async fn watch(self: Arc<Self>, silence: Duration, asks: bool) {
        let (mut errors, mut reconnects) = (self.client.error_rx(), self.client.reconnect_rx());
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_lost = false;
        loop {
            tokio::select! {
                biased;
                error = errors.recv() => {
                    self.losses.fetch_add(1, Ordering::AcqRel);
                    // Each attempt to connect again fails with an error, too.
                    if let Ok((error, _)) = error
                        && !std::mem::replace(&mut is_lost, true)
                    {
                        tracing::warn!(role = self.role, error = %error, "the connection to Redis is lost");
                    }
                }
                _ = reconnects.recv() => {
                    self.losses.fetch_add(1, Ordering::AcqRel);
                    *lock(&self.heard) = Instant::now();
                    metrics::counter!("lifecycle_redis_reconnects_total", "role" => self.role).increment(1);
                    is_lost = false;
                    tracing::info!(role = self.role, "connected to Redis again");
                }
                _ = looks.tick() => self.look(silence, asks).await,
            }
        }
    }

    async fn look(&self, silence: Duration, asks: bool) {
        let has_ended = lock(&self.connecting).as_ref().is_none_or(ConnectHandle::is_finished);
        if has_ended {
            // The driver gives up for good on what it takes for a wrong setting, such as a changed password.
            tracing::warn!(role = self.role, "the connection to Redis has ended and is made anew");
            *lock(&self.connecting) = Some(self.client.connect());
            return;
        }
        if !asks || !self.client.is_connected() {
            return;
        }
        let options = Options { timeout: Some(silence), fail_fast: true, ..Options::default() };
        let answer: Result<Value, Error> = self.client.with_options(&options).ping(None).await;
        let _ = self.heed(answer);
        if self.silence() >= silence && self.client.is_connected() {
            self.replace("no reply for too long").await;
        }
    }

    async fn replace(&self, why: &'static str) {
        tracing::warn!(role = self.role, why, "the connection to Redis is replaced");
        metrics::counter!("lifecycle_redis_replaced_total", "role" => self.role).increment(1);
        *lock(&self.heard) = Instant::now();
        // First: nobody is to trust the next connection as if it were this one.
        self.losses.fetch_add(1, Ordering::AcqRel);
        if let Ok(Err(error)) = tokio::time::timeout(REPLACE_WITHIN, self.client.force_reconnection()).await {
            tracing::warn!(role = self.role, error = %error, "the connection to Redis cannot be replaced");
        }
    }

    /// Ends it in an orderly way, or after a moment anyway.
    pub(crate) async fn close(&self, within: Duration) {
        if let Ok(Err(error)) = tokio::time::timeout(within, self.client.quit()).await {
            tracing::debug!(role = self.role, error = %error, "the connection to Redis was gone already");
        }
        if let Some(connecting) = lock(&self.connecting).take() {
            connecting.abort();
        }
    }
}

/// What these locks protect is whole at every instant, also after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
