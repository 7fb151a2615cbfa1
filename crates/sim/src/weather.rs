//! What goes wrong by itself, and not with a call: outages, losses, clocks that are set, deaths.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::fault::Fault;
use crate::fleet::{Fleet, Order};
use crate::model::bus::Bus;
use crate::world::World;

/// How long the bus's past is remembered, in microseconds.
const PAST: i64 = 5_000_000;

/// One second of weather.
pub(crate) async fn second(world: &Arc<World>, fleet: &Fleet) {
    remember(world);
    for fault in Fault::ALL.into_iter().filter(|fault| fault.is_weather()) {
        if world.strikes(fault, 0) {
            happen(world, fleet, fault).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Keeps the bus as it is now, where it may go back to it.
fn remember(world: &World) {
    if world.plan.rates.of(Fault::BusTailLost) == 0 {
        return;
    }
    let now = world.elapsed();
    let mut state = world.state();
    let bus = state.bus.clone();
    state.past.push_back((now, bus));
    while state.past.front().is_some_and(|(at, _)| now - at > PAST) {
        state.past.pop_front();
    }
}

async fn happen(world: &Arc<World>, fleet: &Fleet, fault: Fault) {
    let up = fleet.up();
    let one = || (!up.is_empty()).then(|| &up[world.state().rng.index(up.len())]);
    let place = || world.state().rng.index(world.plan.instances);
    let millis = |low, high| i64::try_from(world.between(low, high)).unwrap_or(0);
    match fault {
        Fault::StoreOutage => {
            let until = world.elapsed() + millis(200, 15_000) * 1_000;
            world.state().store_back = until;
        }
        Fault::BusOutage => {
            let until = world.elapsed() + millis(200, 15_000) * 1_000;
            world.state().bus_back = until;
            world.state().bus_losses += 1;
        }
        Fault::BusWiped => replace_bus(world, Bus::default()),
        Fault::BusTailLost => {
            let past = {
                let mut state = world.state();
                let length = state.past.len();
                let at = state.rng.index(length);
                state.past.get(at).map(|(_, bus)| bus.clone())
            };
            if let Some(bus) = past {
                replace_bus(world, bus);
            }
        }
        Fault::GroupLost => world.state().bus.inbound.lose_group(),
        Fault::StreamLost => world.state().bus.outbound.lose_stream(),
        Fault::MarkLost => world.state().bus.outbound.lose_mark(),
        Fault::EntryDeleted => {
            let mut state = world.state();
            let pending = state.bus.inbound.pending();
            let nth = state.rng.index(pending);
            state.bus.inbound.delete_pending(nth);
        }
        Fault::ClockStep => {
            if let Some(instance) = one() {
                instance.node.clock.set(TimeDelta::milliseconds(millis(0, 600_000)));
            }
        }
        Fault::StoreClockStep => world.set_store_clock(TimeDelta::milliseconds(millis(0, 15_000) - 5_000)),
        Fault::Pause => {
            if let Some(instance) = one() {
                instance.node.gate.freeze(Duration::from_millis(world.between(100, 30_000)));
            }
        }
        Fault::Crash => fleet.order(place(), Order::Die(Duration::from_millis(world.between(10, 8_000)))),
        Fault::CrashAtCall => {
            if let Some(instance) = one() {
                instance.node.gate.die_at_call(world.between(1, 60));
            }
        }
        Fault::AllDown => all_down(world, fleet).await,
        Fault::Restart => fleet.order(place(), Order::Restart),
        Fault::Spoiled => spoil(world),
        _ => {}
    }
}

/// All connections break, and behind them is another bus.
fn replace_bus(world: &World, bus: Bus) {
    let mut state = world.state();
    state.bus = bus;
    state.bus_losses += 1;
    drop(state);
    world.appended.notify_waiters();
}

/// Everything is down for a while: virtual hours pass at no cost.
async fn all_down(world: &World, fleet: &Fleet) {
    let longest = { world.state().rng.pick(&[30, 600, 3_600]) };
    let down = Duration::from_secs(world.between(5, longest));
    fleet.order_all(Order::Die(down));
    tokio::time::sleep(down).await;
}

/// A campaign's row cannot be read for a few seconds.
fn spoil(world: &Arc<World>) {
    let key = {
        let mut state = world.state();
        let count = state.db.campaigns().count();
        let at = state.rng.index(count);
        state.db.campaigns().nth(at).map(|(key, _)| key.clone())
    };
    let Some(key) = key else { return };
    world.state().db.spoil(&key, true);
    let (world, lasting) = (Arc::clone(world), Duration::from_millis(world.between(100, 8_000)));
    tokio::spawn(async move {
        let _ = tokio::time::timeout(lasting, world.calm.cancelled()).await;
        world.state().db.spoil(&key, false);
    });
}
