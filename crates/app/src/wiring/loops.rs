//! The loops that keep the service going, wired to the ports. What they do lives in `application`.

use std::sync::Arc;

use application::{
    CommandWorker, Consumer, ConsumerParts, ConsumerSettings, HealthSettings, Heartbeat, Heartbeats, Housekeeper,
    Maintenance, Patrol, PatrolParts, PatrolSettings, Presence, Recovery, RecoveryParts, Relay, RelayParts, System,
    SystemParts, Telling, TimerSettings, Timers,
};
use ports::clock::Clock;
use ports::instances::Instance;

use crate::config::Config;
use crate::usage::Usage;
use crate::wiring::Core;
use crate::wiring::backend::Background;

/// The loops, each with its sign of life.
pub(crate) struct Loops {
    pub(crate) commands: CommandWorker,
    pub(crate) timers: (Arc<Timers>, Heartbeat),
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) relay: (Arc<Relay>, Heartbeat),
    pub(crate) consumer: (Arc<Consumer>, Heartbeat),
    pub(crate) housekeeper: (Arc<Housekeeper>, Heartbeat),
    pub(crate) maintenance: (Arc<Maintenance>, Heartbeat),
    pub(crate) presence: (Arc<Presence>, Heartbeat),
    pub(crate) patrol: (Arc<Patrol>, Heartbeat),
    pub(crate) live_heartbeat: Heartbeat,
    /// The adapters' own.
    pub(crate) background: Vec<(Background, Heartbeat)>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Wires the loops, and what knows how they are doing.
pub(super) fn wire(
    config: &Config,
    core: &Core,
    commands: CommandWorker,
    background: Vec<Background>,
    instance: &Instance,
) -> (Loops, Arc<System>) {
    let heartbeats = Heartbeats::default();
    let (backend, process) = (&core.backend, &core.process);
    let timers_heartbeat = heartbeats.register("timers");
    let relay_heartbeat = heartbeats.register("relay");
    let consumer_heartbeat = heartbeats.register("events");
    let timers = timers(config, core, timers_heartbeat.clone());
    let recovery = Arc::new(Recovery::new(RecoveryParts {
        timers: Arc::clone(&timers),
        queries: Arc::clone(&backend.queries),
        publisher: Arc::clone(&backend.publisher),
        inbound: Arc::clone(&backend.inbound),
        notices: core.notices.clone(),
        clock: Arc::clone(&process.clock),
        ids: Arc::clone(&process.ids),
        timers_per_second: config.recovery.rate,
    }));
    let patrol_heartbeat = heartbeats.register("verification");
    let patrol = patrol(config, core, patrol_heartbeat.clone());
    let system = system(config, core, instance, &heartbeats, &recovery, &patrol);
    let (housekeeper_heartbeat, presence_heartbeat) =
        (heartbeats.register("housekeeping"), heartbeats.register("presence"));
    let maintenance_heartbeat = heartbeats.register("maintenance");
    let clock = || Arc::clone(&process.clock);
    let housekeeper =
        Housekeeper::new(Arc::clone(&system), core.notices.clone(), clock(), housekeeper_heartbeat.clone());
    let presence = Presence::new(Arc::clone(&backend.instances), instance.clone(), clock(), presence_heartbeat.clone());
    let maintenance = Maintenance::new(
        backend.upkeep.clone(),
        Arc::clone(&backend.leases),
        instance.id.clone(),
        clock(),
        maintenance_heartbeat.clone(),
    );
    let loops = Loops {
        commands,
        timers: (timers, timers_heartbeat),
        recovery,
        relay: (relay(core, relay_heartbeat.clone()), relay_heartbeat),
        consumer: (consumer(config, core, consumer_heartbeat.clone()), consumer_heartbeat),
        housekeeper: (Arc::new(housekeeper), housekeeper_heartbeat),
        maintenance: (Arc::new(maintenance), maintenance_heartbeat),
        presence: (Arc::new(presence), presence_heartbeat),
        patrol: (patrol, patrol_heartbeat),
        live_heartbeat: heartbeats.register("live"),
        background: background
            .into_iter()
            .map(|task| {
                let beat = heartbeats.register(task.name);
                (task, beat)
            })
            .collect(),
        clock: clock(),
    };
    (loops, system)
}

fn timers(config: &Config, core: &Core, heartbeat: Heartbeat) -> Arc<Timers> {
    let settings = TimerSettings {
        batch: config.timers.batch,
        attempts: config.timers.attempts,
        back_off: config.timers.retry_first.0,
        max_back_off: config.timers.retry_max.0,
        safety_poll: config.timers.safety_poll.0,
    };
    Arc::new(Timers::new(
        Arc::clone(&core.backend.store),
        Arc::clone(&core.process.clock),
        Arc::clone(&core.process.ids),
        Arc::clone(&core.backend.wakeups),
        settings,
        heartbeat,
    ))
}

fn patrol(config: &Config, core: &Core, heartbeat: Heartbeat) -> Arc<Patrol> {
    let (backend, process) = (&core.backend, &core.process);
    let telling = |streams: &Arc<_>| Telling { streams: Arc::clone(streams), outbox: Arc::clone(&backend.outbox) };
    let parts = PatrolParts {
        verification: Arc::clone(&backend.verification),
        telling: backend.streams.as_ref().map(telling),
        queries: Arc::clone(&backend.queries),
        leases: Arc::clone(&backend.leases),
        notices: core.notices.clone(),
        clock: Arc::clone(&process.clock),
    };
    let settings = PatrolSettings {
        campaigns_per_second: config.verification.campaigns_per_second,
        records_per_second: config.verification.records_per_second,
        every: config.verification.every.0,
        memory: config.inbox.retention.0,
    };
    Arc::new(Patrol::new(parts, settings, process.instance.clone(), heartbeat))
}

pub(super) fn relay(core: &Core, heartbeat: Heartbeat) -> Arc<Relay> {
    let parts = RelayParts {
        outbox: Arc::clone(&core.backend.outbox),
        publisher: Arc::clone(&core.backend.publisher),
        cache: Arc::clone(&core.backend.cache),
        wakeups: Arc::clone(&core.backend.wakeups),
        leases: Arc::clone(&core.backend.leases),
        clock: Arc::clone(&core.process.clock),
    };
    Arc::new(Relay::new(parts, core.process.instance.clone(), heartbeat))
}

fn consumer(config: &Config, core: &Core, heartbeat: Heartbeat) -> Arc<Consumer> {
    let parts = ConsumerParts {
        inbound: Arc::clone(&core.backend.inbound),
        commands: Arc::clone(&core.commands),
        dead_letters: Arc::clone(&core.backend.dead_letters),
        leases: Arc::clone(&core.backend.leases),
        clock: Arc::clone(&core.process.clock),
        ids: Arc::clone(&core.process.ids),
    };
    let settings = ConsumerSettings {
        batch: config.events.batch,
        retry_window: config.events.retry_window.0,
        waiting: config.events.waiting,
        take_over_after: config.events.take_over_after.0,
    };
    Arc::new(Consumer::new(parts, core.process.instance.clone(), settings, heartbeat))
}

fn system(
    config: &Config,
    core: &Core,
    instance: &Instance,
    heartbeats: &Heartbeats,
    recovery: &Arc<Recovery>,
    patrol: &Arc<Patrol>,
) -> Arc<System> {
    let (usage, patrol) = (Usage::new(), Arc::clone(patrol));
    Arc::new(System::new(SystemParts {
        instance: instance.clone(),
        instances: Arc::clone(&core.backend.instances),
        queries: Arc::clone(&core.backend.queries),
        publisher: Arc::clone(&core.backend.publisher),
        inbound: Arc::clone(&core.backend.inbound),
        dead_letters: Arc::clone(&core.backend.dead_letters),
        commands: Arc::clone(&core.commands),
        heartbeats: heartbeats.clone(),
        recovery: Arc::clone(recovery),
        usage: Arc::new(move || usage.percent()),
        patrol: Arc::new(move || patrol.report()),
        clock: Arc::clone(&core.process.clock),
        settings: HealthSettings { max_overdue: config.health.max_overdue.0, max_unread: config.health.max_unread.0 },
    }))
}
