//! The disk under PostgreSQL takes long to flush.

use std::process::{Child, Command, Stdio};

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 23,
    name: "slow-flushes",
    what: "strace holds every fdatasync of PostgreSQL's sessions and log writer for 200 ms",
    strike,
    limits: Limits { served_percent: Some(50), ..USUAL },
    needs: Some(|| super::lacks("strace")),
};

const WHO: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walwriter') \
                   AND pid <> pg_backend_pid()";

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=200000"]);
    for process in scene.rig.sql(WHO)?.lines() {
        strace.args(["-p", process]);
    }
    let tracer = Tracer(strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let lasted = scene.last();
    drop(tracer);
    lasted
}

/// Lets go of whom it traces when dropped.
struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // Told to end it detaches; killed, it might leave somebody stopped.
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}
