//! The proof that a store breaks no invariant: INV-1 to INV-8 and the audit chain, read in batches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::invariants::{Invariant, Violation, check_campaign, check_command};
use ports::PortError;
use ports::journal::Position;
use ports::verification::{CaseFile, ChainFault, Verification};
use serde::Serialize;

/// How many campaigns, or links of the chain, are read at once.
const BATCH: usize = 500;
/// How many violations a report lists; the rest is counted.
const LISTED: usize = 100;

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// Campaigns checked.
    pub(crate) campaigns: u64,
    /// Steps of their logs.
    pub(crate) steps: u64,
    /// Their pending timers.
    pub(crate) timers: u64,
    /// The audit chain.
    pub(crate) chain: Chain,
    /// Violations found, per invariant.
    pub(crate) counts: BTreeMap<Invariant, u64>,
    /// The first violations.
    pub(crate) violations: Vec<Violation>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The audit chain as it was recomputed.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Records checked.
    pub(crate) records: u64,
    /// The last position.
    pub(crate) head: Position,
    /// The hash there, in hex.
    pub(crate) hash: String,
    /// Places where it does not hold; the first ones.
    pub(crate) faults: Vec<ChainFault>,
    /// How many there are.
    pub(crate) fault_count: u64,
}

impl Proof {
    /// How many violations there are in all.
    pub(crate) fn violation_count(&self) -> u64 {
        self.counts.values().sum()
    }

    fn add(&mut self, found: impl IntoIterator<Item = Violation>) {
        for violation in found {
            *self.counts.entry(violation.invariant).or_default() += 1;
            if self.violations.len() < LISTED {
                self.violations.push(violation);
            }
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Campaigns(u64),
    Records(u64),
}

/// Checks everything; tells its progress after every batch.
///
/// `memory` is how long a command's id is remembered: later it may be used again.
pub(crate) async fn prove(
    store: &dyn Verification,
    memory: Duration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Proof, PortError> {
    let started = Instant::now();
    let mut proof = Proof::default();
    let mut after = None;
    loop {
        let files = store.case_files(after, BATCH).await?;
        let Some(last) = files.last() else { break };
        after = Some(last.key.clone());
        for file in &files {
            check_file(&mut proof, file);
        }
        progress(Progress::Campaigns(proof.campaigns));
    }
    let memory = TimeDelta::from_std(memory).unwrap_or(TimeDelta::MAX);
    for (command, decisions) in store.doubled_commands(memory, LISTED).await? {
        proof.add(check_command(&command, decisions));
    }
    proof.chain = check_chain(store, None, progress).await?;
    let lost: Vec<Violation> = proof.chain.faults.iter().map(as_violation).collect();
    proof.add(lost);
    proof.took = started.elapsed();
    Ok(proof)
}

/// A fact that is missing or was changed is not the fact that was, or will be, published.
fn as_violation(fault: &ChainFault) -> Violation {
    Violation {
        invariant: Invariant::EventsAreKept,
        subject: format!("position {}", fault.position),
        detail: fault.detail.clone(),
    }
}

fn check_file(proof: &mut Proof, file: &CaseFile) {
    proof.campaigns += 1;
    proof.timers += file.pending.len() as u64;
    proof.add(file.faults.iter().cloned());
    let unreadable = |invariant, what: &str, error: &str| Violation {
        invariant,
        subject: format!("campaign {}", file.key),
        detail: format!("its {what} cannot be read: {error}"),
    };
    match (&file.stored, &file.log) {
        (Ok(stored), Ok(log)) => {
            proof.steps += log.len() as u64;
            proof.add(check_campaign(stored, log, &file.pending, &file.failed));
        }
        (stored, log) => {
            let stored = stored.as_ref().err().map(|error| unreadable(Invariant::StateIsFold, "state", error));
            let log = log.as_ref().err().map(|error| unreadable(Invariant::StepsInTable, "log", error));
            proof.add(stored.into_iter().chain(log));
        }
    }
}

/// A place in the chain that was noted earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where.
    pub(crate) position: Position,
    /// Its hash, in hex.
    pub(crate) hash: String,
}

impl Head {
    /// Reads `POSITION:HASH`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(position, hash)| Some((position.parse().ok()?, hash)));
        match parts {
            Some((position, hash)) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Self { position: Position(position), hash: hash.to_ascii_lowercase() })
            }
            _ => Err("a head is POSITION:HASH as `lifecycle audit verify` prints it".to_owned()),
        }
    }
}

/// Recomputes the whole chain; `expected` must be part of it.
pub(crate) async fn check_chain(
    store: &dyn Verification,
    expected: Option<&Head>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Chain, PortError> {
    let mut chain = Chain::default();
    let mut met = expected.is_none_or(|head| head.position == Position::START);
    loop {
        // A page ends where something is expected, so that the hash there is seen.
        let to_expected = expected.and_then(|head| head.position.0.checked_sub(chain.head.0)).filter(|left| *left > 0);
        let limit = to_expected.map_or(BATCH, |left| usize::try_from(left).unwrap_or(BATCH).min(BATCH));
        let page = store.check_chain(chain.head, &chain.hash, limit).await?;
        let moved = page.last > chain.head;
        chain.records += page.checked;
        chain.fault_count += page.faults.len() as u64;
        chain.faults.extend(page.faults.into_iter().take(LISTED.saturating_sub(chain.faults.len())));
        (chain.head, chain.hash) = (page.last, page.hash);
        if let Some(head) = expected.filter(|head| head.position == chain.head && !met) {
            met = true;
            if head.hash != chain.hash {
                let detail = format!("its hash is {}, not {} as expected", chain.hash, head.hash);
                chain.faults.push(ChainFault { position: head.position, detail });
                chain.fault_count += 1;
            }
        }
        progress(Progress::Records(chain.records));
        if page.done || !moved {
            break;
        }
    }
    if let Some(head) = expected.filter(|_| !met) {
        let detail = format!("is expected in the chain, which ends at {}", chain.head);
        chain.faults.push(ChainFault { position: head.position, detail });
        chain.fault_count += 1;
    }
    Ok(chain)
}

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
    chain: ChainBody,
    took_ms: u64,
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

impl From<&Proof> for ProofBody {
    fn from(proof: &Proof) -> Self {
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
                    invariant: v.invariant.id(),
                    subject: v.subject.clone(),
                    detail: v.detail.clone(),
                })
                .collect(),
            chain: ChainBody::from(&proof.chain),
            took_ms: u64::try_from(proof.took.as_millis()).unwrap_or(u64::MAX),
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

#[cfg(test)]
mod tests {
    use ports::verification::{ChainPage, MockVerification};

    use super::*;

    const MEMORY: Duration = Duration::from_hours(24);

    fn hash(position: u64) -> String {
        format!("{position:064x}")
    }

    /// A store with a sound chain of 1,200 records.
    fn store() -> MockVerification {
        let mut store = MockVerification::new();
        store.expect_case_files().returning(|_, _| Ok(Vec::new()));
        store.expect_doubled_commands().returning(|_, _| Ok(Vec::new()));
        store.expect_check_chain().returning(|after, _, limit| {
            let last = (after.0 + limit as u64).min(1_200);
            let (checked, done) = (last - after.0, last == 1_200);
            Ok(ChainPage { last: Position(last), hash: hash(last), checked, faults: Vec::new(), done })
        });
        store
    }

    #[tokio::test]
    async fn a_sound_store_has_no_violation() {
        let proof = prove(&store(), MEMORY, &mut |_| {}).await.expect("readable");
        assert_eq!((proof.violation_count(), proof.chain.records, proof.chain.head), (0, 1_200, Position(1_200)));
    }

    #[tokio::test]
    async fn a_head_noted_earlier_must_be_part_of_the_chain() {
        for (position, noted, sound) in
            [(700, 700, true), (1_200, 1_200, true), (700, 701, false), (1_300, 1_300, false)]
        {
            let head = Head { position: Position(position), hash: hash(noted) };
            let chain = check_chain(&store(), Some(&head), &mut |_| {}).await.expect("readable");
            assert_eq!(chain.fault_count == 0, sound, "{position}:{noted} {:?}", chain.faults);
            assert_eq!(chain.records, 1_200);
        }
    }

    #[tokio::test]
    async fn a_command_with_two_effects_and_an_unreadable_campaign_are_violations() {
        let mut store = MockVerification::new();
        let key = domain::CampaignKey {
            tenant: domain::TenantId::default_tenant(),
            id: domain::CampaignId::parse("c1").expect("valid"),
        };
        store.expect_case_files().returning(move |after, _| {
            let file = CaseFile {
                key: key.clone(),
                stored: Err("not JSON".to_owned()),
                log: Ok(Vec::new()),
                pending: Vec::new(),
                failed: Vec::new(),
                faults: vec![Violation {
                    invariant: Invariant::TimersArePlan,
                    subject: "campaign default/c1".to_owned(),
                    detail: "a timer's row is not as it should be".to_owned(),
                }],
            };
            Ok(if after.is_none() { vec![file] } else { Vec::new() })
        });
        store.expect_doubled_commands().returning(|_, _| Ok(vec![("default/x".to_owned(), 2)]));
        store.expect_check_chain().returning(|after, _, _| {
            Ok(ChainPage { last: after, hash: String::new(), checked: 0, faults: Vec::new(), done: true })
        });
        let proof = prove(&store, MEMORY, &mut |_| {}).await.expect("readable");
        let ids: Vec<_> = proof.violations.iter().map(|v| v.invariant.id()).collect();
        assert_eq!(ids, ["INV-3", "INV-1", "INV-7"]);
        assert!(!ProofBody::from(&proof).ok);
    }

    #[test]
    fn a_head_is_a_position_and_a_hash() {
        let text = format!("12:{}", "AB".repeat(32));
        assert_eq!(Head::parse(&text), Ok(Head { position: Position(12), hash: "ab".repeat(32) }));
        for text in ["", "12", "12:", "x:ab", "12:zz"] {
            assert!(Head::parse(text).is_err(), "{text}");
        }
    }
}
