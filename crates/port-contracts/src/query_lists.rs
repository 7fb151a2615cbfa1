//! The suite of the read side: lists, pages and counts (Q2). The macro lives in `queries`.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Status, TenantId, TimerKind, Timestamp};
use ports::journal::Position;
use ports::query::{CampaignFilter, ForecastRow, PageCursor, PageRequest, Queries, TimerFilter, TimerRow, TimerState};
use ports::store::{Changes, TimerWrite, View};

use crate::fixtures::{
    assert_refused, campaigns, commit, definition, key, now, owner, seconds, starting, stored, tenant,
};
use crate::orders::{Order, create, run};
use crate::queries::{all, count_of, later, owned_by, reminder, start};
use crate::store::StoreHarness;

async fn ids(queries: &Arc<dyn Queries>, filter: CampaignFilter) -> Vec<String> {
    let page = queries.campaigns(&tenant("acme"), &filter, &all()).await.expect("reading");
    assert!(page.next.is_none(), "one page is enough");
    page.items.iter().map(|campaign| campaign.key.id.as_str().to_owned()).collect()
}

/// Q2: page by page, every campaign comes once, the newest first.
pub async fn every_campaign_is_on_one_page_newest_first(h: &mut impl StoreHarness) {
    let store = h.store();
    for n in 0..11 {
        let at = now(&store).await;
        create(&store, &key(&format!("c-{n}")), definition(at)).await;
        later(h).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { after, limit: 4 };
        let page = h.queries().campaigns(&tenant("acme"), &CampaignFilter::default(), &page).await.expect("reading");
        assert!(page.items.len() <= 4);
        seen.extend(page.items.iter().map(|campaign| campaign.key.id.as_str().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..11).rev().map(|n| format!("c-{n}")).collect::<Vec<_>>());
}

/// Q2: what comes or changes while somebody pages neither hides nor repeats what was there before.
pub async fn pages_are_stable_while_campaigns_come_and_change(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    // All at one instant: the order must not depend on time alone.
    let orders = (0..10).map(|n| Order::create(&key(&format!("c-{n}")), definition(at))).collect();
    run(&store, orders).await.expect("ten campaigns");
    let (mut seen, mut after, mut round) = (Vec::new(), None, 0);
    loop {
        let page = PageRequest { after, limit: 3 };
        let page = h.queries().campaigns(&tenant("acme"), &CampaignFilter::default(), &page).await.expect("reading");
        seen.extend(page.items.iter().map(|campaign| campaign.key.id.as_str().to_owned()));
        create(&store, &key(&format!("new-{round}")), definition(at)).await;
        run(&store, vec![start(&format!("c-{round}"))]).await.expect("a change");
        after = page.next;
        round += 1;
        if after.is_none() {
            break;
        }
    }
    let old: Vec<_> = seen.iter().filter(|id| id.starts_with("c-")).collect();
    assert_eq!(old.len(), 10, "{seen:?}");
    assert_eq!(old.iter().collect::<HashSet<_>>().len(), 10, "{seen:?}");
}

/// Q2: a filter narrows a list and leaves its order.
pub async fn campaigns_are_filtered(h: &mut impl StoreHarness) {
    let (store, queries) = (h.store(), h.queries());
    let at = now(&store).await;
    for (id, name, delay) in [("a-1", "ada", 10), ("a-2", "bob", 10_000), ("b_1", "ada", 20_000)] {
        create(&store, &key(id), owned_by(name, at + seconds(delay))).await;
        later(h).await;
    }
    run(&store, vec![start("a-1")]).await.expect("it starts");
    let none = CampaignFilter::default;
    assert_eq!(ids(&queries, none()).await, ["b_1", "a-2", "a-1"]);
    let running = CampaignFilter { statuses: vec![Status::Running], ..none() };
    assert_eq!(ids(&queries, running).await, ["a-1"]);
    let either = CampaignFilter { statuses: vec![Status::Running, Status::Created], ..none() };
    assert_eq!(ids(&queries, either).await, ["b_1", "a-2", "a-1"]);
    let ada = CampaignFilter { owner: Some(owner("ada")), ..none() };
    assert_eq!(ids(&queries, ada.clone()).await, ["b_1", "a-1"]);
    let ada_running = CampaignFilter { statuses: vec![Status::Running], ..ada };
    assert_eq!(ids(&queries, ada_running).await, ["a-1"]);
    // a-1 ends at 3,610 s; a-2 runs from 10,000 s.
    let ends_after = |from| CampaignFilter { from: Some(at + seconds(from)), ..none() };
    assert_eq!(ids(&queries, ends_after(3_609)).await, ["b_1", "a-2", "a-1"]);
    assert_eq!(ids(&queries, ends_after(3_610)).await, ["b_1", "a-2"]);
    let starts_before = |to| CampaignFilter { to: Some(at + seconds(to)), ..none() };
    assert_eq!(ids(&queries, starts_before(10_001)).await, ["a-2", "a-1"]);
    assert_eq!(ids(&queries, starts_before(10_000)).await, ["a-1"]);
    let prefix = |text: &str| CampaignFilter { id_prefix: Some(text.to_owned()), ..none() };
    assert_eq!(ids(&queries, prefix("a-")).await, ["a-2", "a-1"]);
    for odd in ["b%", "__1", "A-", "%"] {
        assert!(ids(&queries, prefix(odd)).await.is_empty(), "{odd:?} is no pattern");
    }
    assert_eq!(ids(&queries, prefix("b_")).await, ["b_1"]);
}

/// Q2: a cursor that no page gave is refused.
pub async fn a_cursor_that_is_none_is_refused(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    for wrong in ["", "nonsense", "-1", "'; drop", "\u{0}"] {
        let page = PageRequest { after: Some(PageCursor(wrong.to_owned())), limit: 5 };
        assert_refused(h.queries().campaigns(&tenant("acme"), &CampaignFilter::default(), &page).await);
        assert_refused(h.queries().timers(&tenant("acme"), None, TimerFilter::Pending, &page).await);
    }
}

async fn all_timers(queries: &Arc<dyn Queries>, tenant: &TenantId, filter: TimerFilter, limit: usize) -> Vec<TimerRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = queries.timers(tenant, None, filter, &PageRequest { after, limit }).await.expect("reading");
        assert!(page.items.len() <= limit);
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

/// Q2: timers come earliest due first, each once, whatever the size of the page, also when many are due at one instant.
pub async fn timers_come_earliest_due_first_page_by_page(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let orders = (0..9).map(|n| Order::create(&key(&format!("c-{n}")), starting(at + seconds(60 + n % 3)))).collect();
    run(&store, orders).await.expect("nine campaigns");
    let whole = all_timers(&h.queries(), &tenant("acme"), TimerFilter::Pending, 200).await;
    assert_eq!(whole.len(), 18);
    assert!(whole.is_sorted_by_key(|row| row.timer.due));
    for limit in [1, 4, 18] {
        assert_eq!(all_timers(&h.queries(), &tenant("acme"), TimerFilter::Pending, limit).await, whole, "by {limit}");
    }
}

/// Q2: lists of timers are of one state: pending, overdue (held ones too), or given up; and of one owner when asked.
pub async fn timers_are_filtered_by_state_and_owner(h: &mut impl StoreHarness) {
    let (store, queries, acme) = (h.store(), h.queries(), tenant("acme"));
    let at = now(&store).await;
    for (id, name, delay) in [("a", "ada", 1), ("b", "bob", 2), ("c", "ada", 900)] {
        create(&store, &key(id), owned_by(name, at + seconds(delay))).await;
    }
    h.advance(seconds(3)).await;
    let timer = |id| {
        let store = store.clone();
        async move { stored(&store, &key(id)).await.expect("it is there").next_timer().expect("it has one").id }
    };
    let writes = vec![
        TimerWrite::Hold { id: timer("a").await },
        TimerWrite::Fail { id: timer("b").await, attempts: 4, error: "no luck".to_owned() },
    ];
    let changes = move |_: &View| Changes { timers: writes.clone(), ..Changes::default() };
    commit(&store, campaigns(&[key("a"), key("b")]), changes).await.expect("timers alone are fine");

    let list = |filter, name: Option<&str>| {
        let (queries, acme, of) = (queries.clone(), acme.clone(), name.map(owner));
        async move {
            let rows = queries.timers(&acme, of, filter, &all()).await.expect("reading").items;
            let told = |row: &TimerRow| format!("{} {}", row.key.id, row.timer.kind.as_str());
            (rows.iter().map(told).collect::<Vec<_>>(), rows)
        }
    };
    let (overdue, rows) = list(TimerFilter::Overdue, None).await;
    assert_eq!(overdue, ["a START_CAMPAIGN"]);
    assert!(rows[0].held && rows[0].state == TimerState::Pending);
    let (failed, rows) = list(TimerFilter::Failed, None).await;
    assert_eq!(failed, ["b START_CAMPAIGN"]);
    assert_eq!((rows[0].state, rows[0].attempts, rows[0].error.as_deref()), (TimerState::Failed, 4, Some("no luck")));
    let (pending, _) = list(TimerFilter::Pending, Some("ada")).await;
    assert_eq!(pending, ["a START_CAMPAIGN", "c START_CAMPAIGN", "a EXPIRE_CAMPAIGN", "c EXPIRE_CAMPAIGN"]);
    assert!(list(TimerFilter::Failed, Some("ada")).await.0.is_empty());
}

/// Q1: a forecast counts the pending timers of the plan per kind and stretch; its end is not part of it.
pub async fn a_forecast_counts_lifecycle_timers_per_stretch(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    for (n, delay) in [100, 159, 160, 219, 220].into_iter().enumerate() {
        create(&store, &key(&format!("c-{n}")), starting(at + seconds(delay))).await;
    }
    run(&store, vec![reminder("c-0", "call", at + seconds(130))]).await.expect("a reminder");
    let (from, to) = (at + seconds(100), at + seconds(220));
    let mut rows = h.queries().forecast(&tenant("acme"), from, to, 60).await.expect("reading");
    rows.sort_by_key(|row| row.bucket);
    let row = |bucket: Timestamp| ForecastRow { bucket, kind: "START_CAMPAIGN".to_owned(), count: 2 };
    assert_eq!(rows, [row(from), row(from + seconds(60))]);
}

/// Q4: counts are per status, of one owner when asked, and of the moment of the head that comes with them.
pub async fn counts_are_per_status_and_owner(h: &mut impl StoreHarness) {
    let (store, queries, acme) = (h.store(), h.queries(), tenant("acme"));
    let at = now(&store).await;
    for (id, name) in [("a", "ada"), ("b", "bob"), ("c", "ada")] {
        create(&store, &key(id), owned_by(name, at + seconds(9))).await;
    }
    run(&store, vec![start("a")]).await.expect("it starts");
    let (counts, head) = queries.counts(&acme, None).await.expect("reading");
    assert_eq!((count_of(&counts, Status::Created), count_of(&counts, Status::Running)), (2, 1));
    assert_eq!((count_of(&counts, Status::Expired), head), (0, Position(4)));
    let (counts, _) = queries.counts(&acme, Some(owner("ada"))).await.expect("reading");
    assert_eq!((count_of(&counts, Status::Created), count_of(&counts, Status::Running)), (1, 1));
    let pending = all_timers(&queries, &acme, TimerFilter::Pending, 200).await;
    assert!(pending.iter().all(|row| matches!(row.timer.kind, TimerKind::Lifecycle(_))));
}
