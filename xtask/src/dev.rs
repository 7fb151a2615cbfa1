//! `dev`: the service as it runs in production, on this machine, with servers whose data stays for the next time.

use anyhow::Result;
use test_servers::shared::Servers;

use crate::interrupt::Interrupt;
use crate::{built, sh};

const DATABASE: &str = "lifecycle";

pub(crate) fn run() -> Result<()> {
    sh::run(sh::cargo().args(["build", "--package", "lifecycle"]))?;
    let binary = built::program("debug", "lifecycle")?;
    // From here on Ctrl-C is for the service, which stops in order; the servers follow it.
    let _interrupt = Interrupt::catch()?;
    let servers = Servers::kept(&built::target()?.join("dev"))?;
    let postgres = servers.postgres();
    postgres.make_database(DATABASE)?;
    let environment = [("DATABASE_URL", postgres.url(DATABASE)), ("REDIS_URL", servers.redis().url())];
    for (name, folder) in [("PostgreSQL", postgres.folder()), ("Redis", servers.redis().folder())] {
        eprintln!("{name} runs in {}", folder.display());
    }
    eprintln!("Other terminals reach them, too:\n");
    for (name, value) in &environment {
        eprintln!("export {name}='{value}'");
    }
    eprintln!();
    sh::run(sh::command(&binary).arg("migrate").envs(environment.clone()))?;
    sh::run(sh::command(&binary).arg("serve").envs(environment))
}
