//! Events that nobody can process: each becomes a dead letter, and the stream moves on.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// How long it may take until all are put aside.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) const FAULT: Fault = Fault {
    number: 41,
    name: "poison",
    what: "events of unknown types, with data of 10 MiB, 128 levels deep, with zeroes and with bytes that are no text",
    strike,
    limits: Limits { letters: true, served_percent: Some(80), timers: Some(Duration::from_secs(1)), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let before: u64 = scene.rig.number("SELECT count(*) FROM dead_letters")?;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(128), "}".repeat(128));
    let huge = format!(r#"{{"campaignId":"huge","metadata":{{"text":"{}"}}}}"#, "x".repeat(10 * 1024 * 1024));
    let poisons: [(&str, &[u8]); 6] = [
        ("campaign.exploded", b"{}"),
        ("campaign.status.requested", br#"{"campaignId":"a","to":"NOWHERE"}"#),
        ("campaign.created", deep.as_bytes()),
        ("campaign.created", huge.as_bytes()),
        ("campaign.created", b"{\"campaignId\":\"zero\\u0000\0\"}"),
        ("campaign.created", b"{\"campaignId\":\"\xff\xfe\"}"),
    ];
    for (number, (kind, data)) in poisons.iter().enumerate() {
        append(scene, &format!("{}-poison-{number}", scene.run), kind, data)?;
        pause(scene.profile.fault / 6)?;
    }
    let expected = before + poisons.len() as u64;
    let count = || scene.rig.number::<u64>("SELECT count(*) FROM dead_letters").unwrap_or_default();
    let all = wait(scene.profile.patience(WITHIN), || count() == expected)?;
    let found = count() - before;
    scene.in_time(all, WITHIN, format!("{found} dead letters of {} poisoned events", poisons.len()));
    Ok(())
}

/// The last argument comes by the standard input, where any bytes may.
fn append(scene: &Scene<'_>, id: &str, kind: &str, data: &[u8]) -> Result<()> {
    let mut cli = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &scene.rig.redis().port().to_string(), "-e", "-x"])
        .args(["XADD", "campaign-events", "*", "eventId", id, "eventType", kind, "source", "poison"])
        .args(["timestamp", "2026-11-01T00:00:00Z", "data"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    cli.stdin.take().context("it has no input")?.write_all(data)?;
    ensure!(cli.wait()?.success(), "redis-cli could not append");
    Ok(())
}
