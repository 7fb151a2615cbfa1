//! Dead letters as entries of a stream.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::TenantId;
use port_contracts::fixtures::{key, new_id, tenant};
use ports::PortError;
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterKind, LetterState, NewLetter, Settlement};
use ports::query::{Page, PageRequest};
use uuid::Uuid;

use crate::support::{World, instant};

/// Remembers what was added.
#[derive(Default)]
struct Desk(Mutex<Vec<NewLetter>>);

#[async_trait]
impl DeadLetters for Desk {
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError> {
        self.0.lock().expect("no panic").extend(letters);
        Ok(())
    }

    async fn list(&self, _: &TenantId, _: &LetterFilter, _: &PageRequest) -> Result<Page<Letter>, PortError> {
        unreachable!("nobody lists")
    }

    async fn get(&self, _: &TenantId, _: Uuid) -> Result<Option<Letter>, PortError> {
        Ok(None)
    }

    async fn settle(&self, _: &TenantId, _: Uuid, _: LetterState, _: Settlement) -> Result<bool, PortError> {
        Ok(true)
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        Ok(self.0.lock().expect("no panic").len() as u64)
    }
}

fn letter() -> NewLetter {
    NewLetter {
        id: new_id(),
        tenant: tenant("acme"),
        kind: LetterKind::Event,
        origin: "1700000000000-3".to_owned(),
        event_type: "campaign.exploded".to_owned(),
        campaign: Some(key("spring").id),
        code: "unknown_event_type".to_owned(),
        error: "nobody knows campaign.exploded".to_owned(),
        attempts: 2,
        first_error_at: instant(),
        last_error_at: instant(),
        original: r#"[["eventType","campaign.exploded"]]"#.to_owned(),
    }
}

#[tokio::test]
async fn a_letter_is_kept_and_told() {
    let world = World::fresh().await;
    let desk = Arc::new(Desk::default());
    let letters = world.redis.dead_letters(desk.clone());
    let (one, two) = (letter(), NewLetter { campaign: None, ..letter() });
    letters.add(vec![one.clone(), two.clone()]).await.expect("adding");
    assert_eq!(letters.open_count().await.expect("counting"), 2);
    let entries = world.entries("campaign-events:dlq").await;
    let at = wire::time::format(instant());
    let id = one.id.to_string();
    let wanted = [
        ("letterId", id.as_str()),
        ("tenant", "acme"),
        ("campaignId", "spring"),
        ("kind", "event"),
        ("eventType", "campaign.exploded"),
        ("code", "unknown_event_type"),
        ("error", "nobody knows campaign.exploded"),
        ("attempts", "2"),
        ("firstErrorAt", &at),
        ("lastErrorAt", &at),
        ("originalId", "1700000000000-3"),
        ("original", r#"[["eventType","campaign.exploded"]]"#),
    ];
    assert_eq!(entries[0].1, wanted.into_iter().flat_map(|(name, value)| [name, value]).collect::<Vec<_>>());
    assert!(entries[1].1.contains(&two.id.to_string()) && !entries[1].1.contains(&"campaignId".to_owned()));
}

#[tokio::test]
async fn a_timer_s_letter_is_kept_and_not_told() {
    let world = World::fresh().await;
    let desk = Arc::new(Desk::default());
    let letters = world.redis.dead_letters(desk.clone());
    let (timer, entry) = (NewLetter { kind: LetterKind::Timer, ..letter() }, letter());
    letters.add(vec![timer, entry.clone()]).await.expect("adding");
    assert_eq!(desk.open_count().await.expect("counting"), 2);
    let entries = world.entries("campaign-events:dlq").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(entries[0].1.contains(&entry.id.to_string()));
}

#[tokio::test]
async fn a_letter_that_cannot_be_told_is_an_error_after_it_was_kept() {
    let world = World::fresh().await;
    let desk = Arc::new(Desk::default());
    world.raw.call(&["SET", &world.key("campaign-events:dlq"), "no stream"]).await;
    world.redis.dead_letters(desk.clone()).add(vec![letter()]).await.expect_err("it is no stream");
    assert_eq!(desk.open_count().await.expect("counting"), 1);
}
