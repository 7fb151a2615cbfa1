//! A reader of the outbound stream: another service, which reads on by the id of the last entry that it saw.

use std::sync::Arc;
use std::time::Duration;

use ports::journal::Position;

use crate::audit::Reader;
use crate::fault::Fault;
use crate::world::World;

/// Reads for ever.
pub(crate) async fn run(world: Arc<World>) {
    let reader = Reader { name: "the reader of the stream".to_owned(), channel: None, last: Position::START };
    let at = world.audit(|audit, _, _| audit.begins(reader));
    loop {
        let slow = world.strikes(Fault::SlowReader, at as u64);
        let pause = world.between(20, if slow { 8_000 } else { 400 });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if world.is_bus_away() {
            continue;
        }
        let most = usize::try_from(world.between(1, 200)).unwrap_or(1);
        world.audit(|audit, db, bus| {
            let last = audit.readers[at].last;
            let entries = bus.outbound.entries();
            let new = entries.iter().skip(entries.partition_point(|(position, _)| *position <= last));
            for (position, id) in new.take(most) {
                audit.shows(db, at, *position, *id);
            }
        });
    }
}
