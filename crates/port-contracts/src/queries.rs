//! The suite of the read side: what one call says (Q1, Q3, Q4). Lists and pages live in `query_lists`.

use std::sync::Arc;

use domain::{Command, LifecycleTimer, Status, TimerId, TimerKind, Timestamp};
use ports::journal::{Entry, Position};
use ports::query::{CampaignFilter, MAX_PAGE, PageRequest, Queries, StoreStatus, TimerFilter, TimerState};
use ports::store::{Changes, Scope, TimerWrite, View};

use crate::fixtures::{
    campaigns, command, commit, definition, fact, journal, key, key_of, look, new_id, nothing, now, owner, seconds,
    starting, stored, tenant, timer_name,
};
use crate::orders::{FireDue, Order, create, run};
use crate::store::StoreHarness;

/// One test per case of the read side; `$make` gives a fresh [`StoreHarness`].
#[macro_export]
macro_rules! queries_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            queries {
                a_commit_is_seen_by_every_later_read,
                what_is_not_there_is_told_as_nothing,
                another_tenant_sees_nothing,
                a_dossier_is_of_one_moment,
                a_dossier_has_the_timers_of_every_state,
                the_history_is_everything_about_one_campaign,
                the_status_counts_what_is_overdue,
            }
            query_lists {
                every_campaign_is_on_one_page_newest_first,
                pages_are_stable_while_campaigns_come_and_change,
                campaigns_are_filtered,
                a_cursor_that_is_none_is_refused,
                timers_come_earliest_due_first_page_by_page,
                timers_are_filtered_by_state_and_owner,
                a_forecast_counts_lifecycle_timers_per_stretch,
                counts_are_per_status_and_owner,
            }
        }
    };
}

/// The first page, as large as it can be.
pub(crate) fn all() -> PageRequest {
    PageRequest { after: None, limit: MAX_PAGE }
}

/// What comes next is newer than what is there.
pub(crate) async fn later(h: &impl StoreHarness) {
    h.advance(chrono::TimeDelta::milliseconds(1)).await;
}

/// An operator starts a campaign.
pub(crate) fn start(id: &str) -> Order {
    Order::new(&key(id), Command::ChangeStatus { to: Status::Running, reason: None })
}

/// Q1: as soon as a commit is confirmed, every call sees it.
pub async fn a_commit_is_seen_by_every_later_read(h: &mut impl StoreHarness) {
    let (store, queries, acme) = (h.store(), h.queries(), tenant("acme"));
    let at = now(&store).await;
    for n in 1..=20_u64 {
        later(h).await;
        let key = key(&format!("c-{n}"));
        run(&store, vec![Order::create(&key, definition(at))]).await.expect("a campaign");
        let campaign = queries.campaign(&key).await.expect("reading").expect("it is there");
        let dossier = queries.dossier(&key).await.expect("reading").expect("it is there");
        assert_eq!((&dossier.campaign, dossier.head), (&campaign, Position(n)));
        let timer = campaign.next_timer().expect("it has one");
        let row = queries.timer(&acme, timer.id).await.expect("reading").expect("it is there");
        assert_eq!((row.key, row.timer, row.state), (key.clone(), timer.clone(), TimerState::Pending));
        let history = queries.history(&key, Position::START, 10).await.expect("reading");
        assert_eq!(history.iter().map(|record| record.position).collect::<Vec<_>>(), [Position(n)]);
        let list = queries.campaigns(&acme, &CampaignFilter::default(), &all()).await.expect("reading").items;
        assert_eq!((list.len() as u64, &list[0]), (n, &campaign));
        let timers = queries.timers(&acme, None, TimerFilter::Pending, &all()).await.expect("reading").items;
        assert_eq!(timers.len() as u64, 2 * n);
        let counts = queries.counts(&acme, None).await.expect("reading");
        assert_eq!(counts.1, Position(n));
        assert_eq!(count_of(&counts.0, Status::Created), n);
        assert_eq!(queries.status().await.expect("reading").head, Position(n));
    }
}

/// How many of `counts` are in `status`; a status without campaigns may be left out.
pub(crate) fn count_of(counts: &[(Status, u64)], status: Status) -> u64 {
    counts.iter().filter(|(of, _)| *of == status).map(|(_, count)| count).sum()
}

/// Q1: nothing is an answer, not an error.
pub async fn what_is_not_there_is_told_as_nothing(h: &mut impl StoreHarness) {
    let (queries, acme, nowhere) = (h.queries(), tenant("acme"), key("nowhere"));
    assert!(queries.campaign(&nowhere).await.expect("reading").is_none());
    assert!(queries.dossier(&nowhere).await.expect("reading").is_none());
    assert!(queries.history(&nowhere, Position::START, 10).await.expect("reading").is_empty());
    assert!(queries.timer(&acme, TimerId(new_id())).await.expect("reading").is_none());
    let list = queries.campaigns(&acme, &CampaignFilter::default(), &all()).await.expect("reading");
    assert!(list.items.is_empty() && list.next.is_none());
    let (counts, head) = queries.counts(&acme, None).await.expect("reading");
    assert_eq!((counts.iter().map(|(_, count)| count).sum::<u64>(), head), (0, Position::START));
    let status = queries.status().await.expect("reading");
    assert_eq!(status, StoreStatus { now: status.now, ..StoreStatus::default() });
}

/// Q3: whatever the call, the campaigns and timers of a tenant are seen by that tenant alone.
pub async fn another_tenant_sees_nothing(h: &mut impl StoreHarness) {
    let (store, queries) = (h.store(), h.queries());
    let at = now(&store).await;
    let ours = create(&store, &key("spring"), definition(at)).await;
    create(&store, &key("summer"), definition(at)).await;
    let theirs = create(&store, &key_of("globex", "spring"), starting(at + seconds(60))).await;
    let globex = tenant("globex");

    assert_eq!(queries.campaign(&theirs.key).await.expect("reading").as_ref(), Some(&theirs));
    assert_eq!(queries.campaign(&ours.key).await.expect("reading").as_ref(), Some(&ours));
    assert!(queries.dossier(&key_of("globex", "summer")).await.expect("reading").is_none());
    let history = queries.history(&theirs.key, Position::START, 10).await.expect("reading");
    assert!(history.len() == 1 && history[0].fact.tenant == globex);
    assert!(queries.timer(&globex, ours.timers[0].id).await.expect("reading").is_none());

    let page = PageRequest { after: None, limit: 1 };
    let cursor = queries.campaigns(&tenant("acme"), &CampaignFilter::default(), &page).await.expect("reading").next;
    for after in [None, cursor] {
        let page = PageRequest { after, limit: MAX_PAGE };
        // A cursor of another tenant may be refused, but shows nothing of it.
        if let Ok(list) = queries.campaigns(&globex, &CampaignFilter::default(), &page).await {
            assert!(list.items.iter().all(|campaign| campaign.key.tenant == globex));
        }
    }
    let timers = queries.timers(&globex, None, TimerFilter::Pending, &all()).await.expect("reading").items;
    assert!(timers.len() == 2 && timers.iter().all(|row| row.key == theirs.key));
    let forecast = queries.forecast(&globex, at, at + seconds(7_200), 7_200).await.expect("reading");
    assert_eq!(forecast.iter().map(|row| row.count).sum::<u64>(), 1, "its start: {forecast:?}");
    assert_eq!(count_of(&queries.counts(&globex, None).await.expect("reading").0, Status::Created), 1);
}

/// Q4: while a campaign goes on, its dossier's version, timers and head always belong together.
pub async fn a_dossier_is_of_one_moment(h: &mut impl StoreHarness) {
    const STEPS: u64 = 60;
    let (store, queries, spring) = (h.store(), h.queries(), key("spring"));
    let at = now(&store).await;
    create(&store, &spring, starting(at + seconds(600))).await;
    let writer = tokio::spawn(async move {
        let key = key("spring");
        for n in 2..=STEPS {
            let changes = domain::Changes {
                window: domain::WindowChange {
                    start: Some(at + seconds(600 + i64::try_from(n).expect("small"))),
                    ends: Vec::new(),
                },
                ..domain::Changes::default()
            };
            let order = Order::new(&key, Command::Update { changes, reason: None });
            run(&store, vec![order]).await.expect("a reschedule");
        }
    });
    loop {
        let dossier = queries.dossier(&spring).await.expect("reading").expect("it is there");
        // One fact a version: the head says which version was the last at that moment.
        assert_eq!(Position(dossier.campaign.version), dossier.head);
        let pending = dossier.timers.iter().filter(|row| row.state == TimerState::Pending);
        let mut armed: Vec<_> = pending.map(|row| row.timer.clone()).collect();
        armed.sort_by_key(|timer| timer.id);
        let mut known = dossier.campaign.timers.clone();
        known.sort_by_key(|timer| timer.id);
        assert_eq!(armed, known, "at version {}", dossier.campaign.version);
        if dossier.campaign.version == STEPS {
            break;
        }
    }
    writer.await.expect("the writer ends well");
}

/// Q4: the dossier has timers in every state, earliest due first, with all that is known of them.
pub async fn a_dossier_has_the_timers_of_every_state(h: &mut impl StoreHarness) {
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    create(&store, &spring, definition(at)).await;
    h.advance(seconds(2)).await;
    store.transact(Scope::Due { limit: 10 }, Arc::new(FireDue)).await.expect("it starts");
    let running = stored(&store, &spring).await.expect("it is there");
    let timer = |kind| running.timers.iter().find(|t| t.kind == TimerKind::Lifecycle(kind)).expect("planned").id;
    let (close, expire) = (timer(LifecycleTimer::Close), timer(LifecycleTimer::Expire));
    let retry_at = at + seconds(9);
    let writes = vec![
        TimerWrite::Retry { id: expire, at: retry_at, attempts: 2, error: "no luck".to_owned() },
        TimerWrite::Hold { id: close },
    ];
    let changes = move |_: &View| Changes { timers: writes.clone(), ..Changes::default() };
    commit(&store, campaigns(std::slice::from_ref(&spring)), changes).await.expect("timers alone are fine");

    let dossier = h.queries().dossier(&spring).await.expect("reading").expect("it is there");
    let rows = &dossier.timers;
    assert!(rows.is_sorted_by_key(|row| row.timer.due), "{rows:?}");
    let states: Vec<_> = rows.iter().map(|row| (row.timer.kind.as_str(), row.state, row.held)).collect();
    assert_eq!(
        states,
        [
            ("START_CAMPAIGN", TimerState::Completed, false),
            ("CLOSE_CAMPAIGN", TimerState::Pending, true),
            ("EXPIRE_CAMPAIGN", TimerState::Cancelled, false),
            ("EXPIRE_CAMPAIGN", TimerState::Pending, false),
        ]
    );
    assert_eq!(rows[0].completed_at, Some(running.updated_at));
    assert_eq!((rows[3].attempts, rows[3].retry_at, rows[3].error.as_deref()), (2, Some(retry_at), Some("no luck")));
    let one = h.queries().timer(&spring.tenant, expire).await.expect("reading");
    assert_eq!(one.as_ref(), Some(&rows[3]));
}

/// Q1: the history of a campaign is its steps, its rejections and its failed timers, oldest first, and page by page.
/// Q3: and nothing of another campaign.
pub async fn the_history_is_everything_about_one_campaign(h: &mut impl StoreHarness) {
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    let campaign = create(&store, &spring, definition(at)).await;
    create(&store, &key("autumn"), definition(at)).await;
    let late = Order::engage(&spring, 7).named(command("c-1"));
    run(&store, vec![late]).await.expect("a rejection is recorded");
    let failed = Entry::TimerFailed {
        campaign: spring.id.clone(),
        owner: campaign.definition.owner.clone(),
        timer: campaign.timers[0].clone(),
        attempts: 3,
        error: "no luck".to_owned(),
    };
    let failed = fact(at, failed);
    let changes = move |_: &View| Changes { facts: vec![failed.clone()], ..Changes::default() };
    commit(&store, nothing(), changes).await.expect("a fact alone is fine");
    run(&store, vec![start("spring")]).await.expect("it starts");

    let whole: Vec<_> = journal(&h.outbox()).await;
    let ours: Vec<_> = whole.iter().map(|r| (**r).clone()).filter(|r| r.position != Position(2)).collect();
    let history = h.queries().history(&spring, Position::START, 10).await.expect("reading");
    assert_eq!(history, ours);
    let middle = h.queries().history(&spring, Position(1), 2).await.expect("reading");
    assert_eq!(middle, ours[1..3]);
}

/// Q1: the status of the store tells its clock, its head, and how late the clock is. Held timers wait for a person,
/// others for their retry time: the clock is not late with them.
pub async fn the_status_counts_what_is_overdue(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    for (n, delay) in [1, 2, 1, 900].into_iter().enumerate() {
        create(&store, &key(&format!("c-{n}")), starting(at + seconds(delay))).await;
    }
    assert_eq!(overdue(&h.queries()).await, (0, None));
    h.advance(seconds(3)).await;
    assert_eq!(overdue(&h.queries()).await, (3, Some(at + seconds(1))));
    let hold: Vec<_> = ["c-0", "c-2"].map(key).to_vec();
    let view = look(&store, campaigns(&hold)).await;
    let ids: Vec<TimerId> = view.campaigns.values().filter_map(|c| c.next_timer()).map(|t| t.id).collect();
    let changes = move |_: &View| {
        let timers = ids.iter().map(|id| TimerWrite::Hold { id: *id }).collect();
        Changes { timers, ..Changes::default() }
    };
    commit(&store, campaigns(&hold), changes).await.expect("holding");
    assert_eq!(overdue(&h.queries()).await, (1, Some(at + seconds(2))));
    let late = stored(&store, &key("c-1")).await.expect("it is there").next_timer().expect("it has one").id;
    let retry_at = now(&store).await + seconds(2);
    let retry = TimerWrite::Retry { id: late, at: retry_at, attempts: 1, error: "no luck".to_owned() };
    let changes = move |_: &View| Changes { timers: vec![retry.clone()], ..Changes::default() };
    commit(&store, campaigns(&[key("c-1")]), changes).await.expect("a retry");
    assert_eq!(overdue(&h.queries()).await, (0, None));
    h.advance(seconds(3)).await;
    assert_eq!(overdue(&h.queries()).await, (1, Some(at + seconds(2))));
    let status = h.queries().status().await.expect("reading");
    assert!(status.now >= at + seconds(6) && status.head == Position(4));
}

async fn overdue(queries: &Arc<dyn Queries>) -> (u64, Option<Timestamp>) {
    let status = queries.status().await.expect("reading");
    (status.overdue, status.oldest_overdue)
}

/// A reminder for a campaign.
pub(crate) fn reminder(id: &str, name: &str, at: Timestamp) -> Order {
    Order::new(&key(id), Command::ScheduleReminder { name: timer_name(name), at, payload: None })
}

/// Somebody else's campaign.
pub(crate) fn owned_by(name: &str, start: Timestamp) -> domain::Definition {
    domain::Definition { owner: Some(owner(name)), ..starting(start) }
}
