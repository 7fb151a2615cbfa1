//! The command line: what can be asked for, and how it is explained. What is done then lives in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{CampaignId, OwnerId, TenantId};
use uuid::Uuid;

use crate::config::{Loaded, Sources, Span, environment, load};
use crate::failure::{EXIT_CODES, Failure};

const ABOUT: &str = "Owns the automated life of social-media campaigns: no transition lost, none doubled, none late";

const EXAMPLES: &str = "\
Examples:
  lifecycle demo                               see six campaigns live their whole life
  lifecycle                                    serve on http://127.0.0.1:8080, data in ./data
  TOKEN=$(lifecycle token --role operator)     a token for curl
  DATABASE_URL=... lifecycle migrate up        make the tables for serving on PostgreSQL and Redis
  lifecycle verify                             prove that the stored data breaks no invariant";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "lifecycle", version, about = ABOUT, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags that are settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Settings {
    /// TOML file with settings; `lifecycle config --example` prints one
    #[arg(long, global = true, value_name = "FILE", env = "LIFECYCLE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Folder of the data file [default: ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,

    /// Address to serve on [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,

    /// `error`, `warn`, `info`, `debug`, `trace`, or filters by module
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,

    /// `auto`, `pretty` or `json`
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Settings {
    /// All settings, from file, environment and these flags, with `preset` below the flags and above the rest.
    pub(crate) fn load_over(
        &self,
        preset: Vec<(&'static str, &'static [&'static str], String)>,
    ) -> Result<Loaded, Failure> {
        let mut flags = preset;
        let data = self.data.as_ref().map(|folder| folder.join("lifecycle.db").display().to_string());
        let given: [(&'static str, &'static [&'static str], Option<String>); 4] = [
            ("--listen", &["http", "listen"], self.listen.clone()),
            ("--data", &["embedded", "path"], data),
            ("--log-level", &["log", "level"], self.log_level.clone()),
            ("--log-format", &["log", "format"], self.log_format.clone()),
        ];
        flags.extend(given.into_iter().filter_map(|(flag, path, text)| Some((flag, path, text?))));
        Ok(load(&Sources { file: self.config.clone(), variables: environment(), flags })?)
    }

    /// All settings, from file, environment and these flags.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        self.load_over(Vec::new())
    }
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve campaigns (the default)
    ///
    /// Listens on 127.0.0.1:8080 and keeps its data in ./data unless told otherwise. SIGTERM or Ctrl-C stops it within
    /// 10 s without losing anything; the same signal again stops it at once.
    Serve,
    /// Show six campaigns living their whole life in half a minute
    ///
    /// Starts the whole service on a throw-away folder (or on --data FOLDER), drives it through its public HTTP and
    /// WebSocket interfaces, draws what happens and ends with a proof that nothing went wrong.
    Demo(Demo),
    /// Print a token for the HTTP and WebSocket interfaces
    ///
    /// Signed with the setting `auth.hs256_secret`, or else with the key of the data folder.
    Token(Token),
    /// Make or update the tables of the PostgreSQL database
    ///
    /// Needs the variable `DATABASE_URL` (or `postgres.url`). Run it before the first start and with every new version, before the new
    /// instances start: old ones work on with the new tables. The embedded store migrates itself.
    Migrate(MigrateArgs),
    /// Check every invariant (INV-1 to INV-8), the audit chain and the streams against the stored log
    ///
    /// Reads only, unless asked to repair; may run beside a serving instance. Exit code 1 when something is wrong.
    Verify(Verify),
    /// Check what is kept for auditors
    #[command(subcommand)]
    Audit(Audit),
    /// Rebuild the state of all campaigns and their timers from the log
    ///
    /// The log is the truth: a campaign whose stored state differs from it is repaired, which is written down in its history.
    /// On the embedded store stop the service first; on servers instances may go on working.
    Replay(Replay),
    /// Look at what could not be processed, process it again, or give it up
    ///
    /// Works on servers at any time, and on a data file while no service runs on it. Beside a service on a data file use
    /// its HTTP interface: GET /api/v1/dlq, POST /api/v1/dlq/{id}/replay, DELETE /api/v1/dlq/{id}.
    #[command(subcommand)]
    Dlq(Dlq),
    /// Print the effective settings with secrets masked, or the reference of all settings
    Config(ConfigArgs),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Print the AsyncAPI document of events and WebSocket frames
    Asyncapi,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// See [`Command::Migrate`].
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    pub(crate) action: Option<Migrate>,
    #[command(flatten)]
    pub(crate) up: MigrateUp,
}

/// What to do with migrations.
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Apply the migrations that are missing (the default); several at once wait for each other
    Up(MigrateUp),
    /// Take the last migration back, with the data that it holds
    Down(MigrateDown),
    /// Show which migrations are applied; exit code 1 unless the database is up to date
    Status(Report),
}

/// See [`Migrate::Up`].
#[derive(Debug, Args)]
pub(crate) struct MigrateUp {
    /// Only say what would be applied
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// See [`Migrate::Down`].
#[derive(Debug, Args)]
pub(crate) struct MigrateDown {
    /// Yes, the data of the last migration may go
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

/// A command that reports.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// How to print the report
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// See [`Command::Verify`].
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Mend what the log tells how it must be, write down what was mended, and check again
    ///
    /// Campaigns and timers that differ from the log are written anew from it, with a notice in the campaign's history;
    /// streams that miss something are told again. Exit code 0 when nothing is wrong any more. On the embedded store stop the
    /// service first; on servers instances may go on working. Without it nothing is changed, and what it would mend is marked.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Why it is repaired; kept with what was mended
    #[arg(long, value_name = "TEXT", requires = "repair", value_parser = domain::Reason::parse)]
    pub(crate) reason: Option<domain::Reason>,
    /// Leave the streams in Redis out
    #[arg(long)]
    pub(crate) without_streams: bool,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// See [`Command::Audit`].
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Recompute the hash chain over the whole log
    ///
    /// Every record's hash covers the one before it: a record that was changed, removed or inserted breaks the chain.
    /// Keep the printed head elsewhere; `--expect` proves later that nothing before it was touched.
    Verify(AuditVerify),
}

/// See [`Audit::Verify`].
#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// A head printed earlier, as POSITION:HASH, that must still be part of the chain
    #[arg(long, value_name = "HEAD")]
    pub(crate) expect: Option<String>,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// See [`Command::Demo`].
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep serving after the summary, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
}

/// See [`Command::Token`].
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whom the token names
    #[arg(long, default_value = "cli", value_name = "NAME")]
    pub(crate) sub: String,
    /// The tenant whose campaigns it opens
    #[arg(long, default_value = "default", value_name = "TENANT", value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// What it allows; give it several times for several roles
    #[arg(long = "role", value_enum, default_values = ["operator"], value_name = "ROLE")]
    pub(crate) roles: Vec<Role>,
    /// Restricts it to the campaigns of this owner
    #[arg(long, value_name = "OWNER", value_parser = OwnerId::parse)]
    pub(crate) owner: Option<OwnerId>,
    /// How long it is valid, as in 30m, 12h, 7d
    #[arg(long, default_value = "12h", value_name = "DURATION", value_parser = Span::parse)]
    pub(crate) ttl: Span,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Read
    Viewer,
    /// Read and act
    Operator,
    /// Read and act on campaigns, as another service
    Service,
    /// Everything
    Admin,
}

/// See [`Command::Replay`].
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Delete the outbound streams in Redis as well, so that they are filled again from the log
    ///
    /// For a database that was restored from a backup and is older than what the streams tell. Consumer groups on the
    /// streams go with them; their services must be told, since entries from before the backup's end may have other content.
    #[arg(long)]
    pub(crate) streams: bool,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// See [`Command::Dlq`].
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List letters, newest first
    List(DlqList),
    /// Show one letter with its original
    Show(DlqOne),
    /// Process a letter again, or all open ones that match
    Replay(DlqReplay),
    /// Give a letter up
    Discard(DlqDiscard),
}

/// Whose letters, and how they are printed.
#[derive(Debug, Args)]
pub(crate) struct DlqScope {
    /// The tenant whose letters
    #[arg(long, default_value = "default", value_name = "TENANT", value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    #[command(flatten)]
    pub(crate) report: Report,
}

/// Which letters.
#[derive(Debug, Args)]
pub(crate) struct DlqFilter {
    /// With this code, as in `unknown_campaign`
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// About this campaign
    #[arg(long, value_name = "ID", value_parser = CampaignId::parse)]
    pub(crate) campaign: Option<CampaignId>,
    /// Of this event type or timer kind
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
}

/// See [`Dlq::List`].
#[derive(Debug, Args)]
pub(crate) struct DlqList {
    /// In this state
    #[arg(long, value_enum, default_value = "open", value_name = "STATE")]
    pub(crate) state: LetterChoice,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) filter: DlqFilter,
    #[command(flatten)]
    pub(crate) scope: DlqScope,
}

/// Which state of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetterChoice {
    Open,
    Replayed,
    Discarded,
    All,
}

/// See [`Dlq::Show`].
#[derive(Debug, Args)]
pub(crate) struct DlqOne {
    /// The letter's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) scope: DlqScope,
}

/// See [`Dlq::Replay`].
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
pub(crate) struct DlqReplay {
    /// The letter's id; or --all
    pub(crate) id: Option<Uuid>,
    /// All open letters that match
    #[arg(long)]
    pub(crate) all: bool,
    /// Only say which letters would be processed
    #[arg(long, requires = "all")]
    pub(crate) dry_run: bool,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) filter: DlqFilter,
    #[command(flatten)]
    pub(crate) scope: DlqScope,
}

/// See [`Dlq::Discard`].
#[derive(Debug, Args)]
pub(crate) struct DlqDiscard {
    /// The letter's id
    pub(crate) id: Uuid,
    /// Why it is given up; kept with the letter
    #[arg(long, value_name = "TEXT", value_parser = domain::Reason::parse)]
    pub(crate) reason: domain::Reason,
    #[command(flatten)]
    pub(crate) scope: DlqScope,
}

/// See [`Command::Config`].
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print one line per setting with where it came from
    #[arg(long, conflicts_with_all = ["reference", "example"])]
    pub(crate) sources: bool,
    /// Print the reference of all settings in Markdown
    #[arg(long, conflicts_with = "example")]
    pub(crate) reference: bool,
    /// Print a documented sample of the file
    #[arg(long)]
    pub(crate) example: bool,
    /// How to print the settings
    #[arg(long, value_enum, default_value = "toml", value_name = "FORMAT")]
    pub(crate) output: ConfigFormat,
}

/// How settings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigFormat {
    Toml,
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
