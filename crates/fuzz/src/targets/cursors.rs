//! Cursors: of live channels, and of every list of the embedded store. One line of text.

use domain::{CampaignId, CampaignKey, TenantId};
use ports::PortError;
use ports::dead_letters::LetterFilter;
use ports::journal::Position;
use ports::query::{CampaignFilter, PageCursor, PageRequest, TimerFilter};
use wire::frames::Cursor;

use super::{Check, ensure};
use crate::service::InProcess;

pub(super) const WORDS: &[&str] = &[
    "1-0",
    "c1",
    "t1.",
    "l",
    "9223372036854775807",
    "18446744073709551615-4294967295",
    "+",
    "00000000000000000000000000000001",
];

pub(super) fn build() -> Check {
    let service = InProcess::open();
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("no text".to_owned()) };
        let live = text.parse::<Cursor>();
        if let Ok(cursor) = live {
            let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            ensure(text.split('-').count() == 2 && text.split('-').all(plain), || "accepts a cursor".to_owned())?;
            ensure(cursor.to_string().parse() == Ok(cursor), || "is another cursor when read back".to_owned())?;
        }
        let lists = service.block_on(lists(&service, text))?;
        Ok(format!("{} {lists}", live.is_ok()))
    })
}

/// Each list takes the cursor or refuses it: it never fails otherwise.
async fn lists(service: &InProcess, text: &str) -> Result<String, String> {
    let store = &service.store;
    let tenant = TenantId::default_tenant();
    let page = || PageRequest { after: Some(PageCursor(text.to_owned())), limit: 2 };
    let campaigns =
        ports::query::Queries::campaigns(store.as_ref(), &tenant, &CampaignFilter::default(), &page()).await;
    let timers = ports::query::Queries::timers(store.as_ref(), &tenant, None, TimerFilter::Pending, &page()).await;
    let letters =
        ports::dead_letters::DeadLetters::list(store.as_ref(), &tenant, &LetterFilter::default(), &page()).await;
    let mut told = String::new();
    told.push(taken("campaigns", campaigns.map(|page| page.items.len()))?);
    told.push(taken("timers", timers.map(|page| page.items.len()))?);
    told.push(taken("dead letters", letters.map(|page| page.items.len()))?);
    if let Ok(position) = text.parse() {
        let id = CampaignId::parse("c-1").map_err(|error| error.to_string())?;
        let key = CampaignKey { tenant, id };
        let history = ports::query::Queries::history(store.as_ref(), &key, Position(position), 2).await;
        told.push(taken("transitions", history.map(|records| records.len()))?);
    }
    Ok(told)
}

fn taken(list: &str, answer: Result<usize, PortError>) -> Result<char, String> {
    match answer {
        Ok(0) => Ok('e'),
        Ok(_) => Ok('s'),
        Err(PortError::Refused { .. }) => Ok('r'),
        Err(error) => Err(format!("the list of {list} fails: {error:?}")),
    }
}
