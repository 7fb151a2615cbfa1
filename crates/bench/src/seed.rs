//! Campaigns for a scenario, made over HTTP as a client would.

use std::sync::Arc;

use anyhow::{Result, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::Service;

const BATCH: usize = 500;
const CONNECTIONS: usize = 4;

/// A campaign that starts at `start` and runs for a day, with a little metadata.
pub(crate) fn campaign(id: &str, start: DateTime<Utc>) -> Value {
    json!({
        "campaignId": id,
        "startTime": start.to_rfc3339_opts(SecondsFormat::Micros, true),
        "durationHours": 24,
        "metadata": { "name": "Spring sale", "hashtags": ["spring", "sale"], "budget": "1000" },
    })
}

/// How many campaigns are surely created in a second, by a busy machine.
const SURELY: usize = if cfg!(debug_assertions) { 700 } else { 2_000 };

/// How far ahead the first of `count` campaigns has to start, so that all are created before.
pub(crate) fn lead(count: usize) -> Result<TimeDelta> {
    Ok(TimeDelta::seconds(4 + i64::try_from(count / SURELY)?))
}

/// The id of the n-th campaign: tells when it starts, in microseconds since 1970.
pub(crate) fn id(n: usize, start: DateTime<Utc>) -> String {
    format!("{n:07}-{}", start.timestamp_micros())
}

/// Creates `count` campaigns: the n-th one starts at `start(n)`, and [`id`] is its id.
pub(crate) async fn create(
    service: &Service,
    count: usize,
    start: impl Fn(usize) -> DateTime<Utc> + Send + Sync + 'static,
) -> Result<()> {
    let client = reqwest::Client::new();
    let start = Arc::new(start);
    let mut senders = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (client, start, token) = (client.clone(), Arc::clone(&start), service.token.clone());
        let url = format!("{}/api/v1/campaigns/batch", service.url);
        senders.spawn(async move {
            for first in (0..count).step_by(BATCH).skip(connection).step_by(CONNECTIONS) {
                let campaigns: Vec<Value> =
                    (first..count.min(first + BATCH)).map(|n| campaign(&id(n, start(n)), start(n))).collect();
                let body = json!({ "campaigns": campaigns });
                let response = client.post(&url).bearer_auth(&token).json(&body).send().await?;
                let status = response.status();
                let answer = response.text().await?;
                ensure!(status.is_success(), "a batch was answered {status}: {answer:.300}");
            }
            Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(())
}
