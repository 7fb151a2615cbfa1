//! Settings that are refused before any token comes, each with a message that names what to change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle_adapters_auth::{AuthOff, AuthSettings, JwtAuthenticator, KeySource, SigningKey};
use ports::auth::{Authenticator as _, Role};
use ports::clock::Clock;
use secrecy::SecretString;

use crate::support::{Issuer, StillClock, secret, settings};

fn refusal(settings: AuthSettings) -> String {
    let clock: Arc<dyn Clock> = StillClock::new();
    match JwtAuthenticator::new(settings, clock) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

fn file(content: impl AsRef<[u8]>) -> (tempfile::NamedTempFile, PathBuf) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    let path = file.path().to_owned();
    (file, path)
}

#[test]
fn an_authenticator_without_keys_is_refused() {
    assert!(refusal(settings(vec![])).contains("HS256 secret"));
}

#[test]
fn a_short_secret_is_refused_and_not_shown() {
    let short = KeySource::Hs256Secret(SecretString::from("hunter2"));
    assert!(!format!("{short:?}").contains("hunter2"));
    let message = refusal(settings(vec![short]));
    assert!(message.contains("at least 32 bytes, not 7") && !message.contains("hunter2"), "{message}");
    assert!(SigningKey::from_secret(&SecretString::from("hunter2")).is_err());
}

#[test]
fn a_leeway_over_10_s_is_refused() {
    let wide = AuthSettings { leeway: Duration::from_secs(11), ..settings(vec![secret()]) };
    assert!(refusal(wide).contains("at most 10 s"));
}

#[test]
fn files_that_hold_no_public_key_are_refused_by_name() {
    let missing = PathBuf::from("/nowhere/key.pem");
    assert!(refusal(settings(vec![KeySource::PublicKeyFile(missing.clone())])).contains("/nowhere/key.pem"));
    assert!(refusal(settings(vec![KeySource::JwksFile(missing)])).contains("/nowhere/key.pem"));
    let (_a, private) = file(Issuer::ed25519().private_pem);
    assert!(refusal(settings(vec![KeySource::PublicKeyFile(private)])).contains("private key"));
    let (_b, garbage) = file([0xff, 0xfe, 0x00]);
    assert!(refusal(settings(vec![KeySource::PublicKeyFile(garbage)])).contains("no RSA, P-256 or Ed25519"));
}

#[test]
fn a_jwks_without_a_key_for_us_is_refused() {
    let huge = format!("{{\"keys\":[{}]}}", " ".repeat(70_000));
    for document in [
        r#"{"keys":[]}"#,
        "{}",
        "[]",
        "no json",
        r#"{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA","kid":"a"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","use":"enc","kid":"a"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"PS256","kid":"a"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-384","x":"AA","y":"AA","kid":"a"}]}"#,
        &huge,
    ] {
        let (_file, path) = file(document);
        let message = refusal(settings(vec![KeySource::JwksFile(path)]));
        assert!(message.contains("cannot be used"), "{document:.60}: {message}");
    }
}

#[test]
fn addresses_that_are_not_ours_to_ask_are_refused() {
    for url in [
        "http://issuer.test/jwks",
        "http://10.0.0.1/jwks",
        "https://169.254.169.254/latest",
        "http://169.254.169.254/latest",
        "ftp://issuer.test/jwks",
        "file:///etc/passwd",
        "https://user:pass@issuer.test/jwks",
        "http://localhost.evil.test/jwks",
        "http://127.0.0.1.evil.test/jwks",
        "jwks.json",
        "",
    ] {
        let message = refusal(settings(vec![KeySource::JwksUrl(url.to_owned())]));
        assert!(message.starts_with("the JWKS address"), "{url}: {message}");
    }
}

#[tokio::test]
async fn without_authentication_everybody_is_admin_of_the_default_tenant() {
    let principal = AuthOff.authenticate("").await.expect("accepted");
    assert_eq!((principal.tenant.as_str(), principal.roles.as_slice()), ("default", &[Role::Admin][..]));
}
