//! The HTTP API with tokens on: one campaign, a page of them, and creates one by one and in batches.

use std::time::Instant;

use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::load::{Answered, Generator, arguments};
use crate::process::{Program, Service};
use crate::readings::{self, API_CONNECTIONS as CONNECTIONS, GET_CONNECTIONS, GET_ONE, P50, P99};
use crate::report::Report;
use crate::seed;

const BATCH: usize = 500;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let scale = bench.scale;
    for run in 1..=scale.runs {
        bench.report.progress(&format!("api {run}/{}", scale.runs));
        let place = bench.servers().fresh()?;
        let program = Program::on_servers(&bench.binary, &place);
        program.run(&["migrate"])?;
        let service = program.serve().await?;
        creates(&bench.report, "api", &service, scale.creates).await?;
        let later = Utc::now() + TimeDelta::days(30);
        seed::create(&service, PAGES, move |_| later).await?;
        let one = format!("/api/v1/campaigns/{{n}}-{}", later.timestamp_micros());
        let report = &bench.report;
        get(report, &service, (GET_ONE, &one, PAGES), 0, scale.api_seconds).await?;
        get(report, &service, (&format!("{GET_ONE} at 5,000/s"), &one, PAGES), 5_000, scale.api_seconds).await?;
        get(report, &service, ("GET a page of 50", "/api/v1/campaigns?limit=50", 1), 0, scale.api_seconds).await?;
        service.stop()?;
        program.verify()?;
    }
    Ok(())
}

/// How many campaigns are asked for in turn.
const PAGES: usize = 2_000;

async fn get(
    report: &Report,
    service: &Service,
    (name, path, paths): (&str, &str, usize),
    rate: usize,
    seconds: u64,
) -> Result<()> {
    let address = service.url.trim_start_matches("http://");
    let answered: Answered = Generator::start(arguments![
        "get",
        "--address",
        address,
        "--path",
        path,
        "--paths",
        paths,
        "--token",
        service.token,
        "--connections",
        GET_CONNECTIONS,
        "--seconds",
        seconds,
        "--rate",
        rate,
    ])
    .await?
    .result()
    .await?;
    if rate == 0 {
        report.record(readings::get_rate(name), answered.per_second);
    }
    report.record(readings::get_latency(name, P50), answered.latency.p50);
    report.record(readings::get_latency(name, P99), answered.latency.p99);
    Ok(())
}

/// Creates campaigns one by one and in batches, and reports under the name of a scenario.
pub(crate) async fn creates(report: &Report, scenario: &'static str, service: &Service, count: usize) -> Result<()> {
    let client = reqwest::Client::new();
    let url = format!("{}/api/v1/campaigns", service.url);
    let later = Utc::now() + TimeDelta::days(30);

    let begun = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let campaigns: Vec<Value> =
            (first..first + BATCH).map(|n| seed::campaign(&format!("batch-{n}"), later)).collect();
        let body = json!({ "campaigns": campaigns });
        let response = client.post(format!("{url}/batch")).bearer_auth(&service.token).json(&body).send().await?;
        ensure!(response.status().is_success(), "a batch was answered {}", response.status());
        response.bytes().await?;
    }
    report.add(scenario, "POST /campaigns/batch, 500 each, one connection", "1/s", rate(count, begun));

    let begun = Instant::now();
    let each = count / 4 / CONNECTIONS;
    let mut senders = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (client, url, token) = (client.clone(), url.clone(), service.token.clone());
        senders.spawn(async move {
            for n in 0..each {
                let body = seed::campaign(&format!("single-{connection}-{n}"), later);
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
    report.record(readings::create_rate(scenario), rate(each * CONNECTIONS, begun));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
