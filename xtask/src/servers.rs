//! `servers`: PostgreSQL and Redis for tests that are run by hand or by an editor.

use anyhow::Result;
use test_servers::shared::Servers;

use crate::interrupt::Interrupt;

pub(crate) fn run() -> Result<()> {
    let mut interrupt = Interrupt::catch()?;
    let servers = Servers::throw_away()?;
    eprintln!("PostgreSQL and Redis run until Ctrl-C. For tests in another terminal:\n");
    for (name, value) in servers.environment() {
        println!("export {name}='{value}'");
    }
    interrupt.wait();
    Ok(())
}
