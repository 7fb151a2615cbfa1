//! What the store refuses and remembers (S6 to S9). The harness and the macro live in `store`.

use domain::{LifecycleTimer, Timer, TimerId, TimerKind};
use ports::store::{Changes, CommandKey, InboxEntry, Outcome, Scope, TimerWrite, View};

use crate::fixtures::{
    assert_refused, campaigns, command, command_key, commit, definition, due, journal, key, key_of, look, new_id,
    nothing, now, seconds, stored, tenant, timer_name,
};
use crate::orders::{Order, Orders, carry_out, create, run};
use crate::store::StoreHarness;

fn asking(command: &CommandKey) -> Scope {
    Scope::Campaigns { keys: Vec::new(), commands: vec![command.clone()] }
}

/// S6: an answered command is found by every later scope that names it, also in the next process.
pub async fn an_answered_command_is_found_for_ever_after(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    let order = Order::create(&key("spring"), definition(at)).named(command("c-1"));
    run(&h.store(), vec![order]).await.expect("a new campaign");
    let first = look(&h.store(), asking(&command_key("c-1"))).await.inbox;
    assert_eq!(first[&command_key("c-1")].outcome, Outcome::Applied { version: 1 });
    h.advance(seconds(1)).await;
    h.reopen().await;
    assert_eq!(look(&h.store(), asking(&command_key("c-1"))).await.inbox, first);
}

/// S6: an answer comes back as it was given: outcome, fingerprint, campaign and time.
pub async fn every_outcome_is_remembered_as_it_was(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let outcomes = [
        Outcome::Applied { version: 3 },
        Outcome::Unchanged { version: 4 },
        Outcome::Rejected {
            code: "version_mismatch".to_owned(),
            message: "at version 4, not 3 – \"naïve\"".to_owned(),
        },
    ];
    let entry = |(n, outcome): (u8, &Outcome)| {
        let entry = InboxEntry { key: key("spring"), fingerprint: [n; 32], outcome: outcome.clone(), at };
        (command_key(&format!("c-{n}")), entry)
    };
    let entries: Vec<_> = (0..).zip(&outcomes).map(entry).collect();
    let inbox = entries.clone();
    let answer = move |_: &View| Changes { inbox: inbox.clone(), ..Changes::default() };
    commit(&store, nothing(), answer).await.expect("answers alone are fine");
    for (command, entry) in entries {
        assert_eq!(look(&store, asking(&command)).await.inbox.get(&command), Some(&entry));
    }
}

/// S6: a command is answered once; a second answer takes the whole commit down.
pub async fn a_second_answer_to_a_command_is_refused(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let first = Order::create(&key("spring"), definition(at)).named(command("c-1"));
    run(&store, vec![first]).await.expect("a new campaign");
    let second = Order::create(&key("autumn"), definition(at)).named(command("c-1"));
    assert_refused(run(&store, vec![second]).await);
    assert_eq!(stored(&store, &key("autumn")).await, None);
    assert_eq!(look(&store, asking(&command_key("c-1"))).await.inbox[&command_key("c-1")].key, key("spring"));
}

/// S6: the same command id of another tenant is another command.
pub async fn a_command_id_is_of_one_tenant(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let ours = Order::create(&key("spring"), definition(at)).named(command("c-1"));
    let theirs = Order::create(&key_of("globex", "spring"), definition(at)).named(command("c-1"));
    run(&store, vec![ours]).await.expect("a new campaign");
    let other = CommandKey { tenant: tenant("globex"), ..command_key("c-1") };
    assert!(look(&store, asking(&other)).await.inbox.is_empty());
    run(&store, vec![theirs]).await.expect("another tenant's command");
}

/// S6: the same command id of another sender is another command.
pub async fn a_command_id_is_of_one_sender(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    run(&store, vec![Order::create(&key("spring"), definition(at)).named(command("1"))]).await.expect("a campaign");
    let entry = look(&store, asking(&command_key("1"))).await.inbox[&command_key("1")].clone();
    let theirs = CommandKey { sender: "event/main-api".to_owned(), ..command_key("1") };
    assert!(look(&store, asking(&theirs)).await.inbox.is_empty());
    let answer = theirs.clone();
    let answered = move |_: &View| Changes { inbox: vec![(answer.clone(), entry.clone())], ..Changes::default() };
    commit(&store, asking(&theirs), answered).await.expect("another sender's command");
    assert_eq!(look(&store, asking(&theirs)).await.inbox.len(), 1);
}

/// S6: forgetting takes the entries that are older, and says how many.
pub async fn only_old_commands_are_forgotten(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    for id in ["old-1", "old-2"] {
        run(&store, vec![Order::create(&key(id), definition(at)).named(command(id))]).await.expect("a campaign");
    }
    h.advance(seconds(2)).await;
    let border = now(&store).await;
    run(&store, vec![Order::create(&key("new"), definition(border)).named(command("new"))]).await.expect("a campaign");

    assert_eq!(store.forget_commands(border).await.expect("forgetting"), 2);
    assert_eq!(store.forget_commands(border).await.expect("forgetting"), 0);
    assert!(look(&store, asking(&command_key("old-1"))).await.inbox.is_empty());
    assert_eq!(look(&store, asking(&command_key("new"))).await.inbox.len(), 1);
}

/// S7: a campaign is written on top of the version that is there, and on no other.
pub async fn a_write_on_another_version_is_refused(h: &mut impl StoreHarness) {
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    let before = create(&store, &spring, definition(at)).await;
    for wrong in [0, 2, 7] {
        let order = Order::new(&spring, domain::Command::ChangeStatus { to: domain::Status::Running, reason: None });
        let decide = move |view: &View| {
            let mut changes = carry_out(view, std::slice::from_ref(&order));
            changes.campaigns[0].from_version = wrong;
            changes
        };
        assert_refused(commit(&store, campaigns(std::slice::from_ref(&spring)), decide).await);
        assert_eq!(stored(&store, &spring).await.as_ref(), Some(&before), "on version {wrong}");
    }
    assert_eq!(journal(&h.outbox()).await.len(), 1);
}

/// S7: version 0 means that there is none yet; that is checked as any other version.
pub async fn a_campaign_is_created_only_where_there_is_none(h: &mut impl StoreHarness) {
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    let before = create(&store, &spring, definition(at)).await;
    let again = Order::create(&spring, definition(at + seconds(60)));
    // A decision that did not look.
    let blind = move |view: &View| {
        let unseen = View { now: view.now, ..View::default() };
        let mut changes = carry_out(&unseen, std::slice::from_ref(&again));
        changes.timers.clear();
        changes
    };
    assert_refused(commit(&store, campaigns(std::slice::from_ref(&spring)), blind).await);
    assert_eq!(stored(&store, &spring).await, Some(before));
}

fn arm(id: &str, kind: TimerKind, at: domain::Timestamp) -> TimerWrite {
    let timer = Timer { id: TimerId(new_id()), kind, due: at, generation: 1, payload: None };
    TimerWrite::Arm { key: key(id), timer }
}

async fn write_timers(h: &impl StoreHarness, id: &str, timers: Vec<TimerWrite>) -> Result<(), ports::PortError> {
    let changes = move |_: &View| Changes { timers: timers.clone(), ..Changes::default() };
    commit(&h.store(), campaigns(&[key(id)]), changes).await.map(|_| ())
}

/// S8: a campaign has at most one pending timer of a kind; a second one is refused.
pub async fn a_second_pending_timer_of_a_kind_is_refused(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    create(&store, &key("autumn"), definition(at)).await;
    for kind in [LifecycleTimer::Start, LifecycleTimer::Expire] {
        let second = arm("spring", TimerKind::Lifecycle(kind), at + seconds(9));
        assert_refused(write_timers(h, "spring", vec![second]).await);
    }
    let other = arm("spring", TimerKind::Lifecycle(LifecycleTimer::Close), at + seconds(9));
    write_timers(h, "spring", vec![other]).await.expect("the first of its kind");
}

/// S8: a timer that ended, in an earlier commit or in this one, makes room for the next of its kind.
pub async fn a_kind_is_free_again_when_its_timer_ended(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let campaign = create(&store, &key("spring"), definition(at)).await;
    for timer in &campaign.timers {
        let ended = match &timer.kind {
            TimerKind::Lifecycle(LifecycleTimer::Start) => TimerWrite::Complete { id: timer.id, at },
            _ => TimerWrite::Cancel { id: timer.id },
        };
        let next = arm("spring", timer.kind.clone(), at + seconds(9));
        write_timers(h, "spring", vec![ended, next]).await.expect("its place is free");
    }
}

/// S8: reminders are told apart by their names.
pub async fn reminders_are_told_apart_by_name(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    let reminder = |name: &str| arm("spring", TimerKind::Custom(timer_name(name)), at + seconds(9));
    write_timers(h, "spring", vec![reminder("call"), reminder("mail")]).await.expect("two names");
    assert_refused(write_timers(h, "spring", vec![reminder("call")]).await);
}

/// S9: a campaign that cannot be read is reported, and the others of the batch go on.
pub async fn an_unreadable_campaign_does_not_stop_the_others(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("broken"), definition(at)).await;
    create(&store, &key("whole"), definition(at)).await;
    h.spoil_campaign(&key("broken")).await;

    let start = domain::Command::ChangeStatus { to: domain::Status::Running, reason: None };
    let orders = Orders(vec![Order::new(&key("whole"), start)]);
    let scope = campaigns(&[key("broken"), key("whole")]);
    let view = look(&store, scope.clone()).await;
    assert_eq!(view.unreadable.keys().collect::<Vec<_>>(), [&key("broken")]);
    assert_eq!(view.campaigns.keys().collect::<Vec<_>>(), [&key("whole")]);
    store.transact(scope, std::sync::Arc::new(orders)).await.expect("the rest of the batch");
    assert_eq!(stored(&store, &key("whole")).await.map(|c| c.version), Some(2));
}

/// S9: the due timers of an unreadable campaign come with the report, beside those of the others.
pub async fn an_unreadable_campaign_does_not_stop_due_timers(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("broken"), definition(at)).await;
    create(&store, &key("whole"), definition(at)).await;
    h.spoil_campaign(&key("broken")).await;
    h.advance(seconds(2)).await;
    let view = look(&store, due()).await;
    assert!(view.unreadable.contains_key(&key("broken")));
    assert!(view.campaigns.contains_key(&key("whole")));
    assert_eq!(view.due.len(), 2, "both timers are due: {:?}", view.due);
}

/// S11: a campaign that exists never is as if it did not.
pub async fn a_campaign_is_shown_or_reported_whoever_else_is_at_work_on_it(h: &mut impl StoreHarness) {
    let store = h.store();
    create(&store, &key("wanted"), definition(now(&store).await)).await;
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        others.spawn(async move { look(&store, campaigns(&[key("wanted")])).await });
    }
    while let Some(view) = others.join_next().await {
        let view = view.expect("no look fails");
        assert_eq!(view.campaigns.len() + view.busy.len(), 1, "{view:?}");
    }
    assert!(look(&store, campaigns(&[key("wanted")])).await.busy.is_empty(), "nobody is at work any more");
}
