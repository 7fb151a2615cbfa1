//! The life of the process: everything starts and stops here, and every loop is watched here.
//!
//! A soft stop loses nothing: no new work is taken, what was taken is committed and answered, what was committed is
//! published. A loop that panics is started again; one that keeps panicking ends the process.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters_http::ServerSettings;
use adapters_websocket::Hub;
use application::{Consumer, Heartbeat, Housekeeper, Maintenance, Notices, Patrol, Presence, Relay, System};
use domain::{JsonText, TenantId};
use metrics_exporter_prometheus::PrometheusHandle;
use ports::clock::Clock;
use ports::instances::Instance;
use ports::journal::Actor;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::wiring::{Loops, Service};

/// How long a soft stop may take in all.
const STOP_LIMIT: Duration = Duration::from_secs(9);
/// How long live clients may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(3);
/// A loop may end early so often within [`PATIENCE`]; once more ends the process.
const RESTARTS: usize = 5;
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the metrics are kept from growing.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often a loop that only waits for others gives a sign of life.
const BEAT: Duration = Duration::from_secs(1);

/// A service that runs.
pub(crate) struct Running {
    address: SocketAddr,
    hub: Arc<Hub>,
    system: Arc<System>,
    notices: Notices,
    instance: Instance,
    /// No new work.
    intake: CancellationToken,
    intake_tasks: Vec<JoinHandle<()>>,
    /// No new commands: stopped when nobody is left who could send one.
    commands: CancellationToken,
    commands_task: JoinHandle<()>,
    /// No new facts: stopped when nobody is left who could commit one.
    relay: CancellationToken,
    relay_tasks: Vec<JoinHandle<()>>,
    /// The adapters' own loops: stopped when nobody works with them any more.
    background: CancellationToken,
    background_tasks: Vec<JoinHandle<()>>,
    failures: mpsc::Receiver<String>,
}

impl Running {
    /// Starts `service` on `listener`. It takes requests when this returns.
    pub(crate) async fn start(
        service: Service,
        listener: TcpListener,
        settings: ServerSettings,
        metrics: PrometheusHandle,
    ) -> Result<Self, Failure> {
        let address = listener.local_addr().map_err(|error| Failure::internal(&error))?;
        let (fatal, failures) = mpsc::channel(8);
        let [intake, commands, relay, background] = std::array::from_fn(|_| CancellationToken::new());
        let Service { routes, hub, system, loops, notices, instance, .. } = service;
        tell(&notices, "instance.started", &instance).await?;

        let watch = |stop: &CancellationToken| Watch { stop: stop.clone(), fatal: fatal.clone() };
        let server = adapters_http::serve(listener, routes, settings, intake.clone());
        let mut intake_tasks = vec![watch(&intake).once("http", server)];
        let Loops { commands: worker, .. } = loops;
        let commands_task = watch(&commands).once("commands", worker.run(commands.clone()));

        let ((timers, heartbeat), recovery) = (loops.timers, loops.recovery);
        intake_tasks.push(watch(&intake).always("timers", heartbeat, move |stop| {
            let (timers, recovery) = (Arc::clone(&timers), Arc::clone(&recovery));
            async move {
                // What came due while nobody was there goes first, in order and throttled.
                if recovery.last().is_none() {
                    let caught_up = stop.run_until_cancelled(recovery.run(&Actor::system())).await;
                    if let Some(Err(error)) = caught_up {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "recovery failed; timers go on without"
                        );
                    }
                }
                timers.run(stop).await;
            }
        }));
        intake_tasks.push(loops.consumer.watched("events", watch(&intake)));
        intake_tasks.push(loops.housekeeper.watched("housekeeping", watch(&intake)));
        intake_tasks.push(loops.maintenance.watched("maintenance", watch(&intake)));
        intake_tasks.push(loops.presence.watched("presence", watch(&intake)));
        intake_tasks.push(loops.patrol.watched("verification", watch(&intake)));
        intake_tasks.push(watch(&intake).once("metrics", upkeep(metrics, intake.clone())));

        let mut relay_tasks = vec![loops.relay.watched("relay", watch(&relay))];
        let mut background_tasks = Vec::new();
        for (task, heartbeat) in loops.background {
            let watch = watch(&background);
            background_tasks.push(if task.vital {
                watch.once(task.name, (task.run)(background.clone()))
            } else {
                watch.always(task.name, heartbeat, task.run)
            });
        }
        let (live, clock, heartbeat) = (Arc::clone(&hub), loops.clock, loops.live_heartbeat.clone());
        relay_tasks.push(watch(&relay).always("live", loops.live_heartbeat, move |stop| {
            let (live, clock, heartbeat) = (Arc::clone(&live), Arc::clone(&clock), heartbeat.clone());
            // The hub waits for nothing but the feed; whenever its task gets its turn, it is alive.
            async move {
                tokio::select! {
                    () = live.run(stop) => {}
                    () = beat(clock.as_ref(), &heartbeat) => {}
                }
            }
        }));
        Ok(Self {
            address,
            hub,
            system,
            notices,
            instance,
            intake,
            intake_tasks,
            commands,
            commands_task,
            relay,
            relay_tasks,
            background,
            background_tasks,
            failures,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a loop fails for good; answers which.
    pub(crate) async fn failed(&mut self) -> String {
        match self.failures.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }

    /// Stops, losing nothing.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        tokio::time::timeout(STOP_LIMIT, self.stop_in_order()).await.map_err(|_| {
            Failure::Internal(format!(
                "not everything ended within {} s; it was cut off, and nothing committed is lost",
                STOP_LIMIT.as_secs()
            ))
        })?
    }

    async fn stop_in_order(self) -> Result<(), Failure> {
        self.system.stopping();
        self.intake.cancel();
        let intake = async {
            for task in self.intake_tasks {
                let _ = task.await;
            }
        };
        let (dropped, ()) = tokio::join!(self.hub.close_all(FAREWELL), intake);
        if dropped > 0 {
            tracing::warn!(dropped, "live clients did not say good-bye in time");
        }
        self.commands.cancel();
        let _ = self.commands_task.await;
        let told = tell(&self.notices, "instance.stopped", &self.instance).await;
        self.relay.cancel();
        for task in self.relay_tasks {
            let _ = task.await;
        }
        self.background.cancel();
        for task in self.background_tasks {
            let _ = task.await;
        }
        told
    }
}

async fn tell(notices: &Notices, name: &str, instance: &Instance) -> Result<(), Failure> {
    let detail = serde_json::json!({ "version": instance.version }).to_string();
    let detail = JsonText::new(&detail).unwrap_or_else(|_| JsonText::empty());
    Ok(notices.write(TenantId::service(), Actor::system(), name, &instance.id, detail).await?)
}

/// Gives a sign of life every second, for ever.
async fn beat(clock: &dyn Clock, heartbeat: &Heartbeat) {
    loop {
        heartbeat.beat(clock.now());
        tokio::time::sleep(BEAT).await;
    }
}

async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        metrics.run_upkeep();
    }
}

/// A loop with its sign of life.
trait Watched {
    /// Runs it, watched by `watch`.
    fn watched(self, name: &'static str, watch: Watch) -> JoinHandle<()>;
}

/// The loops of the application all run alike.
macro_rules! watched {
    ($($task:ty),+) => {$(
        impl Watched for (Arc<$task>, Heartbeat) {
            fn watched(self, name: &'static str, watch: Watch) -> JoinHandle<()> {
                let (task, heartbeat) = self;
                watch.always(name, heartbeat, move |stop| {
                    let task = Arc::clone(&task);
                    async move { task.run(stop).await }
                })
            }
        }
    )+};
}
watched!(Consumer, Housekeeper, Maintenance, Patrol, Presence, Relay);

/// Watches one task.
struct Watch {
    stop: CancellationToken,
    fatal: mpsc::Sender<String>,
}

impl Watch {
    /// A task that cannot be started again: if it ends before it should, the process ends.
    fn once(self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(async move {
            let ended = tokio::spawn(task).await;
            if ended.is_err() || !self.stop.is_cancelled() {
                let _ = self.fatal.send(name.to_owned()).await;
            }
        })
    }

    /// A loop: if it ends before it should, it is started again, but not for ever.
    fn always<F>(
        self,
        name: &'static str,
        heartbeat: Heartbeat,
        run: impl Fn(CancellationToken) -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(async move {
            let mut ends: VecDeque<Instant> = VecDeque::new();
            loop {
                let ended = tokio::spawn(run(self.stop.clone())).await;
                if self.stop.is_cancelled() {
                    return;
                }
                metrics::counter!("lifecycle_task_restarts_total", "task" => name).increment(1);
                heartbeat.restarted();
                tracing::error!(task = name, panicked = ended.is_err(), "a loop ended; it is started again");
                ends.push_back(Instant::now());
                ends.retain(|end| end.elapsed() < PATIENCE);
                if ends.len() > RESTARTS {
                    let _ = self.fatal.send(name.to_owned()).await;
                    return;
                }
                let pause = Duration::from_millis(50 << ends.len());
                let _ = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        })
    }
}

/// The signals that stop the process.
#[cfg(unix)]
pub(crate) struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    /// Takes the signals from now on.
    pub(crate) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one; answers its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The signals that stop the process.
#[cfg(not(unix))]
pub(crate) struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    /// Takes the signals from now on.
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Waits for the next one; answers its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use application::Heartbeats;

    use super::*;

    fn watch() -> (Watch, CancellationToken, mpsc::Receiver<String>) {
        let stop = CancellationToken::new();
        let (fatal, failures) = mpsc::channel(1);
        (Watch { stop: stop.clone(), fatal }, stop, failures)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_is_started_again_and_counted() {
        let (watch, stop, _failures) = watch();
        let heartbeats = Heartbeats::default();
        let runs = Arc::new(AtomicU32::new(0));
        let task = watch.always("test", heartbeats.register("test"), move |stop| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(run >= 2, "the first two runs panic");
                stop.cancelled().await;
            }
        });
        while heartbeats.health()[0].restarts < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        task.await.expect("ended");
        assert_eq!(heartbeats.health()[0].restarts, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_keeps_panicking_ends_the_process() {
        let (watch, _stop, mut failures) = watch();
        let heartbeats = Heartbeats::default();
        let task = watch.always("test", heartbeats.register("test"), |_| async { panic!("always") });
        assert_eq!(failures.recv().await.as_deref(), Some("test"));
        task.await.expect("ended");
    }

    #[tokio::test]
    async fn a_task_that_cannot_be_started_again_ends_the_process_when_it_ends() {
        let (watch, _stop, mut failures) = watch();
        watch.once("test", async {});
        assert_eq!(failures.recv().await.as_deref(), Some("test"));
    }

    #[tokio::test]
    async fn a_task_that_ends_when_it_is_told_to_is_no_failure() {
        let (watch, stop, mut failures) = watch();
        let told = stop.clone();
        let task = watch.once("test", async move { told.cancelled().await });
        stop.cancel();
        task.await.expect("ended");
        assert_eq!(failures.recv().await, None);
    }
}
