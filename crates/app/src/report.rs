//! A proof as JSON tells it. What is proved lives in `application`.

use std::collections::BTreeMap;
use std::time::Duration;

use application::{Chain, Proof, Repaired};
use domain::invariants::Invariant;
use serde::Serialize;

/// A proof as JSON tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProofBody {
    ok: bool,
    campaigns: u64,
    steps: u64,
    pending_timers: u64,
    invariants: Vec<InvariantBody>,
    violations: Vec<ViolationBody>,
    /// How many of the violations `--repair` mends.
    repairable: u64,
    chain: ChainBody,
    /// Records compared with the streams; null where there are none, or they were left out.
    told: Option<u64>,
    /// What was mended; null unless that was asked for and something was to be mended.
    repaired: Option<RepairedBody>,
    took_ms: u64,
}

/// What was mended.
#[derive(Debug, Serialize)]
struct RepairedBody {
    campaigns: Vec<String>,
    unreadable: Vec<String>,
    /// The streams that were told again, and from which position on they had missed something.
    streams: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct InvariantBody {
    id: &'static str,
    violations: u64,
}

#[derive(Debug, Serialize)]
struct ViolationBody {
    invariant: &'static str,
    subject: String,
    detail: String,
    repairable: bool,
}

/// A chain as JSON tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainBody {
    ok: bool,
    records: u64,
    head: u64,
    hash: String,
    fault_count: u64,
    faults: Vec<FaultBody>,
}

#[derive(Debug, Serialize)]
struct FaultBody {
    position: u64,
    detail: String,
}

impl ProofBody {
    /// The proof, which took so long; `repaired` is what was mended before it.
    pub(crate) fn new(proof: &Proof, repaired: Option<&Repaired>, took: Duration) -> Self {
        let count = |invariant| proof.counts.get(&invariant).copied().unwrap_or_default();
        Self {
            ok: proof.violation_count() == 0,
            campaigns: proof.campaigns,
            steps: proof.steps,
            pending_timers: proof.timers,
            invariants: Invariant::ALL.map(|i| InvariantBody { id: i.id(), violations: count(i) }).into(),
            violations: proof
                .violations
                .iter()
                .map(|v| ViolationBody {
                    invariant: v.violation.invariant.id(),
                    subject: v.violation.subject.clone(),
                    detail: v.violation.detail.clone(),
                    repairable: v.repairable,
                })
                .collect(),
            repairable: proof.repairable,
            chain: ChainBody::from(&proof.chain),
            told: proof.told,
            repaired: repaired.map(RepairedBody::from),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<&Chain> for ChainBody {
    fn from(chain: &Chain) -> Self {
        let faults = chain.faults.iter().map(|f| FaultBody { position: f.position.0, detail: f.detail.clone() });
        Self {
            ok: chain.fault_count == 0,
            records: chain.records,
            head: chain.head.0,
            hash: chain.hash.clone(),
            fault_count: chain.fault_count,
            faults: faults.collect(),
        }
    }
}

impl From<&Repaired> for RepairedBody {
    fn from(repaired: &Repaired) -> Self {
        Self {
            campaigns: repaired.campaigns.iter().map(ToString::to_string).collect(),
            unreadable: repaired.unreadable.iter().map(ToString::to_string).collect(),
            streams: repaired.streams.iter().map(|(stream, from)| (stream.clone(), from.0)).collect(),
        }
    }
}
