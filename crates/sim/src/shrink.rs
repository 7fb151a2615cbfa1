//! Makes a failing run smaller: fewer faults, operations and instances, as long as it still fails.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::run;

/// The smallest plan that was found that breaks a promise as `plan` does.
pub fn shrink(plan: &Plan) -> Plan {
    let mut smallest = plan.clone();
    loop {
        let smaller = candidates(&smallest).into_iter().find(|candidate| run(candidate, false).broken.is_some());
        match smaller {
            Some(plan) => smallest = plan,
            None => return smallest,
        }
    }
}

/// Plans that are a little smaller each.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut candidates = Vec::new();
    if plan.operations >= 20 {
        candidates.push(Plan { operations: plan.operations / 2, ..plan.clone() });
        candidates.push(Plan { operations: plan.operations / 2, active: plan.active / 2, ..plan.clone() });
    }
    for fault in plan.rates.on() {
        let mut without = plan.clone();
        without.rates.set(fault, 0);
        candidates.push(without);
    }
    if plan.instances > 1 {
        candidates.push(Plan { instances: plan.instances - 1, ..plan.clone() });
    }
    if plan.campaigns > 1 {
        candidates.push(Plan { campaigns: plan.campaigns / 2, ..plan.clone() });
    }
    if plan.latency_ms > 0 {
        candidates.push(Plan { latency_ms: 0, ..plan.clone() });
    }
    candidates
}

/// What a plan has, for people.
pub fn describe(plan: &Plan) -> String {
    let faults: Vec<String> =
        plan.rates.on().iter().map(|fault: &Fault| format!("{fault:?} {}", plan.rates.of(*fault))).collect();
    format!(
        "{} instances, {} operations, {} campaigns, {} s, faults per mille: {}",
        plan.instances,
        plan.operations,
        plan.campaigns,
        plan.active.as_secs(),
        if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
    )
}
