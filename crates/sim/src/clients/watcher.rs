//! A live client: a tab of somebody's browser with one connection to the hub of an instance, and a few channels on it. It
//! leaves and comes back as people do, is slow at times, and goes on by the cursors that it has.

use std::sync::Arc;
use std::time::Duration;

use ports::auth::Role;
use tokio::time::{Instant, sleep_until};

use super::choice;
use super::following::Following;
use super::socket::{Heard, ServerSays, Socket, resumable_from};
use crate::fault::Fault;
use crate::fleet::Fleet;
use crate::world::World;

/// Close codes that a client gets which does nothing wrong: 1001 and 4008 when it is silent or slow, 1012 when an instance
/// stops, 1013 when something does not answer, 4401 when its token is too old.
const GOODBYES: [u16; 5] = [1001, 1012, 1013, 4008, 4401];

/// Watches for as long as anything is there to watch.
pub(crate) async fn run(world: Arc<World>, fleet: Arc<Fleet>, number: u64) {
    let mut tab = Tab::new(world, number);
    loop {
        let instance = fleet.any().await;
        let mut socket = Socket::over(instance.connections.connect(tab.token.clone())).await;
        let leaves_in_order = tab.watch(&mut socket).await;
        if leaves_in_order {
            socket.close().await;
        }
        for following in &mut tab.channels {
            following.is_cut_off(&tab.world);
        }
        let pause = tab.world.between(1, 500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// One tab, over all of its connections.
struct Tab {
    world: Arc<World>,
    number: u64,
    token: String,
    channels: Vec<Following>,
    /// A channel that is not for it.
    forbidden: Option<&'static str>,
    /// The number of its last frame.
    last_id: u64,
    /// The number of a frame that must be refused.
    must_fail: Option<u64>,
}

/// A connection is over.
struct Over {
    in_order: bool,
}

impl Tab {
    fn new(world: Arc<World>, number: u64) -> Self {
        // Two tabs are of the same person.
        let who = number / 2;
        let (tenant, role, owner, names) = {
            let mut state = world.state();
            let rng = &mut state.rng;
            let (_, key) = choice::campaign(&world.plan, rng);
            let role = rng.pick(&[Role::Viewer, Role::Operator]);
            let owner = if rng.chance(250) { choice::owner(rng) } else { None };
            let mut names = Vec::new();
            for _ in 0..rng.pick(&[1, 1, 2]) {
                // Also campaigns of others: there is nothing to be seen of them.
                let (_, key) = choice::campaign(&world.plan, rng);
                let name = match (rng.below(4), &owner) {
                    (0, _) => format!("campaign:{}", key.id),
                    (_, Some(owner)) => format!("owner:{owner}"),
                    (1, None) if role == Role::Operator => "system".to_owned(),
                    (2, None) => format!("owner:o-{}", rng.below(3)),
                    _ => "tenant".to_owned(),
                };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            (key.tenant, role, owner, names)
        };
        let forbidden = match (&owner, role) {
            (Some(_), _) => Some("tenant"),
            (None, Role::Viewer) => Some("system"),
            _ => None,
        };
        let bound = owner.as_ref().map(|owner| format!(" {owner}")).unwrap_or_default();
        let token = format!("{tenant} somebody-{who} {}{bound}", role.as_str());
        let follow = |called: String| Following::new(&world, format!("tab {number}"), called, &tenant, owner.as_ref());
        let channels = names.into_iter().map(follow).collect();
        Self { number, token, channels, forbidden, last_id: 0, must_fail: None, world }
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// One connection, until it breaks or is left; answers whether it is left in order.
    async fn watch(&mut self, socket: &mut Socket) -> bool {
        self.must_fail = None;
        let mut act_at = Instant::now();
        loop {
            let done = tokio::select! {
                biased;
                () = sleep_until(act_at) => {
                    let done = self.act(socket).await;
                    act_at = Instant::now() + self.pause();
                    done
                }
                heard = socket.next() => self.hear(heard).await,
            };
            if let Err(Over { in_order }) = done {
                return in_order;
            }
        }
    }

    fn pause(&self) -> Duration {
        let most = if self.world.is_calm() { 500 } else { 8_000 };
        Duration::from_millis(self.world.between(100, most))
    }

    /// Subscribes to what it is not subscribed to, and does something that people do.
    async fn act(&mut self, socket: &mut Socket) -> Result<(), Over> {
        for at in 0..self.channels.len() {
            if self.channels[at].is_off() {
                let id = self.id();
                say(socket, self.channels[at].subscribe(&self.world, id)).await?;
            }
        }
        if self.world.is_calm() || self.last_id <= self.channels.len() as u64 {
            return Ok(());
        }
        let at = { self.world.state().rng.index(self.channels.len()) };
        match self.world.between(0, 9) {
            0 => Err(Over { in_order: false }),
            1 => Err(Over { in_order: true }),
            2 | 3 => {
                let id = self.id();
                say(socket, self.channels[at].unsubscribe(id)).await
            }
            4 => {
                let id = self.id();
                say(socket, self.channels[at].subscribe(&self.world, id)).await
            }
            5 if self.forbidden.is_some() && self.must_fail.is_none() => {
                let id = self.id();
                self.must_fail = Some(id);
                let channel = self.forbidden.unwrap_or_default();
                say(socket, Some(format!(r#"{{"action":"subscribe","channel":"{channel}","id":{id}}}"#))).await
            }
            6 => {
                let id = self.id();
                say(socket, Some(format!(r#"{{"action":"ping","id":{id}}}"#))).await
            }
            _ => Ok(()),
        }
    }

    async fn hear(&mut self, heard: Heard) -> Result<(), Over> {
        match heard {
            Heard::Text(text) => {
                self.read(&text);
                if self.world.strikes(Fault::SlowReader, self.number) {
                    let pause = self.world.between(100, 7_000);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Ok(())
            }
            Heard::Goodbye { code, reason } => {
                self.part(code, &reason);
                Err(Over { in_order: false })
            }
            Heard::Nothing => Err(Over { in_order: false }),
        }
    }

    fn read(&mut self, text: &str) {
        let Some(says) = ServerSays::read(text) else {
            return self.objects(&format!("cannot read {text}"));
        };
        if says.id.is_some() && says.id == self.must_fail {
            self.must_fail = None;
            if says.event != "error" || says.code() != "forbidden" {
                self.objects(&format!("may hear what is not for it: {text}"));
            }
            return;
        }
        let Some(channel) = says.channel else {
            if says.event != "pong" {
                self.objects(&format!("did not ask for {text}"));
            }
            return;
        };
        match self.channels.iter_mut().find(|following| following.called == channel) {
            Some(following) => following.hear(&self.world, &says, text),
            None => self.objects(&format!("did not ask for {text}")),
        }
    }

    /// The server closes. Where it says from where to go on, that is enough for every channel.
    fn part(&mut self, code: u16, reason: &str) {
        self.world.tell("goodbye", [self.number, u64::from(code)], || format!("to tab {}: {reason}", self.number));
        if !GOODBYES.contains(&code) {
            self.objects(&format!("is told {code} {reason}"));
        }
        if let Some(cursor) = resumable_from(reason) {
            let takes_it = self.world.between(0, 1) == 0;
            for following in &mut self.channels {
                following.may_resume_from(&self.world, cursor, takes_it);
            }
        }
    }

    fn objects(&self, what: &str) {
        self.world.audit(|audit, _, _| audit.breaks(format!("tab {}: {what}", self.number)));
    }
}

/// Says it, if it is anything.
async fn say(socket: &mut Socket, text: Option<String>) -> Result<(), Over> {
    let Some(text) = text else { return Ok(()) };
    if socket.say(text).await { Ok(()) } else { Err(Over { in_order: false }) }
}
