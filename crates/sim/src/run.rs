//! One run: a first phase in which anything may go wrong and no promise may be broken, and a second one in which nothing
//! goes wrong and everything must come together.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::audit::end::missing;
use crate::audit::{self, FORMS_EVERY};
use crate::clients::producer::Sent;
use crate::clients::{caller, producer, reader, watcher};
use crate::fault::Fault;
use crate::fleet::{Fleet, Order};
use crate::plan::Plan;
use crate::world::World;

/// Within so long everything must come together when nothing goes wrong any more.
const CONVERGENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The same for the same plan, on every machine.
    pub hash: u64,
    /// The promise that was broken first.
    pub broken: Option<String>,
    /// What happened, line by line, where that was asked for.
    pub lines: Vec<String>,
    /// How much happened.
    pub counts: audit::Counts,
    /// Records that were committed.
    pub committed: u64,
    /// Virtual time.
    pub lasted: Duration,
    /// Calls and faults.
    pub events: u64,
}

/// Runs `plan` in this thread.
///
/// # Panics
/// When there is no runtime to be had.
pub fn run(plan: &Plan, with_lines: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing but memory");
    let outcome = runtime.block_on(async {
        let world = World::new(plan.clone(), with_lines);
        let began = Instant::now();
        tokio::select! {
            biased;
            () = world.broken.cancelled() => {}
            () = Box::pin(phases(&world)) => {}
        }
        let mut state = world.state();
        Outcome {
            seed: plan.seed,
            hash: state.trace.hash(),
            broken: state.audit.broken().map(str::to_owned),
            lines: state.trace.take_lines(),
            counts: state.audit.counts,
            committed: state.db.head().0,
            lasted: began.elapsed(),
            events: state.trace.events,
        }
    });
    drop(runtime);
    outcome
}

async fn phases(world: &Arc<World>) {
    let (mut lives, mut outside, mut watching) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    let fleet = Fleet::start(world, &mut lives);
    let sent = Sent::default();
    start_clients(world, &fleet, &sent, &mut outside, &mut watching);

    let mut left = world.plan.active.as_secs();
    while left > 0 {
        crate::weather::second(world, &fleet).await;
        left -= 1;
    }
    world.calm_down();
    for instance in fleet.up() {
        instance.node.gate.thaw();
        instance.node.gate.spare();
    }
    world.released.notify_waiters();
    world.tell("calm", [0, 0], || "nothing goes wrong any more".to_owned());
    let calm = second_phase(world, &fleet, &sent, &mut outside, &mut lives);
    if tokio::time::timeout(CONVERGENCE * 3, calm).await.is_err() {
        world.audit(|audit, _, _| audit.breaks("somebody waits for ever".to_owned()));
    }
}

async fn second_phase(world: &World, fleet: &Fleet, sent: &Sent, outside: &mut JoinSet<()>, lives: &mut JoinSet<()>) {
    if !converge(world, fleet, sent, outside).await {
        return;
    }
    check_answers(world, fleet).await;
    fleet.order_all(Order::End);
    while lives.join_next().await.is_some() {}
    world.audit(|audit, db, bus| {
        // Of several that stop at once, the last ones may find that another one still holds the relay.
        if world.plan.instances == 1 && bus.outbound.mark() < db.head() {
            audit.breaks("what was committed is not told after a stop in order".to_owned());
        }
        audit.check_end(db, bus);
        if world.plan.seed.is_multiple_of(FORMS_EVERY) {
            audit.check_stored_forms(db);
        }
    });
}

fn start_clients(
    world: &Arc<World>,
    fleet: &Arc<Fleet>,
    sent: &Sent,
    outside: &mut JoinSet<()>,
    watching: &mut JoinSet<()>,
) {
    let plan = &world.plan;
    let (callers, producers) = (plan.callers as u64, plan.producers as u64);
    // Two thirds of all operations are calls.
    let (calls, events) = (plan.operations * 2 / 3 / callers, plan.operations / 3 / producers);
    let gap = |count: u64| plan.active / u32::try_from(count.max(1)).unwrap_or(1);
    for _ in 0..callers {
        outside.spawn(caller::run(Arc::clone(world), Arc::clone(fleet), calls, gap(calls)));
    }
    for name in 0..producers {
        outside.spawn(producer::run(Arc::clone(world), name, events, gap(events), Arc::clone(sent)));
    }
    for number in 0..plan.watchers as u64 {
        watching.spawn(watcher::run(Arc::clone(world), Arc::clone(fleet), number));
    }
    watching.spawn(reader::run(Arc::clone(world)));
}

/// Waits until everything has come together; answers whether it did.
async fn converge(world: &World, fleet: &Fleet, sent: &Sent, outside: &mut JoinSet<()>) -> bool {
    let limit = Instant::now() + CONVERGENCE;
    let loses = |fault| matches!(fault, Fault::BusWiped | Fault::BusTailLost | Fault::EntryDeleted);
    let may_be_lost = world.plan.rates.any(loses);
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        while let Some(ended) = outside.try_join_next() {
            if ended.is_err() {
                world.audit(|audit, _, _| audit.breaks("a client panicked".to_owned()));
            }
        }
        if looks == 10 {
            caller::replay_timers(fleet).await;
        }
        if may_be_lost && looks.is_multiple_of(20) && outside.is_empty() {
            producer::send_again(world, sent).await;
        }
        let clock = world.store_clock();
        let missing = if outside.is_empty() {
            world.audit(|audit, db, bus| missing(audit, db, bus, clock))
        } else {
            Some(format!("{} clients are not done", outside.len()))
        };
        match missing {
            None if looks >= 10 => return true,
            Some(missing) if Instant::now() > limit => {
                world.audit(|audit, _, _| audit.breaks(format!("does not come together: {missing}")));
                return false;
            }
            _ => {}
        }
    }
}

/// Every instance knows every campaign as it is.
async fn check_answers(world: &World, fleet: &Fleet) {
    let keys: Vec<_> = world.state().db.campaigns().map(|(key, _)| key.clone()).collect();
    for instance in fleet.up() {
        for key in &keys {
            let heard = world.audit(|audit, _, _| audit.heard_of(key));
            match instance.reads.campaign(key).await {
                Ok(found) => world.audit(|audit, _, _| audit.answers(key, heard, found.as_deref())),
                Err(error) => world.audit(|audit, _, _| audit.breaks(format!("{key} cannot be read: {error}"))),
            }
        }
    }
}
