//! `lifecycle audit verify`: the hash chain over the whole log.

use application::{Head, check_chain};

use crate::cli::{Audit, Format, Settings};
use crate::commands::block_on;
use crate::commands::verify::{Shown, grouped};
use crate::failure::Failure;
use crate::output::style::{BOLD, GREEN, RED, RESET};
use crate::report::ChainBody;
use crate::{output, wiring};

pub(crate) fn run(settings: &Settings, command: &Audit) -> Result<(), Failure> {
    let Audit::Verify(options) = command;
    let config = settings.load()?.config;
    let expected = options.expect.as_deref().map(Head::parse).transpose();
    let expected = expected.map_err(|error| Failure::Usage(format!("--expect: {error}")))?;
    let chain = block_on(async {
        let store = wiring::verification(&config).await?;
        let mut shown = Shown::new();
        let chain = check_chain(store.as_ref(), expected.as_ref(), &mut |progress| shown.show(progress)).await;
        shown.clear();
        Ok(chain?)
    })?;
    if options.report.output == Format::Json {
        output::json(&ChainBody::from(&chain))?;
    } else {
        for fault in &chain.faults {
            output::line(&format!("  position {}: {}", fault.position, fault.detail))?;
        }
        let verdict = match chain.fault_count {
            0 => format!("{GREEN}{BOLD}unbroken{RESET}"),
            count => format!("{RED}{BOLD}broken at {} places{RESET}", grouped(count)),
        };
        output::line(&format!("{} records, chain {verdict}", grouped(chain.records)))?;
        output::line(&format!("head {}:{}", chain.head, chain.hash))?;
    }
    if chain.fault_count == 0 {
        Ok(())
    } else {
        Err(Failure::Check(
            "the audit chain is broken: records were changed, removed or inserted. Compare with a backup".to_owned(),
        ))
    }
}
