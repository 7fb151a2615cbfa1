//! The suite of the dead-letter queue (D1 to D4).

use std::sync::Arc;

use async_trait::async_trait;
use domain::{CampaignId, TenantId, Timestamp};
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::journal::{Actor, ActorKind};
use ports::query::{MAX_PAGE, PageCursor, PageRequest};
use uuid::Uuid;

use crate::fixtures::{assert_refused, json, new_id, seconds, tenant};

/// A queue of its own for one case.
#[async_trait]
pub trait DeadLettersHarness: Send + Sync {
    /// The queue.
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;

    /// Ends everything and opens the same data again, as a new process would.
    async fn reopen(&mut self);
}

/// One test per case of the dead-letter queue; `$make` gives a fresh [`DeadLettersHarness`].
#[macro_export]
macro_rules! dead_letters_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            dead_letters {
                a_letter_is_there_until_it_is_settled,
                the_same_origin_again_raises_its_attempts,
                a_settled_origin_may_come_again,
                a_letter_is_settled_once,
                settled_letters_are_kept_as_history,
                letters_come_newest_first_page_by_page,
                letters_are_filtered,
                another_tenant_sees_no_letter,
            }
        }
    };
}

fn instant() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 123_456_000).expect("in range")
}

/// A letter about an event.
pub(crate) fn letter(origin: &str) -> NewLetter {
    NewLetter {
        id: new_id(),
        tenant: tenant("acme"),
        kind: LetterKind::Event,
        origin: origin.to_owned(),
        event_type: "campaign.updated".to_owned(),
        campaign: CampaignId::parse("spring").ok(),
        code: "malformed_event".to_owned(),
        error: "data.campaignId is missing".to_owned(),
        attempts: 1,
        first_error_at: instant(),
        last_error_at: instant(),
        original: r#"{"eventId":"e-1","data":"{"}"#.to_owned(),
    }
}

fn settlement(reason: Option<&str>) -> Settlement {
    let by = Actor { kind: ActorKind::Operator, subject: "ada".to_owned() };
    let detail = reason.map(|_| json(r#"{"ticket":7}"#));
    Settlement { by, at: instant() + seconds(60), reason: reason.map(str::to_owned), detail }
}

fn all() -> PageRequest {
    PageRequest { after: None, limit: MAX_PAGE }
}

async fn list(h: &impl DeadLettersHarness, filter: LetterFilter) -> Vec<Letter> {
    h.dead_letters().list(&tenant("acme"), &filter, &all()).await.expect("listing").items
}

async fn add(h: &impl DeadLettersHarness, letters: &[NewLetter]) {
    h.dead_letters().add(letters.to_vec()).await.expect("adding");
}

/// Settles a letter; answers whether it was open.
async fn settle(
    h: &impl DeadLettersHarness,
    tenant: &TenantId,
    id: Uuid,
    state: LetterState,
    reason: Option<&str>,
) -> bool {
    h.dead_letters().settle(tenant, id, state, settlement(reason)).await.expect("settling")
}

async fn open_count(h: &impl DeadLettersHarness) -> u64 {
    h.dead_letters().open_count().await.expect("counting")
}

/// D1: a letter is there, as it was added, also in the next process.
pub async fn a_letter_is_there_until_it_is_settled(h: &mut impl DeadLettersHarness) {
    let first = letter("e-1");
    let second = NewLetter { kind: LetterKind::Timer, campaign: None, ..letter("timer-1") };
    add(h, &[first.clone(), second.clone()]).await;
    h.reopen().await;
    assert_eq!(open_count(h).await, 2);
    for wanted in [first, second] {
        let got = h.dead_letters().get(&tenant("acme"), wanted.id).await.expect("reading").expect("it is there");
        assert_eq!(got, Letter { letter: wanted, state: LetterState::Open, settled: None });
    }
    assert!(h.dead_letters().get(&tenant("acme"), new_id()).await.expect("reading").is_none());
}

/// D1: the same origin again, while it is open, raises the attempts and the last error of the letter that is there.
pub async fn the_same_origin_again_raises_its_attempts(h: &mut impl DeadLettersHarness) {
    let first = letter("e-1");
    add(h, std::slice::from_ref(&first)).await;
    let later = instant() + seconds(9);
    let again = NewLetter {
        attempts: 4,
        error: "still missing".to_owned(),
        code: "other_code".to_owned(),
        first_error_at: later,
        last_error_at: later,
        ..letter("e-1")
    };
    add(h, &[again]).await;
    let letters = list(h, LetterFilter::default()).await;
    assert_eq!((letters.len(), open_count(h).await), (1, 1));
    let now = &letters[0].letter;
    assert_eq!((now.id, now.first_error_at, now.last_error_at), (first.id, instant(), later));
    assert_eq!(now.error, "still missing");
    assert!(now.attempts > first.attempts, "{} attempts", now.attempts);
    add(h, &[NewLetter { kind: LetterKind::Timer, ..letter("e-1") }]).await;
    assert_eq!(open_count(h).await, 2, "a timer is another origin than an event");
}

/// D1: an origin whose letter was settled gets a new letter when it fails again.
pub async fn a_settled_origin_may_come_again(h: &mut impl DeadLettersHarness) {
    let first = letter("e-1");
    add(h, std::slice::from_ref(&first)).await;
    assert!(settle(h, &tenant("acme"), first.id, LetterState::Replayed, None).await);
    let second = letter("e-1");
    add(h, std::slice::from_ref(&second)).await;
    assert_eq!((list(h, LetterFilter::default()).await.len(), open_count(h).await), (2, 1));
    let old = h.dead_letters().get(&tenant("acme"), first.id).await.expect("reading").expect("it is there");
    assert_eq!(old.state, LetterState::Replayed);
}

/// D2: a letter is settled once; the second time changes nothing and says so, whoever comes first.
pub async fn a_letter_is_settled_once(h: &mut impl DeadLettersHarness) {
    let one = letter("e-1");
    add(h, std::slice::from_ref(&one)).await;
    let acme = tenant("acme");
    assert!(settle(h, &acme, one.id, LetterState::Discarded, Some("spam")).await);
    assert!(!settle(h, &acme, one.id, LetterState::Replayed, None).await);
    assert!(!settle(h, &acme, new_id(), LetterState::Replayed, None).await);
    let got = h.dead_letters().get(&acme, one.id).await.expect("reading").expect("it is there");
    assert_eq!((got.state, got.settled), (LetterState::Discarded, Some(settlement(Some("spam")))));

    let contested = letter("e-2");
    add(h, std::slice::from_ref(&contested)).await;
    let mut clerks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (queue, acme, id) = (h.dead_letters(), acme.clone(), contested.id);
        clerks.spawn(async move { queue.settle(&acme, id, LetterState::Replayed, settlement(None)).await });
    }
    let mut settled = 0;
    while let Some(ended) = clerks.join_next().await {
        settled += u32::from(ended.expect("no clerk fails").expect("settling"));
    }
    assert_eq!(settled, 1);
}

/// D3: what was settled stays, with who, when and why, and is not open.
pub async fn settled_letters_are_kept_as_history(h: &mut impl DeadLettersHarness) {
    let (one, two) = (letter("e-1"), letter("e-2"));
    add(h, &[one.clone(), two.clone()]).await;
    let acme = tenant("acme");
    for (id, state, reason) in [(one.id, LetterState::Replayed, None), (two.id, LetterState::Discarded, Some("spam"))] {
        assert!(settle(h, &acme, id, state, reason).await);
    }
    h.reopen().await;
    assert_eq!(open_count(h).await, 0);
    let discarded = list(h, LetterFilter { state: Some(LetterState::Discarded), ..LetterFilter::default() }).await;
    let wanted = Letter { letter: two, state: LetterState::Discarded, settled: Some(settlement(Some("spam"))) };
    assert_eq!(discarded, [wanted]);
    assert_eq!(list(h, LetterFilter::default()).await.len(), 2);
}

/// D1: letters come newest first, each on one page, also while others are added.
pub async fn letters_come_newest_first_page_by_page(h: &mut impl DeadLettersHarness) {
    for n in 0..7 {
        let at = instant() + seconds(n);
        add(h, &[NewLetter { first_error_at: at, last_error_at: at, ..letter(&format!("e-{n}")) }]).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { after, limit: 3 };
        let page = h.dead_letters().list(&tenant("acme"), &LetterFilter::default(), &page).await.expect("listing");
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|letter| letter.letter.origin));
        let late = instant() + seconds(100);
        add(h, &[NewLetter { first_error_at: late, last_error_at: late, ..letter(&format!("new-{}", seen.len())) }])
            .await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..7).rev().map(|n| format!("e-{n}")).collect::<Vec<_>>());
    let wrong = PageRequest { after: Some(PageCursor("nonsense".to_owned())), limit: 3 };
    assert_refused(h.dead_letters().list(&tenant("acme"), &LetterFilter::default(), &wrong).await);
}

/// D1: a filter narrows the list.
pub async fn letters_are_filtered(h: &mut impl DeadLettersHarness) {
    let event = letter("e-1");
    let timer = NewLetter {
        kind: LetterKind::Timer,
        event_type: "START_CAMPAIGN".to_owned(),
        campaign: CampaignId::parse("autumn").ok(),
        code: "timer_failed".to_owned(),
        ..letter("timer-1")
    };
    add(h, &[event.clone(), timer.clone()]).await;
    let filters = [
        LetterFilter { kind: Some(LetterKind::Timer), ..LetterFilter::default() },
        LetterFilter { code: Some("timer_failed".to_owned()), ..LetterFilter::default() },
        LetterFilter { campaign: timer.campaign.clone(), ..LetterFilter::default() },
        LetterFilter { event_type: Some("START_CAMPAIGN".to_owned()), ..LetterFilter::default() },
        LetterFilter { state: Some(LetterState::Open), kind: Some(LetterKind::Timer), ..LetterFilter::default() },
    ];
    for filter in filters {
        let got = list(h, filter.clone()).await;
        assert_eq!(got.iter().map(|letter| letter.letter.id).collect::<Vec<_>>(), [timer.id], "{filter:?}");
    }
    let none = LetterFilter { state: Some(LetterState::Discarded), ..LetterFilter::default() };
    assert!(list(h, none).await.is_empty());
}

/// D4: a letter is seen and settled by its own tenant alone; the same origin of two tenants is two letters.
pub async fn another_tenant_sees_no_letter(h: &mut impl DeadLettersHarness) {
    let globex = tenant("globex");
    let ours = letter("e-1");
    let theirs = NewLetter { tenant: globex.clone(), ..letter("e-1") };
    add(h, &[ours.clone(), theirs.clone()]).await;
    assert_eq!(open_count(h).await, 2);
    let seen = list(h, LetterFilter::default()).await;
    assert_eq!(seen.iter().map(|letter| letter.letter.id).collect::<Vec<_>>(), [ours.id]);
    assert!(h.dead_letters().get(&globex, ours.id).await.expect("reading").is_none());
    assert!(!settle(h, &globex, ours.id, LetterState::Discarded, Some("mine now")).await);
    let untouched = h.dead_letters().get(&tenant("acme"), ours.id).await.expect("reading").expect("it is there");
    assert_eq!(untouched.state, LetterState::Open);
}
