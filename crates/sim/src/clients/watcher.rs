//! A live client: it hears what is published as it happens, reads what it missed, and goes on by its cursor on another
//! instance when its own is gone. It does what the hub of `adapters-websocket` does for a connection, without sockets.

use std::sync::Arc;
use std::time::Duration;

use ports::feed::{Channel, Feed, Live};
use ports::journal::Position;

use super::choice;
use crate::audit::Reader;
use crate::fault::Fault;
use crate::fleet::Fleet;
use crate::instance::Instance;
use crate::sabotage::Sabotage;
use crate::world::World;

/// Records in one read.
const PAGE: usize = 64;

/// Watches for as long as anything is there to watch.
pub(crate) async fn run(world: Arc<World>, fleet: Arc<Fleet>, number: u64) {
    let channel = channel(&world);
    let reader = Reader { name: format!("watcher {number}"), channel: Some(channel.clone()), last: Position::START };
    let at = world.audit(|audit, _, _| audit.begins(reader));
    loop {
        let instance = fleet.any().await;
        tokio::select! {
            biased;
            () = instance.gone.cancelled() => {}
            () = watch(&world, &instance, &channel, at) => {}
        }
        let pause = world.between(1, 500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn channel(world: &World) -> Channel {
    let mut state = world.state();
    let (_, key) = choice::campaign(&world.plan, &mut state.rng);
    match state.rng.below(4) {
        0 => Channel::Campaign(key.tenant, key.id),
        1 => Channel::System,
        _ => Channel::Tenant(key.tenant),
    }
}

/// One connection, until it breaks.
async fn watch(world: &World, instance: &Instance, channel: &Channel, at: usize) {
    let feed = &instance.feed;
    let mut live = feed.subscribe();
    let mut top = feed.top();
    if catch_up(world, instance, channel, at, top).await.is_err() {
        return;
    }
    loop {
        if world.strikes(Fault::SlowReader, at as u64) {
            let pause = world.between(100, 5_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        match live.next().await {
            Live::Records(records) => {
                for record in records.iter() {
                    if record.position <= top {
                        continue;
                    }
                    if record.position.0 != top.0 + 1 && !world.has(Sabotage::SilentLag) {
                        // What is missing between is read.
                        let before = Position(record.position.0 - 1);
                        if catch_up(world, instance, channel, at, before).await.is_err() {
                            return;
                        }
                    }
                    top = record.position;
                    show(world, channel, at, record);
                }
            }
            Live::Lagged => {
                top = feed.top();
                if catch_up(world, instance, channel, at, top).await.is_err() {
                    return;
                }
            }
            Live::Closed => return,
        }
    }
}

/// Reads up to `up_to`.
async fn catch_up(
    world: &World,
    instance: &Instance,
    channel: &Channel,
    at: usize,
    up_to: Position,
) -> Result<(), ports::PortError> {
    loop {
        let after = world.audit(|audit, _, _| audit.readers[at].last);
        if after >= up_to {
            return Ok(());
        }
        let page = instance.feed.read(channel, after, up_to, PAGE).await?;
        for record in &page {
            show(world, channel, at, record);
        }
        if page.len() < PAGE {
            return Ok(());
        }
        world.audit(|audit, _, _| {
            if audit.readers[at].last == after {
                audit.breaks(format!("{} is given nothing new after {after}", audit.readers[at].name));
            }
        });
        // Where it goes round in circles, time must pass nonetheless.
        if world.broken.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

/// Shows a record, unless the client knows it.
fn show(world: &World, channel: &Channel, at: usize, record: &ports::journal::Record) {
    if channel.has(record) {
        world.audit(|audit, db, _| {
            if record.position > audit.readers[at].last {
                audit.shows(db, at, record.position, record.fact.id);
            }
        });
    }
}
