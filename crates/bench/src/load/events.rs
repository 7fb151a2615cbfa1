//! Both ends of the event bus: who sends `campaign.created`, and who hears what became of it.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::config::Config;
use fred::types::streams::XReadResponse;
use fred::types::{Builder, Value};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::latency::{Latencies, Percentiles, now_micros};

/// How many entries go into one round trip.
const PIPELINE: usize = 250;

/// Sends `campaign.created` events. The id of each campaign tells when its event was to be sent.
#[derive(Args)]
pub(crate) struct Produce {
    #[arg(long)]
    redis: String,
    #[arg(long)]
    count: usize,
    /// Events a second; 0: as fast as Redis takes them.
    #[arg(long)]
    rate: usize,
}

/// What was sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) seconds: f64,
}

impl Produce {
    pub(super) async fn run(&self) -> Result<Sent> {
        let client = connect(&self.redis).await?;
        super::ready();
        let begun = Instant::now();
        let first = now_micros();
        let mut sent = 0;
        while sent < self.count {
            // What should have been sent by now, however late this process was woken.
            let until = if self.rate == 0 {
                sent + PIPELINE
            } else {
                usize::try_from(begun.elapsed().as_micros())? * self.rate / 1_000_000 + 1
            };
            let pipeline = client.pipeline();
            let before = sent;
            while sent < self.count.min(until) {
                let due = match (sent * 1_000_000).checked_div(self.rate) {
                    Some(after) => first + i64::try_from(after)?,
                    None => now_micros(),
                };
                let data = format!(
                    r#"{{"campaignId":"{sent:07}-{due}","startTime":"2099-01-01T00:00:00Z","durationHours":24,"metadata":{{"name":"Spring sale","hashtags":["spring","sale"],"budget":"1000"}}}}"#
                );
                let id = format!("event-{sent:07}-{due}");
                let fields = vec![
                    ("eventId", id.as_str()),
                    ("eventType", "campaign.created"),
                    ("timestamp", "2026-01-01T00:00:00Z"),
                    ("source", "main-api"),
                    ("data", data.as_str()),
                ];
                let _: () = pipeline.xadd("campaign-events", false, None::<()>, "*", fields).await?;
                sent += 1;
            }
            if sent > before {
                let _: Vec<String> = pipeline.all().await?;
            }
            if let Some(next) = (sent * 1_000_000).checked_div(self.rate) {
                tokio::time::sleep_until(begun + Duration::from_micros(u64::try_from(next)?)).await;
            }
        }
        client.quit().await?;
        Ok(Sent { seconds: begun.elapsed().as_secs_f64() })
    }
}

/// Hears lifecycle events of one type until it has heard of so many campaigns.
#[derive(Args)]
pub(crate) struct Listen {
    #[arg(long)]
    redis: String,
    #[arg(long)]
    event: String,
    #[arg(long)]
    count: usize,
    /// Seconds without any such event after which it gives up.
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

/// What was heard.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Heard {
    /// From the instant that a campaign's id tells to the event's arrival here.
    pub(crate) latency: Percentiles,
    /// From the first to the last event.
    pub(crate) seconds: f64,
    /// Events about campaigns that were heard of before.
    pub(crate) doubled: usize,
}

type Entries = XReadResponse<String, String, String, String>;

impl Listen {
    pub(super) async fn run(&self) -> Result<Heard> {
        let client = connect(&self.redis).await?;
        let mut latencies = Latencies::new()?;
        let mut known = HashSet::new();
        let (mut doubled, mut last) = (0, "0".to_owned());
        let mut span: Option<(Instant, Instant)> = None;
        super::ready();
        let mut heard_at = Instant::now();
        while known.len() < self.count {
            ensure!(
                heard_at.elapsed() < Duration::from_secs(self.patience),
                "nothing was heard for long, and of {} campaigns before",
                known.len()
            );
            let read: Value = client.xread(Some(1_000), Some(500), "lifecycle-events", last.as_str()).await?;
            let (arrived, now) = (Instant::now(), now_micros());
            if read.is_null() {
                continue;
            }
            let entries: Entries = read.into_xread_response()?;
            for (id, entry) in entries.values().flatten() {
                last.clone_from(id);
                if entry.get("eventType") != Some(&self.event) {
                    continue;
                }
                let campaign = entry.get("data").and_then(|data| campaign_of(data)).context("no campaign")?;
                if !known.insert(campaign.to_owned()) {
                    doubled += 1;
                    continue;
                }
                let due: i64 = campaign.rsplit('-').next().unwrap_or_default().parse()?;
                latencies.add(now - due)?;
                span = Some((span.map_or(arrived, |(first, _)| first), arrived));
                heard_at = arrived;
            }
        }
        let (first, end) = span.context("nothing was to be heard")?;
        Ok(Heard { latency: latencies.percentiles(), seconds: (end - first).as_secs_f64(), doubled })
    }
}

/// The campaign's id, without reading all of the JSON.
fn campaign_of(data: &str) -> Option<&str> {
    data.split_once(r#""campaignId":""#)?.1.split('"').next()
}

async fn connect(url: &str) -> Result<Client> {
    let client = Builder::from_config(Config::from_url(url)?).build()?;
    client.init().await?;
    Ok(client)
}
