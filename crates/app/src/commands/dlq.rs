//! `lifecycle dlq`: the dead-letter desk, on the data file. Looking works beside a serving process, acting does not.

use std::fmt::Write as _;

use application::{DeadLetterDesk, DeskError, Replayed};
use domain::Timestamp;
use ports::dead_letters::{Letter, LetterFilter, LetterState};
use ports::journal::{Actor, ActorKind};
use ports::query::{MAX_PAGE, PageRequest};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wire::http::LetterBody;

use crate::cli::{Dlq, DlqDiscard, DlqFilter, DlqList, DlqOne, DlqReplay, Format, LetterChoice, Settings};
use crate::commands::block_on;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::style::{BOLD, DIM, RESET};
use crate::{output, wiring};

pub(crate) fn run(settings: &Settings, command: Dlq) -> Result<(), Failure> {
    let config = settings.load()?.config;
    match command {
        Dlq::List(options) => list(&config, options),
        Dlq::Show(options) => show(&config, &options),
        Dlq::Replay(options) => replay(&config, options),
        Dlq::Discard(options) => discard(&config, &options),
    }
}

fn filter_of(filter: DlqFilter, state: Option<LetterState>) -> LetterFilter {
    LetterFilter { state, kind: None, code: filter.code, campaign: filter.campaign, event_type: filter.event_type }
}

fn list(config: &Config, options: DlqList) -> Result<(), Failure> {
    let state = match options.state {
        LetterChoice::Open => Some(LetterState::Open),
        LetterChoice::Replayed => Some(LetterState::Replayed),
        LetterChoice::Discarded => Some(LetterState::Discarded),
        LetterChoice::All => None,
    };
    let filter = filter_of(options.filter, state);
    let wanted = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let letters = block_on(async {
        let store = wiring::dead_letters(config).await?;
        let (mut letters, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { after, limit: MAX_PAGE.min(wanted - letters.len()) };
            let page = store.list(&options.scope.tenant, &filter, &page).await?;
            letters.extend(page.items);
            after = page.next;
            if after.is_none() || letters.len() >= wanted {
                return Ok(letters);
            }
        }
    })?;
    if options.scope.report.output == Format::Json {
        let items: Vec<LetterBody> = letters.iter().map(LetterBody::from).collect();
        return Ok(output::json(&json!({ "items": items }))?);
    }
    if letters.is_empty() {
        return Ok(output::line("no dead letters")?);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    if let Some((width, _)) = terminal_size::terminal_size().filter(|_| output::is_watched()) {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(width.0);
    }
    table.set_header(["ID", "STATE", "TYPE", "CAMPAIGN", "CODE", "ATTEMPTS", "LAST ERROR"]);
    for Letter { letter, state, .. } in &letters {
        let campaign = letter.campaign.as_ref().map_or("-", |id| id.as_str());
        table.add_row([
            letter.id.to_string(),
            state.as_str().to_owned(),
            letter.event_type.clone(),
            campaign.to_owned(),
            letter.code.clone(),
            letter.attempts.to_string(),
            letter.error.clone(),
        ]);
    }
    Ok(output::line(&table.trim_fmt())?)
}

fn show(config: &Config, options: &DlqOne) -> Result<(), Failure> {
    let letter =
        block_on(async { Ok(wiring::dead_letters(config).await?.get(&options.scope.tenant, options.id).await?) })?;
    let letter = letter.ok_or_else(|| refused(&DeskError::Unknown))?;
    match options.scope.report.output {
        Format::Json => output::json(&LetterBody::from(&letter))?,
        Format::Human => output::print(&describe(&letter))?,
    }
    Ok(())
}

fn replay(config: &Config, options: DlqReplay) -> Result<(), Failure> {
    let results = at_desk(config, async |desk, actor| {
        if let Some(id) = options.id {
            return desk.replay(&options.scope.tenant, id, actor).await.map(|result| vec![result]);
        }
        let filter = filter_of(options.filter, Some(LetterState::Open));
        let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
        desk.replay_all(&options.scope.tenant, filter, limit, options.dry_run, actor).await
    })?;
    if options.scope.report.output == Format::Json {
        let items: Vec<Value> =
            results.iter().map(|r| json!({ "id": r.id, "outcome": r.outcome, "message": r.message })).collect();
        output::json(&json!({ "results": items }))?;
    } else {
        for Replayed { id, outcome, message } in &results {
            let message = message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            output::line(&format!("{id}  {outcome}{message}"))?;
        }
        output::line(&format!("{} letters", results.len()))?;
    }
    let stuck = results.iter().filter(|r| matches!(r.outcome.as_str(), "rejected" | "failed")).count();
    if stuck == 0 { Ok(()) } else { Err(Failure::Check(format!("{stuck} letters are still open; see above why"))) }
}

fn discard(config: &Config, options: &DlqDiscard) -> Result<(), Failure> {
    let letter = at_desk(config, async |desk, actor| {
        desk.discard(&options.scope.tenant, options.id, &options.reason, actor).await
    })?;
    match options.scope.report.output {
        Format::Json => output::json(&LetterBody::from(&letter))?,
        Format::Human => output::line(&format!("{} is discarded; it stays in the history", letter.letter.id))?,
    }
    Ok(())
}

/// Works at the desk while no other process works with the file.
fn at_desk<T>(
    config: &Config,
    work: impl AsyncFnOnce(&DeadLetterDesk, &Actor) -> Result<T, DeskError>,
) -> Result<T, Failure> {
    block_on(async {
        let wiring::OfflineDesk { desk, commands } =
            wiring::offline_desk(config).await.map_err(|failure| match failure {
                Failure::Unavailable(text) => Failure::Unavailable(format!(
                    "{text}\nBeside a running service use its HTTP interface: POST /api/v1/dlq/{{id}}/replay, \
                 DELETE /api/v1/dlq/{{id}}"
                )),
                other => other,
            })?;
        let stop = CancellationToken::new();
        let worker = tokio::spawn(commands.run(stop.clone()));
        let actor = Actor { kind: ActorKind::Operator, subject: "cli".to_owned() };
        let result = work(&desk, &actor).await.map_err(|error| refused(&error));
        stop.cancel();
        worker.await.map_err(|error| Failure::internal(&error))?;
        result
    })
}

fn refused(error: &DeskError) -> Failure {
    match error {
        DeskError::Unknown => Failure::Check(
            "there is no such dead letter in this tenant; `lifecycle dlq list --state all` shows all".to_owned(),
        ),
        DeskError::Settled => {
            Failure::Check("the dead letter is settled already; `lifecycle dlq show` tells how".to_owned())
        }
        DeskError::Port(error) => Failure::Unavailable(crate::failure::chain(error)),
    }
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn describe(letter: &Letter) -> String {
    let Letter { letter: new, state, settled } = letter;
    let mut out = String::new();
    let mut row = |name: &str, text: &str| {
        let _ = writeln!(out, "{DIM}{name:<14}{RESET} {text}");
    };
    row("id", &format!("{BOLD}{}{RESET}", new.id));
    row("state", state.as_str());
    row("kind", &format!("{} {}", new.kind.as_str(), new.event_type));
    row("origin", &new.origin);
    row("campaign", new.campaign.as_ref().map_or("-", |id| id.as_str()));
    row("code", &new.code);
    row("error", &new.error);
    row("attempts", &format!("{} from {} to {}", new.attempts, time(new.first_error_at), time(new.last_error_at)));
    if let Some(s) = settled {
        let reason = s.reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        row("settled", &format!("by {} at {}{reason}", s.by.subject, time(s.at)));
    }
    row("original", &new.original);
    if *state == LetterState::Open {
        row("next", &format!("lifecycle dlq replay {0}   or   lifecycle dlq discard {0} --reason TEXT", new.id));
    }
    out
}
