//! The suite of what proofs read (V1, V2), of the audit chain and of the rebuild.

use std::sync::Arc;

use async_trait::async_trait;
use domain::CampaignKey;
use domain::invariants::check_campaign;
use ports::journal::{Actor, ActorKind, Cause, Entry, Fact, Position};
use ports::store::{Changes, Scope, TimerWrite, View};
use ports::verification::{CaseFile, Verification};

use crate::fixtures::{
    campaigns, command, commit, commit_facts, definition, due, fact_of, journal, key, key_of, look, notice, now,
    rebuild_order, seconds, stored, tenant,
};
use crate::orders::{FireDue, Order, carry_out, create, run};
use crate::queries::{reminder, start};
use crate::store::StoreHarness;

/// A store with what reads it for proofs.
#[async_trait]
pub trait VerificationHarness: StoreHarness {
    /// What proofs read.
    fn verification(&self) -> Arc<dyn Verification>;

    /// Runs SQL on the table `journal`, behind the store's back. Both stores have that table, with
    /// columns of the same names.
    async fn tamper(&self, sql: &str);

    /// Moves what the store finds due timers by, for every armed timer, without touching any state.
    async fn mislay_timers(&self);
}

/// One test per case of the proofs; `$make` gives a fresh [`VerificationHarness`].
#[macro_export]
macro_rules! verification_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            verification {
                a_case_file_has_all_that_the_invariants_speak_of,
                case_files_are_of_one_moment,
                an_unreadable_campaign_has_a_case_file_that_says_so,
                every_campaign_is_met_once_while_others_come,
                what_would_keep_a_timer_from_firing_is_a_fault,
                a_command_with_two_effects_is_found,
                a_command_that_is_called_like_a_timer_is_another_one,
                an_untouched_chain_holds_page_by_page,
                a_record_that_was_changed_anywhere_breaks_the_chain,
                a_record_that_was_taken_away_put_in_or_moved_breaks_the_chain,
                an_end_that_was_cut_off_does_not_reach_the_anchor,
                a_chain_begins_with_the_hash_that_was_given,
                a_rebuild_restores_what_was_damaged,
                a_rebuild_is_written_down_in_the_history_of_what_it_mended,
                a_rebuild_of_a_sound_store_changes_nothing,
            }
        }
    };
}

async fn files(verification: &Arc<dyn Verification>, limit: usize) -> Vec<CaseFile> {
    let mut all: Vec<CaseFile> = Vec::new();
    loop {
        let after = all.last().map(|file| file.key.clone());
        let page = verification.case_files(after, limit).await.expect("reading");
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn violations(file: &CaseFile) -> Vec<domain::invariants::Violation> {
    let stored = file.stored.as_ref().expect("a readable campaign");
    let log = file.log.as_ref().expect("a readable log");
    check_campaign(stored, log, &file.pending, &file.failed)
}

/// A whole life, a reminder, an update and a failed timer.
async fn some_history(h: &impl VerificationHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("a"), definition(at)).await;
    create(&store, &key("b"), definition(at)).await;
    create(&store, &key_of("globex", "a"), definition(at)).await;
    run(&store, vec![start("a"), reminder("a", "call", at + seconds(900))]).await.expect("a start and a reminder");
    run(&store, vec![Order::engage(&key("a"), 7).named(command("c-1"))]).await.expect("engagements");
    h.advance(seconds(2)).await;
    store.transact(Scope::Due { limit: 10 }, Arc::new(FireDue)).await.expect("b starts");
}

/// V1: state, log and timers of every campaign of every tenant are there, and fit each other.
pub async fn a_case_file_has_all_that_the_invariants_speak_of(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let given_up = stored(&h.store(), &key("a")).await.expect("it is there").timers[0].id;
    let fail = TimerWrite::Fail { id: given_up, attempts: 5, error: "no luck".to_owned() };
    let changes = move |_: &View| Changes { timers: vec![fail.clone()], ..Changes::default() };
    commit(&h.store(), campaigns(&[key("a")]), changes).await.expect("a timer is given up");

    let all = files(&h.verification(), 2).await;
    assert_eq!(all.len(), 3);
    for file in &all {
        assert_eq!(violations(file), [], "{}", file.key);
    }
    let ours = all.iter().find(|file| file.key == key("a")).expect("it is among them");
    assert_eq!(ours.failed, [given_up]);
    assert_eq!(ours.log.as_ref().map(Vec::len), Ok(4));
    assert_eq!(ours.pending.len(), 2);
}

/// V1: while a campaign goes on, its state, log and timers always fit each other.
pub async fn case_files_are_of_one_moment(h: &mut impl VerificationHarness) {
    const STEPS: u64 = 60;
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    run(&store, vec![start("spring")]).await.expect("it starts");
    let writer = tokio::spawn(async move {
        for n in 1..=STEPS {
            let at = at + seconds(600);
            let orders = vec![Order::engage(&key("spring"), n), reminder("spring", &format!("r-{n}"), at)];
            run(&store, orders).await.expect("a step");
        }
    });
    loop {
        let all = files(&h.verification(), 10).await;
        assert_eq!(violations(&all[0]), []);
        if all[0].stored.as_ref().is_ok_and(|campaign| campaign.engagements == STEPS) {
            break;
        }
    }
    writer.await.expect("the writer ends well");
}

/// V1: what cannot be read is told, and does not hide the others.
pub async fn an_unreadable_campaign_has_a_case_file_that_says_so(h: &mut impl VerificationHarness) {
    some_history(h).await;
    h.spoil_campaign(&key("a")).await;
    let all = files(&h.verification(), 10).await;
    let unreadable: Vec<_> = all.iter().filter(|file| file.stored.is_err()).map(|file| &file.key).collect();
    assert_eq!((all.len(), unreadable), (3, vec![&key("a")]));
    assert!(all.iter().all(|file| file.log.is_ok()), "the logs are whole");
}

/// V2: every campaign is met exactly once, by key, also while others come before and behind.
pub async fn every_campaign_is_met_once_while_others_come(h: &mut impl VerificationHarness) {
    let store = h.store();
    let at = now(&store).await;
    let mut wanted: Vec<CampaignKey> = Vec::new();
    for of in ["acme", "globex"] {
        for n in 10..20 {
            wanted.push(key_of(of, &format!("c-{n}")));
        }
    }
    run(&store, wanted.iter().map(|key| Order::create(key, definition(at))).collect()).await.expect("twenty");
    let (mut met, mut after, mut round) = (Vec::new(), None, 0);
    loop {
        let page = h.verification().case_files(after, 3).await.expect("reading");
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        met.extend(page.into_iter().map(|file| file.key));
        for of in ["aaa", "acme", "zzz"] {
            if round < 5 {
                create(&store, &key_of(of, &format!("c-1{round}-new")), definition(at)).await;
            }
        }
        round += 1;
    }
    assert!(met.is_sorted() && met.windows(2).all(|two| two[0] != two[1]), "{met:?}");
    wanted.retain(|key| !met.contains(key));
    assert!(wanted.is_empty(), "never met: {wanted:?}");
}

async fn count_faults(h: &impl VerificationHarness) -> usize {
    let files = h.verification().case_files(None, 10).await.expect("reading");
    files.iter().map(|file| file.faults.len()).sum()
}

/// V3: a timer that the clock will not find is a fault, although the campaign's state is right; a rebuild mends it.
pub async fn what_would_keep_a_timer_from_firing_is_a_fault(h: &mut impl VerificationHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    assert_eq!(count_faults(h).await, 0);
    h.mislay_timers().await;
    assert_eq!(count_faults(h).await, 2, "its START and its EXPIRE");
    h.verification().rebuild(&rebuild_order()).await.expect("rebuilding");
    assert_eq!(count_faults(h).await, 0);
}

/// INV-7: a command that stands in the journal for two decisions is found; one decision of several facts is none.
pub async fn a_command_with_two_effects_is_found(h: &mut impl VerificationHarness) {
    let store = h.store();
    let at = now(&store).await;
    let target = domain::Definition { target_engagements: Some(5), close_on_target: true, ..definition(at) };
    create(&store, &key("spring"), target).await;
    run(&store, vec![start("spring")]).await.expect("it starts");
    run(&store, vec![Order::engage(&key("spring"), 9).named(command("c-1"))]).await.expect("three facts, one command");
    assert_eq!(h.verification().doubled_commands(Position::START, seconds(60), 10).await.expect("asking"), []);

    create(&store, &key("autumn"), definition(at)).await;
    run(&store, vec![start("autumn")]).await.expect("it starts");
    for total in [1, 2] {
        h.advance(seconds(1)).await;
        // A store without an inbox would do this.
        let twice = Order::engage(&key("autumn"), total).named(command("c-2"));
        let forgetful =
            move |view: &View| Changes { inbox: Vec::new(), ..carry_out(view, std::slice::from_ref(&twice)) };
        commit(&store, campaigns(&[key("autumn")]), forgetful).await.expect("an effect");
    }
    let found = h.verification().doubled_commands(Position::START, seconds(60), 10).await.expect("asking");
    assert_eq!(found, [("acme/c-2".to_owned(), 2)]);
    let later = h.verification().doubled_commands(Position::START, seconds(1), 10).await.expect("asking");
    assert_eq!(later, [], "after its time an id may be used again");
}

/// INV-7: a sender may have chosen a timer's id for a command of its own.
pub async fn a_command_that_is_called_like_a_timer_is_another_one(h: &mut impl VerificationHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    for kind in [ActorKind::Operator, ActorKind::Timer] {
        let actor = Actor { kind, subject: "somebody".to_owned() };
        let fact = move |view: &View| {
            let cause = Cause { command: Some(command("0192f3a0-7c1e-7000-8000-0123456789ab")), correlation: None };
            Changes { facts: vec![Fact { actor: actor.clone(), cause, ..notice(view.now, "x") }], ..Changes::default() }
        };
        commit(&store, campaigns(&[]), fact).await.expect("a fact");
    }
    assert_eq!(h.verification().doubled_commands(Position::START, seconds(60), 10).await.expect("asking"), []);
}

/// The chain's last position and hash, read in pages of `limit`; it must hold.
async fn sound_chain(h: &impl VerificationHarness, limit: usize) -> (Position, String, u64) {
    let (mut last, mut hash, mut checked) = (Position::START, String::new(), 0);
    loop {
        let page = h.verification().check_chain(last, &hash, limit).await.expect("checking");
        assert_eq!(page.faults, [], "after {last}");
        checked += page.checked;
        (last, hash) = (page.last, page.hash);
        if page.done {
            return (last, hash, checked);
        }
    }
}

/// The audit chain of a store that nobody touched holds, whatever the size of the page, and grows with every fact.
pub async fn an_untouched_chain_holds_page_by_page(h: &mut impl VerificationHarness) {
    assert_eq!(sound_chain(h, 10).await.2, 0, "an empty journal has nothing to check");
    some_history(h).await;
    let whole = sound_chain(h, 1_000).await;
    assert_eq!(sound_chain(h, 1).await, whole);
    assert_eq!(sound_chain(h, 3).await, whole);
    assert_eq!(whole.0, Position(whole.2));
    let at = now(&h.store()).await;
    commit_facts(&h.store(), vec![notice(at, "one"), fact_of(&tenant("globex"), at, notice(at, "x").entry)]).await;
    h.reopen().await;
    let longer = sound_chain(h, 1_000).await;
    assert_eq!(longer.0, Position(whole.0.0 + 2));
    assert_ne!(longer.1, whole.1);
}

async fn faulty_positions(h: &impl VerificationHarness) -> Vec<u64> {
    let page = h.verification().check_chain(Position::START, "", 1_000).await.expect("checking");
    page.faults.iter().map(|fault| fault.position.0).collect()
}

/// A record that was changed behind the store's back is found, and named: whatever was changed, be it one character.
pub async fn a_record_that_was_changed_anywhere_breaks_the_chain(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let texts = ["tenant", "actor_subject", "correlation", "campaign", "owner", "kind"];
    let mut changes: Vec<String> = texts.map(|column| format!("{column} = {column} || 'x'")).into();
    changes.extend(["actor_kind = 'operator'", "command = 'c-9'", "sequence = sequence + 50"].map(str::to_owned));
    changes.push("data = replace(data, 'spring', 'sprinh')".to_owned());
    for change in changes {
        let column = change.split(' ').next().expect("a column");
        h.tamper("CREATE TABLE aside AS SELECT * FROM journal WHERE position = 3").await;
        h.tamper(&format!("UPDATE journal SET {change} WHERE position = 3")).await;
        assert_eq!(faulty_positions(h).await, [3], "{change}");
        h.tamper(&format!("UPDATE journal SET {column} = (SELECT {column} FROM aside) WHERE position = 3")).await;
        h.tamper("DROP TABLE aside").await;
        assert_eq!(faulty_positions(h).await, [] as [u64; 0], "all is as it was before {change}");
    }
}

/// Deleted, swapped and inserted records are found.
pub async fn a_record_that_was_taken_away_put_in_or_moved_breaks_the_chain(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let (last, _, _) = sound_chain(h, 1_000).await;
    for step in
        ["position = 1000 WHERE position = 3", "position = 3 WHERE position = 4", "position = 4 WHERE position = 1000"]
    {
        h.tamper(&format!("UPDATE journal SET {step}")).await;
    }
    let swapped = faulty_positions(h).await;
    assert!(swapped.contains(&3) && swapped.contains(&4), "{swapped:?}");

    h.tamper("DELETE FROM journal WHERE position = 2").await;
    let deleted = faulty_positions(h).await;
    assert!(deleted.iter().any(|position| (2..=3).contains(position)), "{deleted:?}");

    let columns = "at, tenant, actor_kind, actor_subject, command, correlation, kind, data, hash";
    h.tamper(&format!(
        "INSERT INTO journal (position, id, {columns}) SELECT position + 1, id, {columns} FROM journal WHERE position = {last}"
    ))
    .await;
    let inserted = faulty_positions(h).await;
    assert!(inserted.iter().any(|position| *position >= last.0), "{inserted:?}");
}

/// A chain whose end was cut off may be whole; what was noted of it earlier is not part of it any more.
pub async fn an_end_that_was_cut_off_does_not_reach_the_anchor(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let (last, hash, _) = sound_chain(h, 1_000).await;
    h.tamper(&format!("DELETE FROM journal WHERE position > {}", last.0 - 2)).await;
    let whole = h.verification().check_chain(Position::START, "", 1_000).await.expect("checking");
    assert_eq!(whole.last, Position(last.0 - 2), "what `audit verify --expect` holds against the anchor");
    let behind = h.verification().check_chain(last, &hash, 1_000).await.expect("checking");
    assert!(!behind.faults.is_empty(), "nothing has that hash");
}

/// Who remembers a hash from elsewhere, an anchor, learns whether the chain still begins there.
pub async fn a_chain_begins_with_the_hash_that_was_given(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let anchor = h.verification().check_chain(Position::START, "", 3).await.expect("checking");
    let next = h.verification().check_chain(anchor.last, &anchor.hash, 1_000).await.expect("checking");
    assert_eq!((next.faults.len(), next.done), (0, true));
    let other = "ab".repeat(32);
    let wrong = h.verification().check_chain(anchor.last, &other, 1_000).await.expect("checking");
    assert!(!wrong.faults.is_empty(), "the anchor is another one");
}

/// A rebuild writes state and timers as the journal has them.
pub async fn a_rebuild_restores_what_was_damaged(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let at = now(&h.store()).await;
    let before = create(&h.store(), &key("late"), definition(at)).await;
    let (a, b) = (key("a"), key("b"));
    let whole = (stored(&h.store(), &a).await, stored(&h.store(), &b).await);
    h.spoil_campaign(&a).await;
    let lost = TimerWrite::Cancel { id: before.timers[0].id };
    let changes = move |_: &View| Changes { timers: vec![lost.clone()], ..Changes::default() };
    commit(&h.store(), campaigns(&[key("late")]), changes).await.expect("a timer is lost");

    let report = h.verification().rebuild(&rebuild_order()).await.expect("rebuilding");
    assert_eq!(report.campaigns, 4);
    assert!(!report.repaired.is_empty() && report.unreadable.is_empty(), "{report:?}");
    assert_eq!((stored(&h.store(), &a).await, stored(&h.store(), &b).await), whole);
    for file in files(&h.verification(), 10).await {
        assert_eq!(violations(&file), [], "{}", file.key);
    }
    h.advance(seconds(2)).await;
    assert_eq!(look(&h.store(), due()).await.due.len(), 1, "the lost timer is armed again");
}

/// Where nothing is wrong, a rebuild finds nothing, and the journal stays as it is.
pub async fn a_rebuild_of_a_sound_store_changes_nothing(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let (before, chain) = (files(&h.verification(), 10).await, sound_chain(h, 1_000).await);
    let report = h.verification().rebuild(&rebuild_order()).await.expect("rebuilding");
    assert_eq!((report.campaigns, report.repaired.len(), report.unreadable.len()), (3, 0, 0));
    let after = files(&h.verification(), 10).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.stored, &before.log), (&after.stored, &after.log));
        assert_eq!(violations(after), []);
    }
    assert_eq!(sound_chain(h, 1_000).await, chain);
}

/// V4: what was different is told in the campaign's history, by whoever asked for it; done again, nothing is.
pub async fn a_rebuild_is_written_down_in_the_history_of_what_it_mended(h: &mut impl VerificationHarness) {
    some_history(h).await;
    let before = journal(&h.outbox()).await.len();
    h.spoil_campaign(&key("a")).await;
    h.mislay_timers().await;
    let report = h.verification().rebuild(&rebuild_order()).await.expect("rebuilding");
    let mended: Vec<CampaignKey> = report.repaired.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(mended, [key("a"), key("b"), key_of("globex", "a")]);
    let told = journal(&h.outbox()).await.split_off(before);
    assert_eq!(told.len(), 3);
    for (record, key) in told.iter().zip(&mended) {
        let Entry::Notice { name, campaign, detail, .. } = &record.fact.entry else { panic!("{record:?}") };
        assert_eq!(
            (name.as_str(), &record.fact.tenant, campaign.as_ref()),
            ("campaign.repaired", &key.tenant, Some(&key.id))
        );
        assert_eq!(record.fact.actor, rebuild_order().actor);
        assert!(detail.as_str().contains("a contract") && detail.as_str().contains("_CAMPAIGN"), "{detail:?}");
        let history = h.queries().history(key, Position::START, 100).await.expect("reading");
        assert_eq!(history.last().map(|last| last.position), Some(record.position), "{key}");
    }
    let Entry::Notice { detail, .. } = &told[0].fact.entry else { panic!("{told:?}") };
    assert!(detail.as_str().contains("unreadable"), "{detail:?}");
    sound_chain(h, 1_000).await;
    h.verification().rebuild(&rebuild_order()).await.expect("rebuilding");
    assert_eq!(journal(&h.outbox()).await.len(), before + 3, "it was sound");
    for file in files(&h.verification(), 10).await {
        assert_eq!(violations(&file), [], "{}", file.key);
    }
}
