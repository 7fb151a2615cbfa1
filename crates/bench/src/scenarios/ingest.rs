//! `campaign.created` through Redis: how many a second, and how long after its XADD each is answered by an event.

use anyhow::{Result, ensure};

use crate::baselines::redis;
use crate::bench::Bench;
use crate::load::{Generator, Heard, Sent, arguments};
use crate::process::Program;
use crate::readings::{self, INGEST_MODERATE as MODERATE};

const INITIALIZED: &str = "campaign.initialized";

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let scale = bench.scale;
    for run in 1..=scale.runs {
        bench.report.progress(&format!("ingest {run}/{}: bare XADD", scale.runs));
        let url = bench.servers().fresh()?.redis_url();
        let pipelined = redis::xadd_pipelined(&url, scale.ingest).await?;
        bench.report.record(readings::bare_xadd_pipelined(), pipelined);
        let single = redis::xadd_connections(&url, scale.ingest, 50).await?;
        bench.report.record(readings::bare_xadd_single(), single);

        bench
            .report
            .progress(&format!("ingest {run}/{}: {} events as fast as they are taken", scale.runs, scale.ingest));
        let heard = events(bench, scale.ingest, 0).await?;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let rate = scale.ingest as f64 / heard.seconds;
        bench.report.record(readings::ingest_rate(), rate);

        let count = MODERATE * scale.steady_seconds;
        bench.report.progress(&format!("ingest {run}/{}: {MODERATE} events/s", scale.runs));
        let latency = events(bench, count, MODERATE).await?.latency;
        for (which, value) in latency.named() {
            bench.report.record(readings::ingest_latency(MODERATE, which), value);
        }
    }
    Ok(())
}

async fn events(bench: &Bench, count: usize, rate: usize) -> Result<Heard> {
    let place = bench.servers().fresh()?;
    let program = Program::on_servers(&bench.binary, &place);
    program.run(&["migrate"])?;
    let service = program.serve().await?;
    let redis = place.redis_url();
    let listener =
        Generator::start(arguments!["listen", "--redis", redis, "--event", INITIALIZED, "--count", count]).await?;
    if bench.profile {
        place.begin_profile();
    }
    let producer = Generator::start(arguments!["produce", "--redis", redis, "--count", count, "--rate", rate]).await?;
    let _: Sent = producer.result().await?;
    let heard: Heard = listener.result().await?;
    ensure!(heard.doubled == 0, "{} events were doubled", heard.doubled);
    if bench.profile {
        eprintln!("{}", place.profile());
    }
    service.stop()?;
    program.verify()?;
    Ok(heard)
}
