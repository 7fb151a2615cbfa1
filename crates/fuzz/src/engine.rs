//! The search: mutate what is known, keep what shows new behaviour, stop at the first broken rule and make it small.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::corpus::{self, Sample};
use crate::guard::judge;
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::shrink::shrink;
use crate::{Check, Target};

/// A target whose behaviour is of more kinds than that does not tell kinds apart well: no more inputs are kept.
const MOST_KINDS: usize = 4_096;

/// For how long one target is searched.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So much time.
    pub time: Duration,
    /// So many inputs at most.
    pub runs: u64,
    /// What every choice comes from.
    pub seed: u64,
}

/// What a search came to.
#[derive(Debug)]
pub struct Report {
    /// How many inputs were run.
    pub runs: u64,
    /// How many kinds of behaviour were seen.
    pub kinds: usize,
    /// How many of them the corpus alone shows.
    pub kinds_of_corpus: usize,
    /// The inputs that showed something that the corpus does not.
    pub kept: Vec<Vec<u8>>,
    /// The first input that broke a rule.
    pub broken: Option<Broken>,
}

/// An input that broke a rule.
#[derive(Debug)]
pub struct Broken {
    /// The input, made small.
    pub input: Vec<u8>,
    /// Which rule.
    pub what: String,
    /// The file of the corpus that it is, if it is one.
    pub file: Option<String>,
}

/// Runs the whole corpus of `target` once.
///
/// # Errors
/// The first input that breaks a rule.
pub fn replay(target: &Target) -> Result<usize, Broken> {
    let samples = corpus::read(target.name);
    let mut check = (target.build)();
    let mut kinds = HashSet::new();
    for sample in &samples {
        kinds.insert(kind_of(&mut check, sample)?);
    }
    Ok(samples.len())
}

fn kind_of(check: &mut Check, sample: &Sample) -> Result<String, Broken> {
    judge(check, &sample.bytes).map_err(|what| Broken {
        input: sample.bytes.clone(),
        what,
        file: Some(sample.name.clone()),
    })
}

/// Searches `target`, beginning with its corpus.
pub fn search(target: &Target, limits: Limits) -> Report {
    let mut check = (target.build)();
    let mut seen = HashSet::new();
    let mut pool = Vec::new();
    let mut report = Report { runs: 0, kinds: 0, kinds_of_corpus: 0, kept: Vec::new(), broken: None };
    for sample in corpus::read(target.name) {
        report.runs += 1;
        match kind_of(&mut check, &sample) {
            Ok(kind) => drop(seen.insert(kind)),
            Err(broken) => return Report { broken: Some(broken), ..report },
        }
        pool.push(sample.bytes);
    }
    report.kinds_of_corpus = seen.len();
    pool.push(Vec::new());
    let began = Instant::now();
    // Targets share a seed on the command line, and no choices.
    let mut rng =
        target.name.bytes().fold(Rng::new(limits.seed), |mut rng, byte| Rng::new(rng.next() ^ u64::from(byte)));
    while report.runs < limits.runs && began.elapsed() < limits.time {
        // What was found last leads on to what was not found yet.
        let recent = pool.len().saturating_sub(16);
        let at = if rng.one_in(3) { recent + rng.below(pool.len() - recent) } else { rng.below(pool.len()) };
        let input = mutate(&mut rng, &pool[at], &pool, target.words);
        report.runs += 1;
        match judge(&mut check, &input) {
            Ok(kind) => {
                if seen.len() < MOST_KINDS && seen.insert(kind) {
                    report.kept.push(input.clone());
                    pool.push(input);
                }
            }
            Err(what) => {
                let input = shrink(&mut check, input, &what);
                report.broken = Some(Broken { input, what, file: None });
                break;
            }
        }
    }
    report.kinds = seen.len();
    report
}

/// Runs one input through `target`.
///
/// # Errors
/// Which rule it breaks.
pub fn try_one(target: &Target, input: &[u8]) -> Result<String, String> {
    judge(&mut (target.build)(), input)
}
