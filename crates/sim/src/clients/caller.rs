//! A client that calls: it sends commands with its own keys, comes again when it does not know what they came to, asks for
//! campaigns, and replays dead letters as an operator does.

use std::sync::Arc;
use std::time::Duration;

use application::{Answer, CommandRequest, SubmitError};
use domain::CommandId;
use ports::Written;
use ports::dead_letters::{LetterFilter, LetterKind};
use ports::journal::{Actor, ActorKind};
use ports::store::CommandKey;

use super::choice;
use crate::audit::{OpId, Told};
use crate::fault::Fault;
use crate::fleet::Fleet;
use crate::world::World;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// It will never work.
const POISON: &str = "poison";

/// Does `count` operations, one after the other.
pub(crate) async fn run(world: Arc<World>, fleet: Arc<Fleet>, count: u64, gap: Duration) {
    let most = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX) * 2;
    for _ in 0..count {
        // In the end nobody waits for long.
        let pause = world.between(0, if world.is_calm() { 20 } else { most });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if world.state().rng.chance(150) {
            ask(&world, &fleet).await;
        } else {
            command(&world, &fleet).await;
        }
    }
}

/// Asks for a campaign.
async fn ask(world: &World, fleet: &Fleet) {
    let instance = fleet.any().await;
    let (_, key) = choice::campaign(&world.plan, &mut world.state().rng);
    let heard = world.audit(|audit, _, _| audit.heard_of(&key));
    let answer = tokio::time::timeout(PATIENCE, instance.reads.campaign(&key)).await;
    if let Ok(Ok(found)) = answer {
        world.audit(|audit, _, _| audit.answers(&key, heard, found.as_deref()));
    }
}

/// Gives a command, until its end is known, or the client has enough.
async fn command(world: &World, fleet: &Fleet) {
    let (op, request) = plan(world);
    let is_patient = world.state().rng.chance(900);
    let mut in_doubt = false;
    loop {
        let told = send(world, fleet, op, &request).await;
        in_doubt |= told == Told::Unknown;
        let again = match &told {
            Told::Outcome(_) | Told::NotDone(POISON) => false,
            // That this attempt did nothing says nothing of the one before.
            Told::NotDone(_) => request.remember && (in_doubt || world.state().rng.chance(300)),
            Told::Unknown => request.remember && is_patient,
        };
        if !again {
            if in_doubt && !matches!(told, Told::Outcome(_)) {
                world.audit(|audit, _, _| audit.gives_up(op));
            }
            break;
        }
        let pause = world.between(1, 1_500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    // The same again.
    if request.remember && world.state().rng.chance(80) {
        let told = send(world, fleet, op, &request).await;
        if !matches!(told, Told::Outcome(_)) {
            world.audit(|audit, _, _| audit.gives_up(op));
        }
    }
}

fn plan(world: &World) -> (OpId, CommandRequest) {
    let now = world.now();
    let mut state = world.state();
    let state = &mut *state;
    let (number, key) = choice::campaign(&world.plan, &mut state.rng);
    let command = choice::command(&world.plan, &mut state.rng, &state.db, number, now);
    let known = state.db.campaign(&key).map(|stored| stored.campaign.version);
    let op = state.audit.plans(key.clone(), false);
    let id = CommandId::parse(&format!("key-{}", op.0)).expect("a short name");
    let request = CommandRequest {
        key,
        id,
        remember: state.rng.chance(850),
        fingerprint: [u8::try_from(op.0 % 251).unwrap_or(0); 32],
        command,
        expected_version: known.filter(|_| state.rng.chance(200)),
        actor: Actor { kind: ActorKind::Operator, subject: "olga".to_owned() },
        correlation: Some(op.correlation()),
    };
    (op, request)
}

/// Sends the command once; answers what the client was told.
async fn send(world: &World, fleet: &Fleet, op: OpId, request: &CommandRequest) -> Told {
    let instance = fleet.any().await;
    let command = request.remember.then(|| CommandKey {
        tenant: request.key.tenant.clone(),
        sender: request.actor.sender(),
        id: request.id.clone(),
    });
    world.audit(|audit, _, _| audit.asks(op, command));
    let who = instance.node.gate.who;
    world.tell("ask", [op.0 as u64, who], || {
        format!("{} asks {who} to {} {}", op.correlation(), request.command.name(), request.key)
    });
    let patience =
        if world.strikes(Fault::Impatience, who) { Duration::from_millis(world.between(0, 50)) } else { PATIENCE };
    let answer = tokio::time::timeout(patience, instance.commands.submit(request.clone())).await;
    let told = match answer {
        // Who is gone says nothing.
        _ if instance.gone.is_cancelled() => Told::Unknown,
        Ok(answer) => told(answer),
        Err(_) => Told::Unknown,
    };
    world.tell("told", [op.0 as u64, who], || format!("{} is told {told:?}", op.correlation()));
    world.audit(|audit, _, _| audit.hears(op, &told));
    told
}

/// What an answer says to a client.
fn told(answer: Result<Answer, SubmitError>) -> Told {
    match answer {
        Ok(answer) => Told::Outcome(answer.outcome),
        Err(SubmitError::KeyReused) => Told::NotDone("the key was used before"),
        Err(SubmitError::Overloaded) => Told::NotDone("overloaded"),
        Err(SubmitError::Stopping) => Told::NotDone("stopping"),
        Err(SubmitError::Poison(_)) => Told::NotDone(POISON),
        Err(SubmitError::Store(error)) => match error.written() {
            Written::No => Told::NotDone("the store is not available"),
            Written::Unknown => Told::Unknown,
        },
    }
}

/// An operator tries all timers again that were given up.
pub(crate) async fn replay_timers(fleet: &Fleet) {
    let by = Actor { kind: ActorKind::Operator, subject: "olga".to_owned() };
    for number in [0, 4] {
        let tenant = choice::key(number).tenant;
        let filter = LetterFilter { kind: Some(LetterKind::Timer), ..LetterFilter::default() };
        let instance = fleet.any().await;
        // What cannot be replayed stays in the queue.
        let _ = instance.desk.replay_all(&tenant, filter, 100, false, &by).await;
    }
}
