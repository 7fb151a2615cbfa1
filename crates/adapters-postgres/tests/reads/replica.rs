//! Reads from a replica. A second database plays it: what it says is different, so that one sees who answered.

use std::sync::Arc;

use lifecycle_adapters_postgres::{Postgres, PostgresSettings};
use port_contracts::fixtures::{definition, key, now, tenant};
use port_contracts::orders::create;
use ports::query::{CampaignFilter, PageRequest, Queries};
use ports::store::Store;

use crate::support::Fresh;

async fn add(postgres: &Arc<Postgres>, id: &str) {
    let store: Arc<dyn Store> = postgres.clone();
    let at = now(&store).await;
    create(&store, &key(id), definition(at)).await;
}

async fn list(postgres: &Arc<Postgres>) -> Vec<String> {
    let page = PageRequest { after: None, limit: 10 };
    let list = postgres.campaigns(&tenant("acme"), &CampaignFilter::default(), &page).await.expect("reading");
    list.items.iter().map(|campaign| campaign.key.id.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_answers_lists_as_long_as_it_has_all_that_this_process_saw() {
    let (mut primary, replica) = (Fresh::closed(), Fresh::open().await);
    add(&replica.postgres(), "there-1").await;
    let settings = PostgresSettings { replica_url: Some(replica.database.url().into()), ..primary.settings() };
    primary.open_with(settings).await;
    let store = primary.postgres();

    assert_eq!(list(&store).await, ["there-1"], "nothing was seen yet");
    assert!(store.campaign(&key("there-1")).await.expect("reading").is_none(), "one campaign is asked of the primary");
    assert!(store.dossier(&key("there-1")).await.expect("reading").is_none(), "and so is its dossier");
    add(&store, "here-1").await;
    add(&store, "here-2").await;
    assert_eq!(list(&store).await, ["here-2", "here-1"], "the replica is one commit behind");
    add(&replica.postgres(), "there-2").await;
    assert_eq!(list(&store).await, ["there-2", "there-1"], "the replica has come as far");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_replica_the_primary_answers() {
    let mut primary = Fresh::closed();
    let nowhere = "postgres://nobody:nothing@127.0.0.1:1/nowhere".to_owned();
    primary.open_with(PostgresSettings { replica_url: Some(nowhere.into()), ..primary.settings() }).await;
    add(&primary.postgres(), "here").await;
    for _ in 0..3 {
        assert_eq!(list(&primary.postgres()).await, ["here"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_cannot_answer_is_left_alone_and_the_primary_answers() {
    let (mut primary, replica) = (Fresh::closed(), Fresh::open().await);
    let settings = PostgresSettings { replica_url: Some(replica.database.url().into()), ..primary.settings() };
    primary.open_with(settings).await;
    add(&primary.postgres(), "here").await;
    add(&replica.postgres(), "there").await;
    assert_eq!(list(&primary.postgres()).await, ["there"]);
    replica.database.psql("ALTER TABLE campaigns RENAME TO away");
    assert_eq!(list(&primary.postgres()).await, ["here"]);
    replica.database.psql("ALTER TABLE away RENAME TO campaigns");
    assert_eq!(list(&primary.postgres()).await, ["here"], "it is not asked again at once");
}
