//! O7: what each live client was told against the log: nothing missing, nothing twice, or an explicit word that it has to
//! begin anew.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Facts, Judgement};
use crate::journal::{Told, place};

pub(super) fn judge(facts: &Facts, run: &str, judgement: &mut Judgement) {
    let mut by_client: BTreeMap<usize, Vec<&Told>> = BTreeMap::new();
    for told in &facts.told {
        by_client.entry(told.client).or_default().push(told);
    }
    let (mut missed, mut twice, mut strange) = (Vec::new(), Vec::new(), Vec::new());
    for (client, told) in by_client {
        let channel = told.first().map(|first| first.channel.clone()).unwrap_or_default();
        let heard = hear(&told);
        judgement.figures.resets += heard.resets;
        twice.extend(heard.twice.iter().map(|frame| format!("client {client} ({channel}): {frame}")));
        let belongs = |campaign: &str| match channel.strip_prefix("campaign:") {
            Some(id) => campaign == id,
            None => campaign.starts_with(run),
        };
        let steps = facts.log.iter().filter(|row| row.sequence > 0 && belongs(&row.campaign));
        let due = steps.filter(|row| row.position > heard.begin && row.position <= facts.head.max(heard.last));
        let not_heard = due.filter(|row| !heard.positions.contains(&row.position) && !heard.is_skipped(row.position));
        missed.extend(not_heard.map(|row| format!("client {client} ({channel}): {}", row.position)));
        let known: HashSet<u64> = facts.log.iter().map(|row| row.position).collect();
        let unknown = heard.positions.iter().filter(|position| **position > facts.from && !known.contains(position));
        strange.extend(unknown.map(|position| format!("client {client} ({channel}): {position}")));
    }
    judgement.none("O7", "steps that a live client was not told", &missed);
    judgement.none("O7", "frames that a live client was told twice", &twice);
    judgement.none("O7", "frames of what the log does not hold", &strange);
}

/// One client's story.
#[derive(Default)]
struct Heard {
    /// The cursor of its first snapshot.
    begin: u64,
    last: u64,
    positions: BTreeSet<u64>,
    twice: Vec<String>,
    resets: usize,
    /// Between a cursor and a later snapshot, where it was told to begin anew.
    skipped: Vec<(u64, u64)>,
}

impl Heard {
    fn is_skipped(&self, position: u64) -> bool {
        self.skipped.iter().any(|(after, to)| (after + 1..=*to).contains(&position))
    }
}

fn hear(told: &[&Told]) -> Heard {
    let (mut heard, mut frames, mut begun) = (Heard::default(), HashSet::new(), false);
    for told in told {
        let Some((position, k)) = told.cursor.as_deref().and_then(place) else { continue };
        if matches!(told.event.as_str(), "subscribed" | "recovered") {
            if told.recovered == Some(false) {
                heard.resets += 1;
                heard.skipped.push((heard.last, position));
            }
            if !std::mem::replace(&mut begun, true) {
                heard.begin = position;
            }
        } else {
            if !frames.insert((position, k)) {
                heard.twice.push(format!("{position}-{k} {}", told.event));
            }
            heard.positions.insert(position);
        }
        heard.last = heard.last.max(position);
    }
    heard
}
