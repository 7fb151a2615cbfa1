//! All instances: each place has one that lives, dies or is stopped, and is followed by another one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::calls::Node;
use crate::fault::Fault;
use crate::instance::{Instance, Running};
use crate::world::World;

/// What happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It dies; the next one comes after so long.
    Die(Duration),
    /// It is stopped in order, and the next one comes at once.
    Restart,
    /// It is stopped in order, for good.
    End,
}

/// All instances.
pub(crate) struct Fleet {
    world: Arc<World>,
    /// How many instances there ever were.
    count: AtomicU64,
    places: Mutex<Vec<Option<Arc<Instance>>>>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Fleet {
    /// Starts as many instances as the plan has, each in a task of `lives`.
    pub(crate) fn start(world: &Arc<World>, lives: &mut JoinSet<()>) -> Arc<Self> {
        let (orders, inboxes): (Vec<_>, Vec<_>) = (0..world.plan.instances).map(|_| mpsc::unbounded_channel()).unzip();
        let fleet = Arc::new(Self {
            world: Arc::clone(world),
            count: AtomicU64::new(0),
            places: Mutex::new(vec![None; orders.len()]),
            orders,
        });
        for (place, inbox) in inboxes.into_iter().enumerate() {
            lives.spawn(live(Arc::clone(&fleet), place, inbox));
        }
        fleet
    }

    fn places(&self) -> MutexGuard<'_, Vec<Option<Arc<Instance>>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instances that are up.
    pub(crate) fn up(&self) -> Vec<Arc<Instance>> {
        self.places().iter().flatten().cloned().collect()
    }

    /// One that is up; waits until there is one.
    pub(crate) async fn any(&self) -> Arc<Instance> {
        loop {
            let came_up = self.world.came_up.notified();
            let up = self.up();
            if !up.is_empty() {
                let at = self.world.state().rng.index(up.len());
                return Arc::clone(&up[at]);
            }
            came_up.await;
        }
    }

    pub(crate) fn order(&self, place: usize, order: Order) {
        // A place that ended hears nothing.
        let _ = self.orders[place].send(order);
    }

    pub(crate) fn order_all(&self, order: Order) {
        (0..self.orders.len()).for_each(|place| self.order(place, order));
    }

    fn new_node(&self) -> Arc<Node> {
        let who = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let ahead = if self.world.plan.rates.of(Fault::ClockSkew) > 0 {
            let seconds = i64::try_from(self.world.between(0, 1_200)).unwrap_or(0) - 600;
            TimeDelta::seconds(seconds)
        } else {
            TimeDelta::zero()
        };
        Node::new(&self.world, who, ahead)
    }
}

/// The lives of one place.
async fn live(fleet: Arc<Fleet>, place: usize, mut orders: mpsc::UnboundedReceiver<Order>) {
    let world = Arc::clone(&fleet.world);
    loop {
        let node = fleet.new_node();
        let who = node.gate.who;
        let settings = world.plan.settings_of(&mut world.state().rng);
        let started = tokio::select! {
            biased;
            () = node.gate.died.notified() => None,
            started = Running::start(Arc::clone(&node), settings) => started.ok(),
        };
        let Some(mut running) = started else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        world.tell("up", [who, 0], || node.name.clone());
        fleet.places()[place] = Some(Arc::clone(&running.instance));
        world.came_up.notify_waiters();
        let order = tokio::select! {
            biased;
            () = node.gate.died.notified() => Order::Die(pause(&world)),
            order = next(&mut orders, &world) => order,
            ended = running.tasks.join_next() => {
                let how = if ended.is_some_and(|ended| ended.is_err_and(|error| error.is_panic())) {
                    "panicked"
                } else {
                    "ended"
                };
                world.audit(|audit, _, _| audit.breaks(format!("a loop of {} {how} by itself", node.name)));
                Order::End
            }
        };
        world.tell("down", [who, 0], || format!("{}: {order:?}", node.name));
        fleet.places()[place] = None;
        match order {
            Order::Die(down_for) => {
                world.state().audit.counts.deaths += 1;
                running.die().await;
                wait_down(&world, down_for).await;
            }
            Order::Restart => running.stop().await,
            Order::End => return running.stop().await,
        }
    }
}

/// The next order. Nobody is killed any more once nothing goes wrong.
async fn next(orders: &mut mpsc::UnboundedReceiver<Order>, world: &World) -> Order {
    loop {
        let order = orders.recv().await.unwrap_or(Order::End);
        if order == Order::End || !world.is_calm() {
            return order;
        }
    }
}

fn pause(world: &World) -> Duration {
    Duration::from_millis(world.between(10, 5_000))
}

/// Nobody stays down once nothing goes wrong any more.
async fn wait_down(world: &World, down_for: Duration) {
    let _ = tokio::time::timeout(down_for, world.calm.cancelled()).await;
}
