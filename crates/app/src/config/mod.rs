//! Configuration: a TOML file, below environment variables, below flags; checked whole before anything starts.

mod check;
mod layers;
mod policy;
mod reference;
mod schema;
mod sections;
mod servers;
mod show;
mod values;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Toml};

use layers::Setting;
pub(crate) use reference::{example, reference};
pub(crate) use sections::{Auth, AuthMode, Config, Log, LogFormat};
pub(crate) use show::{effective_json, effective_toml, with_sources};
pub(crate) use values::{Secret, Span};

/// Where settings are taken from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The TOML file.
    pub(crate) file: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
    /// Flags: name, key, value.
    pub(crate) flags: Vec<(&'static str, &'static [&'static str], String)>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n  {}", .0.join("\n  "))]
pub(crate) struct ConfigError(Vec<String>);

/// Settings, checked, and where each came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    figment: Figment,
}

impl Loaded {
    /// Where the value at `path` came from, in a user's words.
    pub(crate) fn source_of(&self, path: &[&str]) -> String {
        source_of(&self.figment, path)
    }
}

/// The process's environment, as far as it is text.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))).collect()
}

/// Reads and checks all settings.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut figment = Figment::new();
    if let Some(file) = &sources.file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ConfigError(vec![format!("cannot read the file {}: {error}", file.display())]))?;
        if let Err(error) = text.parse::<toml::Table>() {
            return Err(ConfigError(vec![format!("the file {} is not TOML: {error}", file.display())]));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    let mut problems = Vec::new();
    let mut variables: Vec<_> = sources.variables.iter().collect();
    variables.sort();
    let usual = variables.iter().filter_map(|(name, text)| Setting::from_usual_variable(name, text));
    let own = variables.iter().filter_map(|(name, text)| Setting::from_variable(name, text));
    // The names that every service uses come first: our own say it more clearly.
    let from_variables = usual.chain(own);
    let from_flags = sources.flags.iter().map(|(flag, path, text)| Setting::read(&format!("flag {flag}"), path, text));
    for setting in from_variables.chain(from_flags) {
        match setting {
            Ok(setting) => figment = figment.merge(setting),
            Err(problem) => problems.push(problem),
        }
    }
    match figment.extract::<serde_json::Value>() {
        Ok(all) => problems.extend(check::check_shape(&all, &|path| source_of(&figment, path))),
        Err(errors) => problems.extend(errors.into_iter().map(|error| describe(&error))),
    }
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    let mut config: Config =
        figment.extract().map_err(|errors| ConfigError(errors.into_iter().map(|error| describe(&error)).collect()))?;
    let secrets: [(&str, &mut Option<Secret>, &Option<PathBuf>); 3] = [
        ("auth.hs256_secret", &mut config.auth.hs256_secret, &config.auth.hs256_secret_file),
        ("postgres.url", &mut config.postgres.url, &config.postgres.url_file),
        ("redis.url", &mut config.redis.url, &config.redis.url_file),
    ];
    for (key, secret, file) in secrets {
        problems.extend(take_from_file(key, secret, file.as_deref()).err());
    }
    problems.extend(check::check_whole(&config));
    if problems.is_empty() { Ok(Loaded { config, figment }) } else { Err(ConfigError(problems)) }
}

fn source_of(figment: &Figment, path: &[&str]) -> String {
    match figment.find_metadata(&path.join(".")) {
        None => "default".to_owned(),
        Some(metadata) => name_of(metadata),
    }
}

fn name_of(metadata: &figment::Metadata) -> String {
    match metadata.source.as_ref().and_then(figment::Source::file_path) {
        Some(file) => format!("file {}", file.display()),
        None => metadata.name.to_string(),
    }
}

/// An error of serde, with the key and its source before it.
fn describe(error: &figment::Error) -> String {
    let source = error.metadata.as_ref().map(|metadata| format!(" (from {})", name_of(metadata))).unwrap_or_default();
    format!("{}: {}{source}", error.path.join("."), error.kind)
}

/// Takes the secret `key` from its file, if it has one.
fn take_from_file(key: &str, secret: &mut Option<Secret>, file: Option<&Path>) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    if secret.is_some() {
        return Err(format!("{key} and {key}_file are both set; keep one"));
    }
    let text = read_secret(file).map_err(|error| format!("{key}_file: cannot read {}: {error}", file.display()))?;
    *secret = Some(text);
    Ok(())
}

/// A secret is a file's text without the line end that editors put behind it.
fn read_secret(file: &Path) -> std::io::Result<Secret> {
    let text = std::fs::read_to_string(file)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests;
