//! The proof that a store breaks no invariant: INV-1 to INV-8, the audit chain, and the streams against the log, read in
//! batches. What goes over it again and again while the service runs lives in `patrol`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::fold;
use domain::invariants::{Invariant, Violation, check_campaign, check_command};
use ports::PortError;
use ports::feed::Outbox;
use ports::journal::Position;
use ports::verification::{CaseFile, ChainFault, StreamFault, Streams, Verification};

/// How many campaigns, or links of the chain, are read at once.
const BATCH: usize = 500;
/// How many violations a report lists; the rest is counted.
const LISTED: usize = 100;

/// A violation, and whether a repair mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is wrong.
    pub violation: Violation,
    /// Whether the log tells how it must be. Nothing is repairable from a log that does not hold itself.
    pub repairable: bool,
}

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub struct Proof {
    /// Campaigns checked.
    pub campaigns: u64,
    /// Steps of their logs.
    pub steps: u64,
    /// Their pending timers.
    pub timers: u64,
    /// The audit chain.
    pub chain: Chain,
    /// Records that were compared with the streams; none where there are no streams to compare.
    pub told: Option<u64>,
    /// Violations found, per invariant.
    pub counts: BTreeMap<Invariant, u64>,
    /// How many of them a repair mends.
    pub repairable: u64,
    /// The first violations.
    pub violations: Vec<Found>,
    /// The streams that hold something else than the log says, and the first position where they do.
    pub damaged: BTreeMap<String, Position>,
}

/// The audit chain as it was recomputed.
#[derive(Debug, Default)]
pub struct Chain {
    /// Records checked.
    pub records: u64,
    /// The last position.
    pub head: Position,
    /// The hash there, in hex.
    pub hash: String,
    /// Places where it does not hold; the first ones.
    pub faults: Vec<ChainFault>,
    /// How many there are.
    pub fault_count: u64,
}

impl Proof {
    /// How many violations there are in all.
    pub fn violation_count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// What is made again from a log that was changed may be as wrong, and what differs from it may be the last that is right.
    fn trust_no_log(&mut self) {
        self.repairable = 0;
        self.violations.iter_mut().for_each(|found| found.repairable = false);
        self.damaged.clear();
    }

    fn add(&mut self, found: impl IntoIterator<Item = Found>) {
        for found in found {
            *self.counts.entry(found.violation.invariant).or_default() += 1;
            self.repairable += u64::from(found.repairable);
            if self.violations.len() < LISTED {
                self.violations.push(found);
            }
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// So many campaigns.
    Campaigns(u64),
    /// So many links of the chain.
    Records(u64),
    /// So many records against the streams.
    Told(u64),
}

/// What the world was told, and the log that it is compared with.
#[derive(Clone)]
pub struct Telling {
    /// What the world was told.
    pub streams: Arc<dyn Streams>,
    /// The log, as far back as it can be told.
    pub outbox: Arc<dyn Outbox>,
}

/// Checks everything; tells its progress after every batch.
///
/// `memory` is how long a command's id is remembered: later it may be used again.
///
/// # Errors
/// When the store, or what the world was told, cannot be read.
pub async fn prove(
    store: &dyn Verification,
    telling: Option<&Telling>,
    memory: Duration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Proof, PortError> {
    let mut proof = Proof::default();
    let mut after = None;
    loop {
        let files = store.case_files(after, BATCH).await?;
        let Some(last) = files.last() else { break };
        after = Some(last.key.clone());
        for file in &files {
            proof.campaigns += 1;
            proof.timers += file.pending.len() as u64;
            proof.steps += file.log.as_ref().map_or(0, |log| log.len() as u64);
            proof.add(check_file(file));
        }
        progress(Progress::Campaigns(proof.campaigns));
    }
    proof.add(check_commands(store, Position::START, memory).await?);
    // Before the chain: what was told until now is in it.
    let told = match telling {
        Some(telling) => Some((telling, telling.streams.told().await?)),
        None => None,
    };
    proof.chain = check_chain(store, None, progress).await?;
    let lost: Vec<Found> = proof.chain.faults.iter().map(lost).collect();
    proof.add(lost);
    if let Some((telling, told)) = told {
        check_streams(&mut proof, telling, told, progress).await?;
    }
    if proof.chain.fault_count > 0 {
        proof.trust_no_log();
    }
    Ok(proof)
}

/// What is wrong with one campaign.
pub(crate) fn check_file(file: &CaseFile) -> Vec<Found> {
    let unreadable = |invariant, what: &str, error: &str| Violation {
        invariant,
        subject: format!("campaign {}", file.key),
        detail: format!("its {what} cannot be read: {error}"),
    };
    let mut violations = file.faults.clone();
    let mut log_folds = false;
    match &file.log {
        Ok(log) => {
            log_folds = fold(&file.key, log).is_ok();
            match &file.stored {
                Ok(stored) => violations.extend(check_campaign(stored, log, &file.pending, &file.failed)),
                Err(error) => violations.push(unreadable(Invariant::StateIsFold, "state", error)),
            }
        }
        Err(error) => {
            let stored = file.stored.as_ref().err();
            violations.extend(stored.map(|error| unreadable(Invariant::StateIsFold, "state", error)));
            violations.push(unreadable(Invariant::StepsInTable, "log", error));
        }
    }
    let found = violations.into_iter().map(|violation| Found {
        repairable: log_folds
            && matches!(
                violation.invariant,
                Invariant::StateIsFold | Invariant::TimersArePlan | Invariant::TerminalHasNone
            ),
        violation,
    });
    found.collect()
}

/// The commands after `after` that had more than one effect.
pub(crate) async fn check_commands(
    store: &dyn Verification,
    after: Position,
    memory: Duration,
) -> Result<Vec<Found>, PortError> {
    let memory = TimeDelta::from_std(memory).unwrap_or(TimeDelta::MAX);
    let doubled = store.doubled_commands(after, memory, LISTED).await?;
    let violations = doubled.iter().filter_map(|(command, decisions)| check_command(command, *decisions));
    Ok(violations.map(|violation| Found { violation, repairable: false }).collect())
}

/// A fact that is missing or was changed is not the fact that was, or will be, published.
pub(crate) fn lost(fault: &ChainFault) -> Found {
    let violation = Violation {
        invariant: Invariant::EventsAreKept,
        subject: format!("position {}", fault.position),
        detail: fault.detail.clone(),
    };
    Found { violation, repairable: false }
}

fn mistold(fault: &StreamFault) -> Found {
    let violation = Violation {
        invariant: Invariant::EventsAreKept,
        subject: format!("stream {}, position {}", fault.stream, fault.position),
        detail: fault.detail.clone(),
    };
    Found { violation, repairable: true }
}

/// Some records against the streams.
pub(crate) struct ToldPage {
    /// The last position that was compared; none when there was nothing more.
    pub(crate) last: Option<Position>,
    /// How many records were.
    pub(crate) checked: u64,
    /// What is wrong.
    pub(crate) faults: Vec<StreamFault>,
}

impl ToldPage {
    /// What is wrong, as violations.
    pub(crate) fn found(&self) -> impl Iterator<Item = Found> {
        self.faults.iter().map(mistold)
    }
}

impl Telling {
    /// Compares at most `limit` records after `after` and not above `told`.
    pub(crate) async fn page(&self, after: Position, told: Position, limit: usize) -> Result<ToldPage, PortError> {
        let mut records = self.outbox.read(after, limit).await?;
        records.retain(|record| record.position <= told);
        let mut faults = if records.is_empty() { Vec::new() } else { self.streams.compare(&records).await? };
        if !faults.is_empty() {
            // Old entries go when the outbox does not reach back to them any more, also while they are compared.
            let begin = self.outbox.begin().await?;
            faults.retain(|fault| fault.position > begin);
        }
        let last = records.last().map(|record| record.position);
        Ok(ToldPage { last, checked: records.len() as u64, faults })
    }
}

async fn check_streams(
    proof: &mut Proof,
    telling: &Telling,
    told: Position,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), PortError> {
    if told > proof.chain.head {
        let violation = Violation {
            invariant: Invariant::EventsAreKept,
            subject: format!("position {told}"),
            detail: format!(
                "the streams were told up to it, the log ends at {}: it is an older copy; see `lifecycle replay --streams`",
                proof.chain.head
            ),
        };
        proof.add([Found { violation, repairable: false }]);
    }
    let mut after = telling.outbox.begin().await?;
    let mut compared = 0;
    loop {
        let page = telling.page(after, told, BATCH).await?;
        for fault in &page.faults {
            let first = proof.damaged.entry(fault.stream.clone()).or_insert(fault.position);
            *first = (*first).min(fault.position);
        }
        proof.add(page.found());
        compared += page.checked;
        progress(Progress::Told(compared));
        match page.last {
            Some(last) => after = last,
            None => break,
        }
    }
    proof.told = Some(compared);
    Ok(())
}

/// A place in the chain that was noted earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Where.
    pub position: Position,
    /// Its hash, in hex.
    pub hash: String,
}

impl Head {
    /// Reads `POSITION:HASH`.
    pub fn parse(text: &str) -> Result<Self, String> {
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
pub async fn check_chain(
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
        store.expect_doubled_commands().returning(|_, _, _| Ok(Vec::new()));
        store.expect_check_chain().returning(|after, _, limit| {
            let last = (after.0 + limit as u64).min(1_200);
            let (checked, done) = (last - after.0, last == 1_200);
            Ok(ChainPage { last: Position(last), hash: hash(last), checked, faults: Vec::new(), done })
        });
        store
    }

    #[tokio::test]
    async fn a_sound_store_has_no_violation() {
        let proof = prove(&store(), None, MEMORY, &mut |_| {}).await.expect("readable");
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
        store.expect_doubled_commands().returning(|_, _, _| Ok(vec![("default/x".to_owned(), 2)]));
        store.expect_check_chain().returning(|after, _, _| {
            Ok(ChainPage { last: after, hash: String::new(), checked: 0, faults: Vec::new(), done: true })
        });
        let proof = prove(&store, None, MEMORY, &mut |_| {}).await.expect("readable");
        let ids: Vec<_> = proof.violations.iter().map(|v| v.violation.invariant.id()).collect();
        assert_eq!(ids, ["INV-3", "INV-1", "INV-7"]);
        assert_eq!(proof.repairable, 0, "its log is empty");
    }

    #[tokio::test]
    async fn what_differs_from_a_log_that_was_changed_is_not_to_be_repaired_from_it() {
        for (broken, repairable) in [(false, 1), (true, 0)] {
            let mut sick = MockVerification::new();
            sick.expect_case_files().returning(|after, _| Ok(after.is_none().then(mislaid).into_iter().collect()));
            sick.expect_doubled_commands().returning(|_, _, _| Ok(Vec::new()));
            sick.expect_check_chain().returning(move |_, _, _| {
                let fault = ChainFault { position: Position(1), detail: "it was changed".to_owned() };
                let faults = if broken { vec![fault] } else { Vec::new() };
                Ok(ChainPage { last: Position(1), hash: hash(1), checked: 1, faults, done: true })
            });
            let proof = prove(&sick, None, MEMORY, &mut |_| {}).await.expect("readable");
            assert_eq!(proof.repairable, repairable, "{:?}", proof.violations);
            assert_eq!(proof.violation_count(), 1 + u64::from(broken));
        }
    }

    /// A sound campaign of which the store cannot find a timer.
    fn mislaid() -> CaseFile {
        let at = domain::Timestamp::from_timestamp(1_767_225_600, 0).expect("a valid instant");
        let key = domain::CampaignKey {
            tenant: domain::TenantId::default_tenant(),
            id: domain::CampaignId::parse("c1").expect("valid"),
        };
        let start = at + TimeDelta::minutes(1);
        let definition = domain::Definition {
            window: domain::Window::new(start, start + TimeDelta::hours(1)).expect("a valid window"),
            auto_close: true,
            rewards_enabled: true,
            target_engagements: None,
            close_on_target: false,
            owner: None,
            policy: domain::PolicyOverrides::default(),
            metadata: domain::JsonText::empty(),
        };
        let create = domain::Command::Create { definition };
        let mut events = domain::decide(None, &create, None, &domain::Policy::default(), at).expect("it is valid");
        let mut ids = 0;
        let mut new_id = || {
            ids += 1;
            domain::TimerId(uuid::Uuid::from_u128(ids))
        };
        let (stored, step) = domain::advance(&key, None, events.remove(0), at, &mut new_id).expect("a first step");
        let violation = Violation {
            invariant: Invariant::TimersArePlan,
            subject: "campaign default/c1".to_owned(),
            detail: "a timer's row is not as it should be".to_owned(),
        };
        CaseFile {
            key,
            pending: stored.timers.clone(),
            stored: Ok(stored),
            log: Ok(vec![step]),
            failed: Vec::new(),
            faults: vec![violation],
        }
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
