//! `lifecycle replay`: state and timers written anew from the log, and the outbound streams if asked for.

use serde_json::json;

use crate::cli::{Format, Replay, Settings};
use crate::commands::block_on;
use crate::commands::verify::grouped;
use crate::failure::Failure;
use crate::{output, wiring};

pub(crate) fn run(settings: &Settings, options: &Replay) -> Result<(), Failure> {
    let config = settings.load()?.config;
    let rebuilt = block_on(async {
        let (store, order) = wiring::rebuilding(&config, "lifecycle replay").await?;
        let rebuilt = store.rebuild(&order).await?;
        if options.streams {
            wiring::erase_streams(&config).await?;
        }
        Ok(rebuilt)
    })?;
    let unreadable: Vec<String> = rebuilt.unreadable.iter().map(ToString::to_string).collect();
    match options.report.output {
        Format::Json => output::json(&json!({
            "campaigns": rebuilt.campaigns, "repaired": rebuilt.repaired.len(), "unreadable": unreadable,
            "streamsErased": options.streams,
        }))?,
        Format::Human => {
            output::line(&format!(
                "{} campaigns replayed from the log, {} were different and are repaired",
                grouped(rebuilt.campaigns),
                grouped(rebuilt.repaired.len() as u64)
            ))?;
            if options.streams {
                output::line("the outbound streams are deleted; an instance that serves fills them again")?;
            }
            for key in &unreadable {
                output::line(&format!("  {key}: its log cannot be folded; left as it was"))?;
            }
        }
    }
    if unreadable.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check(format!(
            "{} campaigns have a log that cannot be folded; restore them from a backup",
            unreadable.len()
        )))
    }
}
