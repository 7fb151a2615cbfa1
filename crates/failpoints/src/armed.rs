//! What a point does in a build that has them: looks whether it is armed, and acts. Which points there are lives above.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::{Point, VARIABLE};

static ORDERS: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(VARIABLE).map(PathBuf::from));

pub(super) fn pass(point: Point) {
    if let Some(orders) = ORDERS.as_deref() {
        obey(orders, point);
    }
}

fn obey(orders: &Path, point: Point) {
    let Ok(text) = std::fs::read_to_string(orders) else { return };
    let order = Order::read(&text);
    if order.point != point {
        return;
    }
    // Who takes it away acts on it: of two who come at the same time, one.
    if order.always || std::fs::remove_file(orders).is_ok() {
        order.carry_out();
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Order {
    point: Point,
    action: Action,
    always: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Abort,
    Panic,
}

impl Order {
    /// Panics on nonsense: a test that arms what does not exist must not pass.
    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, action, always) = match words.as_slice() {
            [name, action] => (*name, *action, false),
            [name, action, "always"] => (*name, *action, true),
            _ => panic!("{VARIABLE}: {text:?} is no order; write `POINT abort`, or `POINT panic [always]`"),
        };
        let point = Point::ALL.iter().find(|point| point.name() == name);
        let action = match action {
            "abort" => Action::Abort,
            "panic" => Action::Panic,
            _ => panic!("{VARIABLE}: {action:?} is no action; there are abort and panic"),
        };
        Self { point: *point.unwrap_or_else(|| panic!("{VARIABLE}: there is no point {name:?}")), action, always }
    }

    fn carry_out(&self) {
        match self.action {
            Action::Abort => {
                eprintln!("aborted at {}", self.point.name());
                std::process::abort()
            }
            Action::Panic => panic!("panicked at {}", self.point.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_carried_out_once_and_only_at_its_point() {
        let orders = std::env::temp_dir().join(format!("failpoints-{}", std::process::id()));
        std::fs::write(&orders, "relay.round panic\n").expect("a file");
        obey(&orders, Point::StoreBegun);
        std::panic::catch_unwind(|| obey(&orders, Point::RelayRound)).expect_err("it panics");
        assert!(!orders.exists());
        obey(&orders, Point::RelayRound);
    }

    #[test]
    fn orders_are_read() {
        let order = Order::read("store.begun abort");
        assert_eq!(order, Order { point: Point::StoreBegun, action: Action::Abort, always: false });
        let order = Order::read("live.round panic always");
        assert_eq!(order, Order { point: Point::LiveRound, action: Action::Panic, always: true });
    }

    #[test]
    #[should_panic(expected = "there is no point \"store.began\"")]
    fn a_point_that_does_not_exist_is_no_order() {
        Order::read("store.began abort");
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
