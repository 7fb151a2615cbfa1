//! What clients and producers asked for, and what they were told. What nobody knows counts neither as done nor as not done.

use domain::CampaignKey;
use ports::journal::{Entry, Record};
use ports::store::{CommandKey, Outcome};

use super::Audit;
use crate::model::store::Database;

/// An operation's number; it is told to the service as its correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId(pub(crate) usize);

impl OpId {
    /// How the service hears of it.
    pub(crate) fn correlation(self) -> String {
        format!("op-{}", self.0)
    }

    fn of(record: &Record) -> Option<Self> {
        record.fact.cause.correlation.as_ref()?.strip_prefix("op-")?.parse().ok().map(Self)
    }
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// What it came to.
    Outcome(Outcome),
    /// Nothing was done, and nothing will be.
    NotDone(&'static str),
    /// Nothing, or that nobody knows.
    Unknown,
}

/// One operation.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two of them make a state")]
pub(super) struct Op {
    pub(super) key: CampaignKey,
    /// The name by which it is remembered, if it is.
    pub(super) command: Option<CommandKey>,
    /// Whether it is an event.
    pub(super) is_event: bool,
    pub(super) outcome: Option<Outcome>,
    /// An attempt is under way, or its end is not known.
    is_open: bool,
    /// The client was told, last of all, that nothing was done.
    is_denied: bool,
    /// The end of an earlier attempt is not known.
    is_doubtful: bool,
    /// The positions of what it did; those of one decision follow each other.
    effects: Vec<u64>,
    /// The version after it.
    version: u64,
    rejected: bool,
}

impl Audit {
    /// Somebody is going to ask for something.
    pub(crate) fn plans(&mut self, key: CampaignKey, is_event: bool) -> OpId {
        self.ops.push(Op {
            key,
            command: None,
            is_event,
            outcome: None,
            is_open: false,
            is_denied: false,
            is_doubtful: false,
            effects: Vec::new(),
            version: 0,
            rejected: false,
        });
        OpId(self.ops.len() - 1)
    }

    /// It is asked for, once more or for the first time.
    pub(crate) fn asks(&mut self, op: OpId, command: Option<CommandKey>) {
        let op = &mut self.ops[op.0];
        op.command = command;
        op.is_open = true;
        op.is_denied = false;
    }

    /// A record followed from an operation.
    pub(super) fn took_effect(&mut self, record: &Record) {
        let Some(id) = OpId::of(record) else { return };
        let Some(op) = self.ops.get_mut(id.0) else { return };
        let position = record.position.0;
        let is_another = op.effects.last().is_some_and(|last| last + 1 != position);
        let is_lie = op.is_denied;
        op.effects.push(position);
        match &record.fact.entry {
            Entry::Step(step) => {
                op.version = step.step.sequence;
                if op.effects.len() == 1 {
                    self.counts.applied += 1;
                }
            }
            Entry::Rejected { .. } => op.rejected = true,
            _ => {}
        }
        let shown = super::shown(record);
        if is_another {
            self.breaks(format!("{} was done twice: again at {position}, {shown}", id.correlation()));
        }
        if is_lie {
            self.breaks(format!("{} was done at {position}, {shown}, and denied before", id.correlation()));
        }
    }

    /// The client was told something.
    pub(crate) fn hears(&mut self, id: OpId, told: &Told) {
        let Some(op) = self.ops.get_mut(id.0) else { return };
        let name = id.correlation();
        let problem = match told {
            Told::Unknown => {
                op.is_doubtful = true;
                None
            }
            // It speaks of this attempt only.
            Told::NotDone(_) if op.is_doubtful || op.outcome.is_some() => {
                op.is_open = op.outcome.is_none();
                None
            }
            Told::NotDone(why) => {
                let was_done = !op.effects.is_empty();
                op.is_denied = true;
                op.is_open = false;
                was_done.then(|| format!("{name} was done, and its client was told that nothing was: {why}"))
            }
            Told::Outcome(outcome) => {
                op.is_open = false;
                let done = !op.effects.is_empty();
                let is_true = match outcome {
                    Outcome::Applied { version } => done && !op.rejected && op.version == *version,
                    Outcome::Unchanged { .. } => !done,
                    Outcome::Rejected { code, .. } if code == "unknown_campaign" => !done,
                    Outcome::Rejected { .. } => done && op.rejected,
                };
                let before = op.outcome.replace(outcome.clone());
                if let Some(before) = before.filter(|before| before != outcome && !may_change(before)) {
                    Some(format!("{name} was told {before:?} first, and then {outcome:?}"))
                } else {
                    let (effects, version) = (&op.effects, op.version);
                    let detail = format!("the journal has {effects:?}, version {version}");
                    (!is_true).then(|| format!("{name} was told {outcome:?}, and {detail}"))
                }
            }
        };
        if let Some(problem) = problem {
            self.breaks(problem);
        }
    }

    /// The client does not want to know any more.
    pub(crate) fn gives_up(&mut self, id: OpId) {
        if let Some(op) = self.ops.get_mut(id.0) {
            op.is_open = false;
        }
    }

    /// Events that left no trace yet: whoever sent them sees no outcome.
    pub(crate) fn unseen_events(&self, db: &Database) -> Vec<OpId> {
        let letters: String = db.letters.all().map(|letter| letter.letter.original.as_str()).collect();
        let is_unseen = |(at, op): (usize, &Op)| {
            let is_answered = op.command.as_ref().is_some_and(|command| db.answer(command).is_some());
            let id = OpId(at);
            let is_dead = || letters.contains(&format!("\"{}\"", id.correlation()));
            (op.is_event && op.is_open && !is_answered && !is_dead()).then_some(id)
        };
        self.ops.iter().enumerate().filter_map(is_unseen).collect()
    }

    /// Operations whose clients still do not know.
    pub(crate) fn unresolved(&self) -> usize {
        self.ops.iter().filter(|op| !op.is_event && op.is_open && op.command.is_some()).count()
    }

    /// Whether what an operation's client was told is what the inbox says.
    pub(super) fn check_ops(&mut self, db: &Database) {
        let mut problems = Vec::new();
        for (at, op) in self.ops.iter().enumerate() {
            let answer = op.command.as_ref().and_then(|command| db.answer(command));
            // An earlier attempt may be done after all, once the campaign is known.
            if let (Some(outcome), Some(answer)) = (&op.outcome, answer)
                && *outcome != answer.outcome
                && !may_change(outcome)
            {
                problems.push(format!(
                    "op-{at} of {} was told {outcome:?}, and the inbox says {:?}",
                    op.key, answer.outcome
                ));
            }
        }
        for problem in problems {
            self.breaks(problem);
        }
    }
}

/// A campaign that is not known may become so: such an answer is not remembered.
fn may_change(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected { code, .. } if code == "unknown_campaign")
}
