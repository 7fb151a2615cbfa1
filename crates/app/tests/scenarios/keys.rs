//! Where keys come from: the data folder, a PEM file, a JWKS file; and no authentication at all, on loopback only.

use serde_json::json;
use testkit::{Plan, Role, Service, Token};

use crate::service_with;

const SECRET: &str = "LIFECYCLE_AUTH__HS256_SECRET";

/// The example key of RFC 8410.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
const PUBLIC_X: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";

async fn takes_eddsa_only(service: Service) {
    let token = Token::of(&[Role::Admin]);
    service.caller(&token.clone().private_key(PRIVATE, "rfc8410")).create(Plan::later("c").body()).await;
    service.caller(&token).get("/api/v1/campaigns").await.problem(401, "unauthenticated");
    let public_as_secret = service.caller(&token.secret(PUBLIC));
    public_as_secret.get("/api/v1/campaigns").await.problem(401, "unauthenticated");
    service.finish().await;
}

#[tokio::test]
async fn a_public_key_in_a_pem_file_verifies_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.pem");
    std::fs::write(&path, PUBLIC).expect("written");
    let path = path.to_str().expect("a path");
    takes_eddsa_only(service_with(&[(SECRET, ""), ("LIFECYCLE_AUTH__PUBLIC_KEY_FILE", path)]).await).await;
}

#[tokio::test]
async fn a_jwks_file_verifies_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "rfc8410", "x": PUBLIC_X}]});
    std::fs::write(&path, jwks.to_string()).expect("written");
    let path = path.to_str().expect("a path");
    takes_eddsa_only(service_with(&[(SECRET, ""), ("LIFECYCLE_AUTH__JWKS", path)]).await).await;
}

#[tokio::test]
async fn a_fresh_folder_gets_a_key_of_its_own_that_outlives_the_process() {
    let mut service = service_with(&[(SECRET, "")]).await;
    service.anonymous().get("/api/v1/campaigns").await.problem(401, "unauthenticated");
    service.admin().get("/api/v1/campaigns").await.problem(401, "unauthenticated");
    let minted = service.run("token", &["--role", "admin"]).await;
    assert_eq!(minted.code, Some(0), "{minted:?}");
    service.bearer(minted.text.trim()).create(Plan::later("c").body()).await;
    service.kill().await;
    service.launch().await;
    service.bearer(minted.text.trim()).campaign("c").await;
    assert!(!service.log().contains(minted.text.trim()), "no token in the log");
    service.finish().await;
}

#[tokio::test]
async fn without_authentication_everybody_may_do_everything_on_loopback_only() {
    let service = service_with(&[("LIFECYCLE_AUTH__MODE", "off")]).await;
    service.anonymous().create(Plan::later("c").body()).await;
    service.anonymous().get("/api/v1/system").await.expect(200);
    let mut command = service.command("serve");
    command
        .env("LIFECYCLE_HTTP__LISTEN", "0.0.0.0:0")
        .env("LIFECYCLE_EMBEDDED__PATH", service.folder().join("other.db"));
    let output = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).output();
    let output = tokio::time::timeout(testkit::PATIENCE, output).await.expect("it ends").expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(!output.status.success() && message.contains("loopback"), "{message}");
    service.finish().await;
}
