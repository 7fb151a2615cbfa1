//! JWKS documents from a file and from an address: rotation, outages, and floods of unknown keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lifecycle_adapters_auth::{JwtAuthenticator, KeySource};
use ports::auth::{AuthError, Authenticator as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Issuer, StillClock, authenticator, claims};

/// An issuer's web server on loopback that counts.
struct Web {
    url: String,
    answer: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
}

impl Web {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("bound"));
        let answer = Arc::new(Mutex::new(String::new()));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (said, counted) = (Arc::clone(&answer), Arc::clone(&fetches));
        tokio::spawn(async move {
            loop {
                let Ok((mut socket, _)) = listener.accept().await else { return };
                let mut request = [0_u8; 4096];
                if socket.read(&mut request).await.is_ok_and(|n| n > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let reply = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let _ = socket.write_all(reply.as_bytes()).await;
                }
            }
        });
        Self { url, answer, fetches }
    }

    fn say(&self, reply: String) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    fn publish(&self, keys: &[Value]) {
        self.say(ok(&json!({ "keys": keys }).to_string()));
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn authenticator(&self, clock: &Arc<StillClock>) -> JwtAuthenticator {
        authenticator(vec![KeySource::JwksUrl(self.url.clone())], clock)
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_jwks_file_is_read_again_when_it_changes_and_the_last_good_one_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let (old, new) = (Issuer::p256(), Issuer::ed25519());
    std::fs::write(&path, json!({"keys": [old.named("old")]}).to_string()).expect("written");
    let clock = StillClock::new();
    let auth = authenticator(vec![KeySource::JwksFile(path.clone())], &clock);
    assert!(auth.authenticate(&old.sign_named("old", &claims())).await.is_ok());
    assert!(auth.authenticate(&old.sign(&claims())).await.is_ok(), "the only key needs no name");

    std::fs::write(&path, "half a docum").expect("written");
    clock.advance(2);
    assert!(auth.authenticate(&old.sign_named("old", &claims())).await.is_ok(), "the last good set holds");

    std::fs::write(&path, json!({"keys": [old.named("old"), new.named("new")]}).to_string()).expect("written");
    clock.advance(2);
    assert!(auth.authenticate(&new.sign_named("new", &claims())).await.is_ok());
    assert_eq!(auth.authenticate(&new.sign(&claims())).await, Err(AuthError::BadSignature), "which of the two?");
    let other = json!({"alg": "EdDSA", "kid": "old"});
    let crossed = new.sign_as(new.algorithm, &other, &claims());
    assert_eq!(auth.authenticate(&crossed).await, Err(AuthError::BadSignature), "a key has its own algorithm");

    std::fs::write(&path, json!({"keys": [new.named("new")]}).to_string()).expect("written");
    clock.advance(2);
    assert_eq!(auth.authenticate(&old.sign_named("old", &claims())).await, Err(AuthError::BadSignature));
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_a_withdrawn_one_is_refused() {
    let (web, clock) = (Web::start().await, StillClock::new());
    let (old, new) = (Issuer::rsa(), Issuer::p256());
    web.publish(&[old.named("2025")]);
    let auth = web.authenticator(&clock);
    for _ in 0..5 {
        assert!(auth.authenticate(&old.sign_named("2025", &claims())).await.is_ok());
    }
    assert_eq!(web.fetches(), 1);

    web.publish(&[new.named("2026")]);
    let token = new.sign_named("2026", &claims());
    assert_eq!(auth.authenticate(&token).await, Err(AuthError::BadSignature), "within the cooldown");
    assert_eq!(web.fetches(), 1);
    // The id was refused once and is remembered; after that it is asked for again.
    clock.advance(301);
    assert!(auth.authenticate(&token).await.is_ok());
    assert_eq!(web.fetches(), 2);
    assert_eq!(auth.authenticate(&old.sign_named("2025", &claims())).await, Err(AuthError::BadSignature));
}

#[tokio::test]
async fn a_new_key_is_found_as_soon_as_the_cooldown_is_over() {
    let (web, clock) = (Web::start().await, StillClock::new());
    let (old, new) = (Issuer::p256(), Issuer::ed25519());
    web.publish(&[old.named("a")]);
    let auth = web.authenticator(&clock);
    assert!(auth.authenticate(&old.sign_named("a", &claims())).await.is_ok());
    web.publish(&[old.named("a"), new.named("b")]);
    clock.advance(30);
    assert!(auth.authenticate(&new.sign_named("b", &claims())).await.is_ok());
    assert!(auth.authenticate(&old.sign_named("a", &claims())).await.is_ok());
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cause_at_most_one_fetch_in_30_s() {
    let (web, clock) = (Web::start().await, StillClock::new());
    let issuer = Issuer::ed25519();
    web.publish(&[issuer.named("real")]);
    let auth = Arc::new(web.authenticator(&clock));
    assert!(auth.authenticate(&issuer.sign_named("real", &claims())).await.is_ok());
    clock.advance(31);
    let flood = |from: usize, to: usize| {
        let auth = Arc::clone(&auth);
        let tokens: Vec<String> = (from..to).map(|n| issuer.sign_named(&format!("random-{n}"), &claims())).collect();
        tokio::spawn(async move {
            for token in tokens {
                assert_eq!(auth.authenticate(&token).await, Err(AuthError::BadSignature));
            }
        })
    };
    for client in (0..8).map(|n| flood(n * 1250, (n + 1) * 1250)).collect::<Vec<_>>() {
        client.await.expect("no panic");
    }
    assert_eq!(web.fetches(), 2, "one at first, one for the flood");
    assert!(auth.authenticate(&issuer.sign_named("real", &claims())).await.is_ok(), "others are not disturbed");
    clock.advance(31);
    assert!(auth.authenticate(&issuer.sign_named("random-9999", &claims())).await.is_err());
    assert_eq!(web.fetches(), 2, "an id that the issuer did not know is remembered");
}

#[tokio::test]
async fn without_any_usable_set_a_flood_causes_one_fetch_too() {
    let (web, clock) = (Web::start().await, StillClock::new());
    let issuer = Issuer::ed25519();
    web.publish(&[]);
    let auth = web.authenticator(&clock);
    for n in 0..1_000 {
        let answer = auth.authenticate(&issuer.sign_named(&format!("k{n}"), &claims())).await;
        assert_eq!(answer, Err(AuthError::KeysUnavailable));
    }
    assert_eq!(web.fetches(), 1, "an empty set is an error, not a reason to ask again");
    web.publish(&[issuer.named("k0")]);
    clock.advance(5);
    assert!(auth.authenticate(&issuer.sign_named("k0", &claims())).await.is_ok(), "it heals by itself");
}

#[tokio::test]
async fn the_last_good_set_outlives_an_outage_but_not_for_ever() {
    let (web, clock) = (Web::start().await, StillClock::new());
    let issuer = Issuer::p256();
    web.publish(&[issuer.named("a")]);
    let auth = web.authenticator(&clock);
    let mut far = claims();
    far["exp"] = json!(crate::support::NOW + 200_000);
    let token = issuer.sign_named("a", &far);
    assert!(auth.authenticate(&token).await.is_ok());
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", web.url);
    for broken in [
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        redirect,
        ok(r#"{"keys":[]}"#),
        ok(&format!("{{\"keys\":[],\"pad\":\"{}\"}}", "x".repeat(70_000))),
        ok("<html>"),
        String::new(),
    ] {
        web.say(broken);
        clock.advance(301);
        assert_eq!(auth.authenticate(&issuer.sign_named("b", &far)).await, Err(AuthError::BadSignature));
        assert!(auth.authenticate(&token).await.is_ok(), "the last good set holds");
    }
    clock.advance(90_000);
    assert_eq!(auth.authenticate(&token).await, Err(AuthError::KeysUnavailable), "a day without the issuer");
}
