//! The live side of one instance: its hub, the pipes that stand for sockets, and what its tokens say. HTTP's part of a
//! connection, the handshake, is not here.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adapters_websocket::{Hub, HubDeps, HubSettings};
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{OwnerId, TenantId};
use ports::auth::{AuthError, Authenticator, Principal, Role};
use ports::clock::Clock as _;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::calls::{Node, SimFeed};
use crate::plan::Lines;
use crate::sabotage::Sabotage;
use crate::time::SimClock;

/// How long live clients may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long a token is good for.
const TOKEN: TimeDelta = TimeDelta::minutes(5);

/// All connections of one instance.
pub(crate) struct Connections {
    node: Arc<Node>,
    hub: Arc<Hub>,
    tasks: Mutex<JoinSet<()>>,
}

impl Connections {
    pub(crate) fn new(node: &Arc<Node>, feed: &Arc<SimFeed>) -> Self {
        let auth = Arc::new(Tokens { clock: Arc::clone(&node.clock) });
        let deps = HubDeps { feed: feed.clone(), queries: node.clone(), auth, clock: node.clock.clone() };
        let hub = Hub::new(deps, settings(node.world.plan.lines));
        plant(&hub, node);
        Self { node: Arc::clone(node), hub, tasks: Mutex::default() }
    }

    /// Carries what is published to those who listen.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        self.hub.run(stop).await;
    }

    /// A client connects, and gets its end of the line.
    pub(crate) fn connect(&self, token: String) -> DuplexStream {
        let (near, far) = duplex(self.node.world.plan.lines.pipe);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if ended.is_err() {
                let name = &self.node.name;
                self.node.world.audit(|audit, _, _| audit.breaks(format!("a connection of {name} panicked")));
            }
        }
        tasks.spawn(self.hub.serve(ready(Some(far)), Some(token), None));
        near
    }

    /// Asks all to go.
    pub(crate) async fn say_goodbye(&self) {
        self.hub.close_all(FAREWELL).await;
    }

    /// Breaks off all of them at once: what is on the line still arrives.
    pub(crate) async fn break_off(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

fn settings(lines: Lines) -> HubSettings {
    HubSettings {
        queue_bytes: lines.queue_bytes,
        resume_limit: lines.resume_limit,
        catch_up_reads: lines.reads,
        send_limit: lines.send_limit,
        slow_limit: lines.slow_limit,
        ..HubSettings::default()
    }
}

#[cfg(feature = "sabotage")]
fn plant(hub: &Hub, node: &Node) {
    use adapters_websocket::Planted;
    for (bug, planted) in
        [(Sabotage::SilentLag, Planted::CutUnheard), (Sabotage::LateListening, Planted::LateListening)]
    {
        if node.world.has(bug) {
            hub.plant(planted);
        }
    }
}

#[cfg(not(feature = "sabotage"))]
fn plant(_: &Hub, node: &Node) {
    debug_assert!(!node.world.has(Sabotage::SilentLag), "this build plants no bugs");
}

/// Tokens that say in plain words who somebody is: tenant, subject, role, and owner if bound to one.
struct Tokens {
    clock: Arc<SimClock>,
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let mut words = token.split(' ');
        let mut word = || words.next().ok_or(AuthError::Malformed);
        let tenant = TenantId::parse(word()?).map_err(|_| AuthError::Claim { claim: "tenant" })?;
        let (subject, role) = (word()?.to_owned(), word()?);
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        let owner = words.next().map(OwnerId::parse).transpose().map_err(|_| AuthError::Claim { claim: "owner" })?;
        Ok(Principal {
            subject,
            tenant,
            roles: vec![role.ok_or(AuthError::Claim { claim: "roles" })?],
            owner,
            expires_at: self.clock.now() + TOKEN,
        })
    }
}
