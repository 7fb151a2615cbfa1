//! Proofs, repairs and dead letters, where PostgreSQL makes a difference.

use std::sync::Arc;

use port_contracts::fixtures::{
    commit_facts, definition, json, key, new_id, notice, now, owner, rebuild_order, stored, tenant,
};
use port_contracts::orders::create;
use ports::dead_letters::{DeadLetters, LetterFilter, LetterKind, NewLetter};
use ports::journal::Position;
use ports::query::{CampaignFilter, PageCursor, PageRequest, Queries, TimerFilter};
use ports::store::Store;
use ports::verification::Verification;

use crate::support::Fresh;

fn first_page() -> PageRequest {
    PageRequest { after: None, limit: 10 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_whose_end_was_cut_off_is_found() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    commit_facts(&store, (0..5).map(|_| notice(at, "x")).collect()).await;
    let sound = fresh.postgres().check_chain(Position::START, "", 100).await.expect("checking");
    assert_eq!((sound.faults, sound.last, sound.done), (Vec::new(), Position(5), true));
    fresh.database.psql("DELETE FROM journal WHERE position = 5");
    let cut = fresh.postgres().check_chain(Position::START, "", 100).await.expect("checking");
    assert_eq!(cut.faults.iter().map(|fault| fault.position).collect::<Vec<_>>(), [Position(4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_is_missing_is_written_anew_from_its_log() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    for n in 0..250 {
        create(&store, &key(&format!("c-{n:03}")), domain::Definition { owner: Some(owner("ada")), ..definition(at) })
            .await;
    }
    let whole = stored(&store, &key("c-120")).await;
    fresh.database.psql("DELETE FROM timers WHERE campaign = (SELECT number FROM campaigns WHERE id = 'c-120')");
    fresh.database.psql("DELETE FROM campaigns WHERE id = 'c-120'");
    fresh
        .database
        .psql("UPDATE timers SET tenant = 'other' WHERE campaign = (SELECT number FROM campaigns WHERE id = 'c-200')");
    fresh.database.psql("UPDATE campaigns SET owner = 'bob' WHERE id = 'c-007'");
    assert!(stored(&store, &key("c-120")).await.is_none());
    let files = fresh.postgres().case_files(None, 1_000).await.expect("reading");
    let faulty = files.iter().filter(|file| file.stored.is_err() || !file.faults.is_empty());
    let faulty: Vec<String> = faulty.map(|file| file.key.id.as_str().to_owned()).collect();
    assert_eq!((files.len(), faulty), (250, ["c-007", "c-120", "c-200"].map(str::to_owned).to_vec()));

    let report = fresh.postgres().rebuild(&rebuild_order()).await.expect("rebuilding");
    assert_eq!((report.campaigns, report.repaired.len(), report.unreadable.len()), (250, 3, 0));
    assert_eq!(stored(&store, &key("c-120")).await, whole);
    let files = fresh.postgres().case_files(None, 1_000).await.expect("reading");
    assert!(files.iter().all(|file| file.stored.is_ok() && file.faults.is_empty()));
    assert_eq!(fresh.postgres().rebuild(&rebuild_order()).await.expect("rebuilding").repaired.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_that_was_put_under_another_campaign_goes_back_to_its_own() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    // So far apart that they are mended by different commits.
    for n in 0..250 {
        create(&store, &key(&format!("c-{n:03}")), definition(at)).await;
    }
    for (from, to, different) in [("c-240", "c-001", 2), ("c-001", "c-240", 1)] {
        fresh.database.psql(&format!(
            "UPDATE timers SET kind = 'CUSTOM', name = 'lost', \
               campaign = (SELECT number FROM campaigns WHERE id = '{to}') \
             WHERE campaign = (SELECT number FROM campaigns WHERE id = '{from}') AND kind = 'START_CAMPAIGN'"
        ));
        let report = fresh.postgres().rebuild(&rebuild_order()).await.expect("rebuilding");
        assert_eq!(report.repaired.len(), different, "{from} to {to}");
        assert_eq!(fresh.postgres().rebuild(&rebuild_order()).await.expect("rebuilding").repaired, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_which_a_row_was_changed_deleted_or_swapped_is_found() {
    let spoilers = [
        ("changed", "UPDATE journal SET data = replace(data, 'contract', 'contracT') WHERE position = 3"),
        ("deleted", "DELETE FROM journal WHERE position = 3"),
        (
            "swapped",
            "UPDATE journal SET position = 1007 - position WHERE position IN (3, 4); \
                     UPDATE journal SET position = position - 1000 WHERE position > 1000",
        ),
    ];
    for (what, spoiler) in spoilers {
        let fresh = Fresh::open().await;
        let store: Arc<dyn Store> = fresh.postgres();
        let at = now(&store).await;
        commit_facts(&store, (0..6).map(|_| notice(at, "x")).collect()).await;
        fresh.database.psql(spoiler);
        let chain = fresh.postgres().check_chain(Position::START, "", 100).await.expect("checking");
        assert!(!chain.faults.is_empty(), "{what}");
    }
}

fn letter(origin: &str, error: &str, attempts: u32) -> NewLetter {
    let at = domain::Timestamp::from_timestamp(1_800_000_000, 0).expect("a date in 2027");
    NewLetter {
        id: new_id(),
        tenant: tenant("acme"),
        kind: LetterKind::Event,
        origin: origin.to_owned(),
        event_type: "campaign.created".to_owned(),
        campaign: None,
        code: "malformed_event".to_owned(),
        error: error.to_owned(),
        attempts,
        first_error_at: at,
        last_error_at: at,
        original: json("{}").as_str().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_one_origin_in_one_call_become_one_letter() {
    let fresh = Fresh::open().await;
    let desk = fresh.postgres();
    let letters = vec![letter("2-0", "first", 4), letter("1-0", "other", 1), letter("2-0", "second", 2)];
    let first = letters[0].id;
    desk.add(letters).await.expect("adding");
    let got = desk.get(&tenant("acme"), first).await.expect("reading").expect("it is there").letter;
    assert_eq!((got.error.as_str(), got.attempts), ("second", 4));
    assert_eq!(desk.open_count().await.expect("counting"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_character_that_postgresql_cannot_keep_keeps_no_letter_out() {
    let fresh = Fresh::open().await;
    let desk = fresh.postgres();
    let odd = letter("1-0", "unexpected \0 in data", 1);
    let id = odd.id;
    desk.add(vec![odd]).await.expect("adding");
    let got = desk.get(&tenant("acme"), id).await.expect("reading").expect("it is there").letter;
    assert_eq!(got.error, "unexpected \u{fffd} in data");
    let nothing = LetterFilter { code: Some("\0".to_owned()), ..LetterFilter::default() };
    assert!(desk.list(&tenant("acme"), &nothing, &first_page()).await.expect("reading").items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_postgresql_cannot_be_asked_are_answered() {
    let fresh = Fresh::open().await;
    let (queries, acme) = (fresh.postgres(), tenant("acme"));
    for odd in ["\0", "é", "a\0b"] {
        let filter = CampaignFilter { id_prefix: Some(odd.to_owned()), ..CampaignFilter::default() };
        assert!(queries.campaigns(&acme, &filter, &first_page()).await.expect("reading").items.is_empty(), "{odd:?}");
    }
    let before_all = format!("t{}.{}", -8_000_000_000_000_000_000_i64, new_id().simple());
    let page = PageRequest { after: Some(PageCursor(before_all)), limit: 10 };
    port_contracts::fixtures::assert_refused(queries.timers(&acme, None, TimerFilter::Pending, &page).await);
}
