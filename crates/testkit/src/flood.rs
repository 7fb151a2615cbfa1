//! More callers than the service can serve, for some time, and what each of them was told. What a test makes of it lives
//! in the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::campaign::Plan;

/// What a flood came to.
#[derive(Debug, Default)]
pub struct Flooded {
    /// The campaigns that were accepted.
    pub accepted: Vec<String>,
    /// How many were told to come back later, and when.
    pub shed: usize,
    /// Answers that are neither, in words.
    pub odd: Vec<String>,
}

/// Callers that create campaigns as fast as they are answered, whatever the answer.
pub struct Flood {
    callers: Vec<tokio::task::JoinHandle<Flooded>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Flood {
    /// Lets `callers` loose; the ids of their campaigns begin with `prefix`.
    pub fn begin(api: &Api, prefix: &str, callers: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..callers)
            .map(|caller| {
                let (api, prefix) = (api.clone(), format!("{prefix}-{caller}"));
                tokio::spawn(call(api, prefix, Arc::clone(&stop), Arc::clone(&answered)))
            })
            .collect();
        Self { callers, stop, answered }
    }

    /// How many answers there were so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a caller did.
    pub async fn end(self) -> Flooded {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Flooded::default();
        for caller in self.callers {
            let told = caller.await.expect("no panic");
            sum.accepted.extend(told.accepted);
            sum.shed += told.shed;
            sum.odd.extend(told.odd);
        }
        sum
    }
}

async fn call(api: Api, prefix: String, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Flooded {
    let mut told = Flooded::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{prefix}-{n}");
        let answer = api.call("POST", "/api/v1/campaigns").json(Plan::later(&id).body()).try_send().await;
        answered.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(answer) if answer.status == 201 => told.accepted.push(id),
            Ok(answer) if matches!(answer.status, 429 | 503) => {
                let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
                told.shed += 1;
                if wait.is_none_or(|seconds| !(1..=60).contains(&seconds)) {
                    told.odd.push(format!("{} without a time to come back", answer.status));
                }
                // Nobody follows the advice, but a caller of one machine has to let the others run.
                tokio::task::yield_now().await;
            }
            Ok(answer) => told.odd.push(format!("{}: {}", answer.status, answer.text)),
            Err(error) => told.odd.push(format!("{error:?}")),
        }
    }
    told
}

/// How long a change of the campaign `id` takes.
///
/// # Panics
/// When it is not made.
pub async fn time_of_a_change(api: &Api, id: &str) -> Duration {
    let began = Instant::now();
    api.patch(&format!("/api/v1/campaigns/{id}"), &serde_json::json!({"metadata": {}})).await.expect(200);
    began.elapsed()
}
