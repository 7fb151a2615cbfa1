//! `lifecycle config`: the effective settings, the reference, a sample.

use crate::cli::{ConfigArgs, ConfigFormat, Settings};
use crate::config::{effective_json, effective_toml, example, reference, with_sources};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(settings: &Settings, options: &ConfigArgs) -> Result<(), Failure> {
    let text = if options.reference {
        reference()
    } else if options.example {
        example()
    } else {
        let loaded = settings.load()?;
        match options.output {
            _ if options.sources => with_sources(&loaded)?,
            ConfigFormat::Toml => effective_toml(&loaded.config)?,
            ConfigFormat::Json => effective_json(&loaded.config)?,
        }
    };
    Ok(output::print(&text)?)
}
