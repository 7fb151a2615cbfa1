//! One instance of the service: the loops of the application and the hub on the ports of this world, wired as the program wires them.

use std::sync::Arc;
use std::time::Duration;

use application::{
    CommandSettings, CommandWorker, Commands, Consumer, ConsumerParts, ConsumerSettings, DeadLetterDesk, DeskParts,
    ForgetCommands, HealthSettings, Heartbeats, Housekeeper, Maintenance, Notices, Policies, Presence, Reads, Recovery,
    RecoveryParts, Relay, RelayParts, System, SystemParts, TimerSettings, Timers,
};
use domain::{JsonText, TenantId};
use ports::PortError;
use ports::clock::Clock;
use ports::journal::Actor;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::calls::{Node, SimFeed};
use crate::connections::Connections;
use crate::plan::Settings;

/// How long a stop in order may take.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// What others use of a running instance.
pub(crate) struct Instance {
    pub(crate) node: Arc<Node>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) reads: Reads,
    pub(crate) desk: DeadLetterDesk,
    pub(crate) connections: Connections,
    feed: Arc<SimFeed>,
    /// It is gone, or about to be: what it did not answer is not known.
    pub(crate) gone: CancellationToken,
}

/// A running instance with its loops.
pub(crate) struct Running {
    pub(crate) instance: Arc<Instance>,
    pub(crate) tasks: JoinSet<()>,
    notices: Notices,
    /// Stopped one after the other: no new work, no new commands, no new facts, nobody left.
    stops: [CancellationToken; 4],
    stages: [Vec<tokio::task::AbortHandle>; 3],
}

impl Running {
    /// Starts an instance; as the program, it fails to start without a store.
    pub(crate) async fn start(node: Arc<Node>, settings: Settings) -> Result<Self, PortError> {
        let (commands, worker) = Commands::new(
            node.clone(),
            node.clone(),
            node.clone(),
            node.ids.clone(),
            Arc::new(Policies::default()),
            CommandSettings { queue: 50, batch: settings.command_batch, ..CommandSettings::default() },
        );
        let commands = Arc::new(commands);
        let notices = Notices::new(node.clone(), node.ids.clone());
        tell(&notices, "instance.started", &node).await?;
        let feed = SimFeed::new(node.clone());
        let instance = Arc::new(Instance {
            commands: Arc::clone(&commands),
            reads: Reads::new(node.clone(), node.clone()),
            desk: desk(&node, &commands, &notices),
            connections: Connections::new(&node, &feed),
            feed,
            gone: CancellationToken::new(),
            node,
        });
        let mut running = Self {
            instance,
            tasks: JoinSet::new(),
            notices,
            stops: std::array::from_fn(|_| CancellationToken::new()),
            stages: std::array::from_fn(|_| Vec::new()),
        };
        running.spawn(worker, settings);
        Ok(running)
    }

    fn spawn(&mut self, worker: CommandWorker, settings: Settings) {
        let (node, instance) = (self.instance.node.clone(), self.instance.clone());
        let [intake, commands, relay, _] = self.stops.clone();
        let beats = Heartbeats::default();
        self.stages[1].push(self.tasks.spawn(worker.run(commands)));

        let timers = Arc::new(timers(&node, settings, &beats));
        let recovery = Arc::new(Recovery::new(recovery_parts(&node, &timers, &self.notices)));
        let (firing, recovering, stop) = (Arc::clone(&timers), Arc::clone(&recovery), intake.clone());
        self.stages[0].push(self.tasks.spawn(async move {
            // What came due while nobody was there goes first; timers go on when it fails.
            let _ = stop.run_until_cancelled(recovering.run(&Actor::system())).await;
            firing.run(stop).await;
        }));
        let consumer = consumer(&node, &instance.commands, settings, &beats);
        let stop = intake.clone();
        self.stages[0].push(self.tasks.spawn(async move { consumer.run(stop).await }));

        let about =
            ports::instances::Instance { id: node.name.clone(), version: "0".to_owned(), started_at: node.clock.now() };
        let system = Arc::new(System::new(SystemParts {
            instance: about.clone(),
            instances: node.clone(),
            queries: node.clone(),
            publisher: node.clone(),
            inbound: node.clone(),
            dead_letters: node.clone(),
            commands: instance.commands.clone(),
            heartbeats: beats.clone(),
            recovery,
            usage: Arc::new(|| (None, None)),
            patrol: Arc::new(|| None),
            clock: node.clock.clone(),
            settings: HealthSettings::default(),
        }));
        let keeper = Housekeeper::new(system, self.notices.clone(), node.clock.clone(), beats.register("housekeeping"));
        let presence = Presence::new(node.clone(), about, node.clock.clone(), beats.register("presence"));
        let forget = ForgetCommands::new(node.clone(), node.clock.clone(), Duration::from_hours(7 * 24));
        let maintenance = Maintenance::new(
            vec![Arc::new(forget)],
            node.clone(),
            node.name.clone(),
            node.clock.clone(),
            beats.register("maintenance"),
        );
        let (one, two, three) = (intake.clone(), intake.clone(), intake);
        self.stages[0].push(self.tasks.spawn(async move { keeper.run(one).await }));
        self.stages[0].push(self.tasks.spawn(async move { presence.run(two).await }));
        self.stages[0].push(self.tasks.spawn(async move { maintenance.run(three).await }));

        let parts = RelayParts {
            outbox: node.clone(),
            publisher: node.clone(),
            cache: node.clone(),
            wakeups: node.wakeups.clone(),
            leases: node.clone(),
            clock: node.clock.clone(),
        };
        let teller = Relay::new(parts, node.name.clone(), beats.register("relay"));
        self.stages[2].push(self.tasks.spawn(async move { teller.run(relay).await }));
        let (feed, end) = (instance.feed.clone(), self.stops[3].clone());
        self.tasks.spawn(async move {
            let _ = end.run_until_cancelled(feed.run()).await;
        });
        let end = self.stops[3].clone();
        self.tasks.spawn(async move { instance.connections.run(end).await });
    }

    /// It dies, at once.
    pub(crate) async fn die(mut self) {
        self.instance.gone.cancel();
        self.instance.node.gate.close();
        self.instance.connections.break_off().await;
        self.tasks.shutdown().await;
    }

    /// It stops in order, or is cut off when that takes too long.
    pub(crate) async fn stop(mut self) {
        let _ = tokio::time::timeout(STOP_LIMIT, self.stop_in_order()).await;
        self.die().await;
    }

    async fn stop_in_order(&mut self) {
        for stage in 0..3 {
            self.stops[stage].cancel();
            if stage == 0 {
                self.instance.connections.say_goodbye().await;
            }
            while !self.stages[stage].iter().all(tokio::task::AbortHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if stage == 1 {
                let _ = tell(&self.notices, "instance.stopped", &self.instance.node).await;
            }
        }
    }
}

async fn tell(notices: &Notices, name: &str, node: &Node) -> Result<(), PortError> {
    notices.write(TenantId::service(), Actor::system(), name, &node.name, JsonText::empty()).await
}

fn desk(node: &Arc<Node>, commands: &Arc<Commands>, notices: &Notices) -> DeadLetterDesk {
    DeadLetterDesk::new(DeskParts {
        letters: node.clone(),
        inbound: node.clone(),
        commands: Arc::clone(commands),
        notices: notices.clone(),
        clock: node.clock.clone(),
        ids: node.ids.clone(),
        pause: Duration::from_millis(10),
    })
}

fn timers(node: &Arc<Node>, settings: Settings, beats: &Heartbeats) -> Timers {
    let settings = TimerSettings {
        batch: settings.timer_batch,
        attempts: settings.timer_attempts,
        back_off: Duration::from_millis(500),
        max_back_off: Duration::from_secs(5),
        safety_poll: settings.safety_poll,
    };
    let (store, wakeups) = (node.clone(), node.wakeups.clone());
    Timers::new(store, node.clock.clone(), node.ids.clone(), wakeups, settings, beats.register("timers"))
}

fn recovery_parts(node: &Arc<Node>, timers: &Arc<Timers>, notices: &Notices) -> RecoveryParts {
    RecoveryParts {
        timers: Arc::clone(timers),
        queries: node.clone(),
        publisher: node.clone(),
        inbound: node.clone(),
        notices: notices.clone(),
        clock: node.clock.clone(),
        ids: node.ids.clone(),
        timers_per_second: 200,
    }
}

fn consumer(node: &Arc<Node>, commands: &Arc<Commands>, settings: Settings, beats: &Heartbeats) -> Consumer {
    let parts = ConsumerParts {
        inbound: node.clone(),
        commands: Arc::clone(commands),
        dead_letters: node.clone(),
        leases: node.clone(),
        clock: node.clock.clone(),
        ids: node.ids.clone(),
    };
    let settings = ConsumerSettings {
        batch: settings.event_batch,
        retry_window: settings.retry_window,
        waiting: settings.waiting,
        take_over_after: settings.take_over_after,
    };
    Consumer::new(parts, node.name.clone(), settings, beats.register("events"))
}
