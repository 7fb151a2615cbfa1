//! O1, O2 and O10: what senders were told against what the log holds.

use std::collections::HashMap;

use super::{Facts, Judgement};
use crate::journal::{NO_HINT, Outcome, Via};

pub(super) fn judge(facts: &Facts, judgement: &mut Judgement) {
    // How often each command made a step.
    let mut steps: HashMap<&str, usize> = HashMap::new();
    for row in facts.log.iter().filter(|row| row.sequence > 0 && !row.command.is_empty()) {
        *steps.entry(&row.command).or_default() += 1;
    }
    let (mut lost, mut doubled, mut ghosts, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, op) in &facts.ops {
        let (made, answer) = (steps.get(key.as_str()).copied().unwrap_or_default(), facts.inbox.get(key));
        let applied = answer.is_some_and(|answer| answer.applied);
        if made > 1 {
            doubled.push(key.clone());
        }
        // Every answer "applied" is one step, and no step is without its answer.
        if applied != (made > 0) {
            ghosts.push(format!("{key} (applied: {applied}, steps: {made})"));
        }
        match (op.outcome, op.via) {
            (Outcome::Ok, Via::Http) if !applied => lost.push(key.clone()),
            // What is in the stream is answered, be it by no.
            (Outcome::Ok, Via::Redis) if answer.is_none() => lost.push(key.clone()),
            (Outcome::Rejected, _) if made > 0 => ghosts.push(format!("{key} (refused, and done)")),
            (Outcome::Unknown, _) => unknown.push(key.clone()),
            _ => {}
        }
    }
    let figures = &mut judgement.figures;
    figures.operations = facts.ops.len() - unknown.len();
    figures.lost = lost.len();
    figures.doubled = doubled.len();
    figures.worst_command_ms = worst(facts);
    judgement.none("O1", "accepted, and not there", &lost);
    judgement.none("O1", "answers and steps that do not fit", &ghosts);
    judgement.none("O2", "done more than once", &doubled);
    judgement.none("HTTP", "answers that are neither an outcome nor 503", &strange(facts));
    judgement.none("O10", "still unknown after all was well again", &unknown);
}

/// The longest that anybody waited.
fn worst(facts: &Facts) -> i64 {
    let waited = facts.ops.iter().filter_map(|(key, op)| match op.via {
        Via::Http => Some(op.answered - op.first_sent),
        // From when it was in the stream.
        Via::Redis => Some(facts.inbox.get(key)?.at - op.answered),
    });
    waited.max().unwrap_or_default()
}

/// Where the service cannot answer it says 503, and when to come again, and nothing else of that kind.
fn strange(facts: &Facts) -> Vec<String> {
    let is_strange =
        |said: &str| said.ends_with(NO_HINT) || said.parse::<u16>().is_ok_and(|status| status >= 500 && status != 503);
    let strange = facts.attempts.iter().filter(|attempt| is_strange(&attempt.said));
    strange.map(|attempt| format!("{} for {}", attempt.said, attempt.key)).collect()
}
