//! Live push: one event to thousands of WebSocket clients, all in one room or spread over many; how late each of them
//! hears of it, what a client costs, and how long it takes to let all of them in at once. Beside it the same room on `ws`.

mod generator;
mod peer;

use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};
use tokio::time::{Duration, sleep};

use crate::bench::Bench;
use crate::load::live::{Heard, Ready};
use crate::process::{self, Program};
use crate::seed;
use generator::Generator;

const SCENARIO: &str = "fanout";
/// What arriving clients leave behind is over after this.
const SETTLE: Duration = Duration::from_secs(2);

/// Who listens, and to what.
#[derive(Clone, Copy)]
struct Audience {
    clients: usize,
    /// One: everybody listens to the whole tenant. More: each listens to one campaign.
    rooms: usize,
    /// How many campaigns start, in all and in a second.
    events: usize,
    rate: usize,
}

const FULL: [Audience; 4] = [
    Audience { clients: 1_000, rooms: 1, events: 100, rate: 5 },
    Audience { clients: 8_000, rooms: 1, events: 100, rate: 5 },
    Audience { clients: 10_000, rooms: 1, events: 100, rate: 5 },
    Audience { clients: 10_000, rooms: 1_000, events: 1_000, rate: 50 },
];
const QUICK: [Audience; 2] = [
    Audience { clients: 200, rooms: 1, events: 15, rate: 5 },
    Audience { clients: 200, rooms: 20, events: 20, rate: 5 },
];

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let audiences: &[Audience] = if bench.scale.quick { &QUICK } else { &FULL };
    process::allow_files(audiences.iter().map(|audience| audience.clients).max().unwrap_or_default() + 500)?;
    for run in 1..=bench.scale.runs {
        for audience in audiences {
            let progress = format!("fanout {run}/{}: {}", bench.scale.runs, audience.name());
            bench.report.progress(&progress);
            own(bench, *audience).await?;
            if audience.rooms == 1 {
                bench.report.progress(&format!("{progress}, ws"));
                peer::run(bench, *audience).await?;
            }
        }
    }
    Ok(())
}

async fn own(bench: &Bench, audience: Audience) -> Result<()> {
    let place = bench.servers().fresh()?;
    let program = Program::on_servers(&bench.binary, &place);
    program.run(&["migrate"])?;
    let service = program.serve().await?;
    let begin = Utc::now() + TimeDelta::seconds(10 + i64::try_from(audience.clients / 500)?);
    let due = move |n: usize| begin + audience.gap() * i32::try_from(n).unwrap_or(i32::MAX);
    seed::create(&service, audience.events, due).await?;
    sleep(SETTLE).await;

    let before = service.memory("VmRSS")?;
    let channels: Vec<String> = match audience.rooms {
        1 => vec!["tenant".to_owned()],
        rooms => (0..rooms).map(|n| format!("campaign:{}", seed::id(n, due(n)))).collect(),
    };
    let url = format!("{}/ws", service.url.replace("http://", "ws://"));
    let mut generator = Generator::start(&url, Some(&service.token), audience, &channels)?;
    let ready: Ready = generator.line().await?;
    ensure!(ready.clients == audience.clients, "only {} clients got in: {:?}", ready.clients, ready.reason);
    sleep(SETTLE).await;
    let (idle, cpu) = (service.memory("VmRSS")?, service.cpu()?);
    ensure!(Utc::now() < begin, "the clients were not there in time");
    let heard: Heard = generator.line().await?;
    let (busy, cpu) = (service.memory("VmRSS")?, service.cpu()? - cpu);
    drop(generator);
    service.stop()?;
    program.verify()?;
    drop(place);

    let name = audience.name();
    ensure!(heard.is_whole(), "{name}: something was lost, came twice or out of order: {heard:?}");
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let each = |mib: f64| (mib - before) * 1024.0 / audience.clients as f64;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let cpu = cpu * 1_000_000.0 / heard.events as f64;
    let add = |what: &str, unit, value| bench.report.add(SCENARIO, &format!("{name}: {what}"), unit, value);
    add("due → received, p50", "ms", heard.due.p50);
    add("due → received, p99", "ms", heard.due.p99);
    add("due → received, worst", "ms", heard.due.max);
    add("recorded → received, p50", "ms", heard.told.p50);
    add("recorded → received, p99", "ms", heard.told.p99);
    add("CPU of the service, a client and event", "µs", cpu);
    add("memory a client, idle", "KiB", each(idle));
    add("memory a client, after all events", "KiB", each(busy));
    add("all connect at once and subscribe", "s", ready.seconds);
    Ok(())
}

impl Audience {
    fn name(self) -> String {
        match self.rooms {
            1 => format!("{} clients, one room", self.clients),
            rooms => format!("{} clients, {rooms} rooms", self.clients),
        }
    }

    /// Between two events.
    fn gap(self) -> TimeDelta {
        TimeDelta::microseconds(1_000_000 / i64::try_from(self.rate).unwrap_or(1))
    }

    /// How many events each client hears.
    fn heard_by_each(self) -> usize {
        self.events / self.rooms
    }
}
