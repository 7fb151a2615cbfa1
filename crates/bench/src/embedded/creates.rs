//! Creating campaigns through HTTP, as a client does: in batches, and one by one from several connections.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::process::Program;

const BATCH: usize = 500;
const CONNECTIONS: usize = 16;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    let (report, scale) = (&mut bench.report, bench.scale);
    for run in 1..=scale.runs {
        report.progress(&format!("creates {run}/{}: {} by batch, a quarter one by one", scale.runs, scale.creates));
        let folder = tempfile::tempdir()?;
        let service = Program::embedded(&bench.binary, &folder.path().join("bench.db")).serve().await?;
        let token = service.token.clone();
        let client = reqwest::Client::new();
        let url = format!("{}/api/v1/campaigns", service.url);

        let begun = Instant::now();
        for first in (0..scale.creates).step_by(BATCH) {
            let campaigns: Vec<Value> = (first..first + BATCH).map(|n| campaign(&format!("batch-{n}"))).collect();
            let body = json!({ "campaigns": campaigns });
            let response = client.post(format!("{url}/batch")).bearer_auth(&token).json(&body).send().await?;
            ensure!(response.status().is_success(), "a batch was answered {}", response.status());
            response.bytes().await?;
        }
        report.add("embedded", "POST /campaigns/batch, 500 each, one connection", "1/s", rate(scale.creates, begun));

        let begun = Instant::now();
        let each = scale.creates / 4 / CONNECTIONS;
        let mut senders = JoinSet::new();
        for connection in 0..CONNECTIONS {
            let (client, url, token) = (client.clone(), url.clone(), token.clone());
            senders.spawn(async move {
                for n in 0..each {
                    let body = campaign(&format!("single-{connection}-{n}"));
                    let response = client.post(&url).bearer_auth(&token).json(&body).send().await?;
                    ensure!(response.status().as_u16() == 201, "a create was answered {}", response.status());
                    response.bytes().await?;
                }
                Ok(())
            });
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        report.add("embedded", "POST /campaigns, 16 connections", "1/s", rate(each * CONNECTIONS, begun));
    }
    Ok(())
}

fn campaign(id: &str) -> Value {
    json!({
        "campaignId": id,
        "startTime": "2099-01-01T00:00:00Z",
        "durationHours": 24,
        "metadata": { "name": "Spring sale", "hashtags": ["spring", "sale"] },
    })
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
