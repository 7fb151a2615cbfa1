//! `lifecycle demo`: the whole service on a throw-away folder, driven through its public interfaces, shown live, and
//! proved at the end.

mod client;
mod script;
mod story;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::prove;
use chrono::TimeDelta;
use domain::{TenantId, Timestamp};
use metrics_exporter_prometheus::PrometheusHandle;
use ports::clock::Clock;
use ports::verification::Verification;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cli::{Demo, Role, Settings, Token};
use crate::commands::{bind, block_on, human, mint_for, server_settings, violations};
use crate::config::{Config, Span};
use crate::failure::Failure;
use crate::lifecycle::{Running, StopSignals};
use crate::output::style::{BOLD, DIM, RESET};
use crate::{output, telemetry, wiring};

use client::Http;
use script::{DEEDS, PLANS};
use story::{Seen, seconds};
use view::View;

/// From the first word to the first campaign, so that all are created when the clock of the script starts.
const LEAD: TimeDelta = TimeDelta::milliseconds(500);
/// When the demo gives up.
const LIMIT: Duration = Duration::from_secs(35);
/// How often the drawing is renewed.
const FRAME: Duration = Duration::from_millis(100);

pub(crate) fn run(settings: &Settings, options: &Demo) -> Result<(), Failure> {
    let folder = Folder::choose(settings)?;
    let database = folder.path.join("lifecycle.db").display().to_string();
    let preset: Vec<(&'static str, &'static [&'static str], String)> = vec![
        ("demo", &["embedded", "path"], database),
        ("demo", &["auth", "mode"], "on".to_owned()),
        ("demo", &["log", "level"], "error".to_owned()),
    ];
    let mut config = settings.load_over(preset)?.config;
    // Always on a folder of its own, never on servers that somebody works with.
    (config.postgres.url, config.redis.url) = (None, None);
    telemetry::start_logging(&config.log)?;
    let metrics = telemetry::start_metrics()?;
    block_on(play(&config, &folder, options.keep, metrics))
}

/// Where the demo keeps its data.
struct Folder {
    path: PathBuf,
    /// Removed when dropped, if it is a throw-away one.
    throw_away: Option<tempfile::TempDir>,
}

impl Folder {
    fn choose(settings: &Settings) -> Result<Self, Failure> {
        if let Some(path) = &settings.data {
            return Ok(Self { path: path.clone(), throw_away: None });
        }
        let folder = tempfile::Builder::new().prefix("lifecycle-demo-").tempdir()?;
        Ok(Self { path: folder.path().to_owned(), throw_away: Some(folder) })
    }
}

async fn play(config: &Config, folder: &Folder, keep: bool, metrics: PrometheusHandle) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    let render = metrics.clone();
    let service = wiring::service(config, Arc::new(move || render.render())).await?;
    let verification = Arc::clone(&service.verification);
    let listener = listen_somewhere(config).await?;
    let mut running = Running::start(service, listener, server_settings(config), metrics).await?;
    let address = running.address();
    let token = mint_for(config, &demo_token())?;
    introduce(&format!("http://{address}"), &token, folder)?;
    let clock = wiring::clock();
    let outcome = tokio::select! {
        outcome = perform(&clock, address, token, folder.throw_away.is_none()) => outcome,
        name = running.failed() => Err(Failure::Internal(format!("the loop {name:?} cannot be kept running"))),
        signal = signals.next() => Err(Failure::Check(format!("stopped by {signal} before the end"))),
    };
    let outcome = match outcome {
        Ok(seen) => summarise(&seen, verification.as_ref(), config.inbox.retention.0, folder).await,
        Err(failure) => Err(failure),
    };
    drop(verification);
    if keep && outcome.is_ok() {
        output::line(&format!("{DIM}Still serving on http://{address}; Ctrl-C ends it.{RESET}"))?;
        tokio::select! {
            _ = signals.next() => {}
            name = running.failed() => return Err(Failure::Internal(format!("the loop {name:?} cannot be kept running"))),
        }
    }
    running.stop().await?;
    outcome
}

/// Where the settings say; a free port where the usual one is taken.
async fn listen_somewhere(config: &Config) -> Result<TcpListener, Failure> {
    match bind(config) {
        Err(Failure::Unavailable(_)) if config.http.listen == Config::default().http.listen => {
            Ok(TcpListener::bind((config.http.listen.ip(), 0)).await?)
        }
        result => result,
    }
}

fn demo_token() -> Token {
    Token {
        sub: "demo".to_owned(),
        tenant: TenantId::default_tenant(),
        roles: vec![Role::Admin],
        owner: None,
        ttl: Span::seconds(12 * 3_600),
    }
}

fn introduce(url: &str, token: &str, folder: &Folder) -> Result<(), Failure> {
    let data = match folder.throw_away {
        Some(_) => "a throw-away folder".to_owned(),
        None => folder.path.display().to_string(),
    };
    output::print(&format!(
        "{BOLD}Campaign Lifecycle Service{RESET}: six campaigns live their whole life, each step by a durable timer.\n\
         Serving on {BOLD}{url}{RESET} (API at {url}/docs, live at /ws), data in {data}.\n\
         {DIM}TOKEN={token}{RESET}\n\
         {DIM}curl -H \"Authorization: Bearer $TOKEN\" {url}/api/v1/campaigns{RESET}\n\n"
    ))?;
    for plan in &PLANS {
        output::line(&format!("  {BOLD}{:<16}{RESET} {}", plan.name, plan.about))?;
    }
    Ok(output::line("")?)
}

/// Creates the campaigns, does the deeds, watches until all are over.
async fn perform(
    clock: &Arc<dyn Clock>,
    address: std::net::SocketAddr,
    token: String,
    beside_others: bool,
) -> Result<Seen, Failure> {
    let mut frames = client::listen(address, &token).await?;
    let http = Http::new(address, token)?;
    let beginning = clock.now() + LEAD;
    // In a folder that is kept, an earlier demo may have left its campaigns.
    let suffix = if beside_others { format!("-{}", beginning.timestamp()) } else { String::new() };
    let ids: Vec<String> = PLANS.iter().map(|plan| format!("{}{suffix}", plan.name)).collect();
    for (plan, id) in PLANS.iter().zip(&ids) {
        http.create(&plan.body(id, beginning)).await?;
    }
    let deeds = tokio::spawn(act(Arc::clone(clock), http, ids.clone(), beginning));
    let seen = tokio::time::timeout(LIMIT, watch(clock, &mut frames, Seen::new(beginning, ids))).await;
    let seen = seen.map_err(|_| {
        Failure::Check(format!("not all campaigns ended within {} s; see above where they stand", LIMIT.as_secs()))
    })??;
    deeds.await.map_err(|error| Failure::internal(&error))??;
    Ok(seen)
}

async fn act(clock: Arc<dyn Clock>, http: Http, ids: Vec<String>, beginning: Timestamp) -> Result<(), Failure> {
    for (at, campaign, deed) in DEEDS {
        clock.sleep_until(beginning + TimeDelta::seconds(at)).await;
        http.act(&ids[campaign], deed, beginning).await?;
    }
    Ok(())
}

async fn watch(clock: &Arc<dyn Clock>, frames: &mut mpsc::Receiver<Value>, mut seen: Seen) -> Result<Seen, Failure> {
    let mut view = View::new();
    let mut tick = tokio::time::interval(FRAME);
    while !seen.is_over() {
        tokio::select! {
            frame = frames.recv() => {
                let frame = frame.ok_or_else(|| Failure::Check("the live connection ended early".to_owned()))?;
                if let Some(happening) = seen.take(&frame) {
                    view.tell(happening)?;
                }
            }
            _ = tick.tick() => view.draw(&seen, seconds(seen.beginning(), clock.now()))?,
        }
    }
    view.draw(&seen, seconds(seen.beginning(), clock.now()))?;
    Ok(seen)
}

async fn summarise(seen: &Seen, store: &dyn Verification, memory: Duration, folder: &Folder) -> Result<(), Failure> {
    let worst = seen.lateness.iter().copied().fold(0.0_f64, f64::max);
    let early = seen.lateness.iter().filter(|late| **late < 0.0).count();
    output::print(&format!(
        "\n{BOLD}{} transitions{RESET} of {} campaigns; {} timers fired, {} early, the latest {BOLD}{worst:.1} ms{RESET} \
         after it was due.\n\n",
        seen.transitions,
        PLANS.len(),
        seen.lateness.len(),
        early,
    ))?;
    let started = Instant::now();
    let proof = prove(store, None, memory, &mut |_| {}).await?;
    let what =
        if folder.throw_away.is_some() { "the demo's data".to_owned() } else { folder.path.display().to_string() };
    output::print(&human(&proof, started.elapsed(), &what))?;
    match proof.violation_count() {
        0 => Ok(()),
        count => Err(Failure::Check(format!(
            "{} found: this is a fault of the service, please report it",
            violations(count)
        ))),
    }
}
