//! The suite of who is calling (A1, A2).

use std::sync::Arc;

use chrono::TimeDelta;
use domain::Timestamp;
use ports::auth::{AuthError, Authenticator, Principal, Role};

use crate::fixtures::{owner, tenant};

/// An authenticator, and whoever signs the tokens that it accepts. Claims are the text of a JSON object.
pub trait AuthHarness: Send + Sync {
    /// The authenticator.
    fn authenticator(&self) -> Arc<dyn Authenticator>;

    /// The present instant, as the authenticator knows it.
    fn now(&self) -> Timestamp;

    /// A token with these claims, signed as configured.
    fn sign(&self, claims: &str) -> String;

    /// The same, but with a key that is not configured.
    fn sign_with_another_key(&self, claims: &str) -> String;

    /// The same, but with `"alg":"none"` and no signature.
    fn unsigned(&self, claims: &str) -> String;
}

/// One test per case of the authenticator; `$make` gives a fresh [`AuthHarness`].
#[macro_export]
macro_rules! auth_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            auth {
                a_good_token_tells_who_calls,
                a_token_of_another_key_is_refused,
                a_token_without_a_signature_is_refused,
                a_token_that_was_changed_is_refused,
                an_expired_token_is_refused,
                a_token_that_is_not_valid_yet_is_refused,
                a_token_without_a_required_claim_is_refused,
                a_claim_of_the_wrong_form_is_refused,
                what_is_no_token_is_refused,
                a_principal_is_of_exactly_one_tenant,
            }
        }
    };
}

/// Claims of a viewer, with `more` members (each after a comma) and without the member `without`.
fn claims(h: &impl AuthHarness, without: &str, more: &str) -> String {
    let exp = (h.now() + TimeDelta::minutes(10)).timestamp().to_string();
    let members = [("sub", "\"ada\""), ("tenant", "\"acme\""), ("roles", "[\"viewer\"]"), ("exp", exp.as_str())];
    let kept: Vec<_> = members
        .iter()
        .filter(|(name, _)| *name != without)
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}{more}}}", kept.join(","))
}

async fn ask(h: &impl AuthHarness, token: &str) -> Result<Principal, AuthError> {
    h.authenticator().authenticate(token).await
}

async fn refusal(h: &impl AuthHarness, token: &str) -> AuthError {
    ask(h, token).await.expect_err("this token had to be refused")
}

/// A1: a token with everything as configured is accepted, with what it says.
pub async fn a_good_token_tells_who_calls(h: &mut impl AuthHarness) {
    let got = ask(h, &h.sign(&claims(h, "", ""))).await.expect("a good token");
    let plain = Principal {
        subject: "ada".to_owned(),
        tenant: tenant("acme"),
        roles: vec![Role::Viewer],
        owner: None,
        expires_at: got.expires_at,
    };
    assert_eq!(got, plain);
    let left = got.expires_at - h.now();
    assert!(left > TimeDelta::minutes(9) && left <= TimeDelta::minutes(10), "{left}");
    for role in Role::ALL {
        let more = format!(r#","roles":["{}"],"owner":"team-7","unknown":{{"kept":"out"}}"#, role.as_str());
        let got = ask(h, &h.sign(&claims(h, "roles", &more))).await.expect("a good token");
        assert_eq!((got.roles, got.owner), (vec![role], Some(owner("team-7"))));
    }
}

/// A1: a token that somebody else signed is refused.
pub async fn a_token_of_another_key_is_refused(h: &mut impl AuthHarness) {
    assert_eq!(refusal(h, &h.sign_with_another_key(&claims(h, "", ""))).await, AuthError::BadSignature);
}

/// A1: so is one that nobody signed, whatever algorithm it names.
pub async fn a_token_without_a_signature_is_refused(h: &mut impl AuthHarness) {
    refusal(h, &h.unsigned(&claims(h, "", ""))).await;
    let signed = h.sign(&claims(h, "", ""));
    let (rest, _) = signed.rsplit_once('.').expect("three parts");
    refusal(h, rest).await;
    refusal(h, &format!("{rest}.")).await;
}

/// A1: so is one whose claims were changed after it was signed.
pub async fn a_token_that_was_changed_is_refused(h: &mut impl AuthHarness) {
    let viewer = h.sign(&claims(h, "", ""));
    let admin = h.sign_with_another_key(&claims(h, "roles", r#","roles":["admin"]"#));
    let mut parts: Vec<&str> = viewer.split('.').collect();
    parts[1] = admin.split('.').nth(1).expect("three parts");
    assert_eq!(refusal(h, &parts.join(".")).await, AuthError::BadSignature);
}

/// A1: an expired token is refused.
pub async fn an_expired_token_is_refused(h: &mut impl AuthHarness) {
    let exp = (h.now() - TimeDelta::minutes(2)).timestamp();
    let token = h.sign(&claims(h, "exp", &format!(r#","exp":{exp}"#)));
    assert_eq!(refusal(h, &token).await, AuthError::Expired);
}

/// A1: a token for later is refused now.
pub async fn a_token_that_is_not_valid_yet_is_refused(h: &mut impl AuthHarness) {
    let nbf = (h.now() + TimeDelta::minutes(5)).timestamp();
    let token = h.sign(&claims(h, "", &format!(r#","nbf":{nbf}"#)));
    assert_eq!(refusal(h, &token).await, AuthError::NotYetValid);
}

/// A1: who, of which tenant, with which roles and until when: none of them may be left out.
pub async fn a_token_without_a_required_claim_is_refused(h: &mut impl AuthHarness) {
    for name in ["sub", "tenant", "roles", "exp"] {
        let refusal = refusal(h, &h.sign(&claims(h, name, ""))).await;
        assert_eq!(refusal, AuthError::Claim { claim: name });
    }
}

/// A1: nor be of another form.
pub async fn a_claim_of_the_wrong_form_is_refused(h: &mut impl AuthHarness) {
    let wrong = [
        ("tenant", r#","tenant":"a/b""#),
        ("tenant", r#","tenant":"""#),
        ("roles", r#","roles":"admin""#),
        ("roles", r#","roles":{"admin":true}"#),
        ("exp", r#","exp":"tomorrow""#),
        ("sub", r#","sub":7"#),
        ("owner", r#","owner":"a b""#),
    ];
    for (name, more) in wrong {
        refusal(h, &h.sign(&claims(h, name, more))).await;
    }
}

/// A1: what is no token at all is refused, and the refusal repeats nothing of it.
pub async fn what_is_no_token_is_refused(h: &mut impl AuthHarness) {
    let long = "x".repeat(100_000);
    for text in ["", ".", "..", "a.b.c", "e30.e30.e30", "Bearer x", "\u{0}\u{1f600}", &long] {
        let refusal = refusal(h, text).await.to_string();
        assert!(text.len() < 4 || !refusal.contains(text), "{refusal}");
    }
}

/// A2: a token names one tenant, and only its last word on it would be two.
pub async fn a_principal_is_of_exactly_one_tenant(h: &mut impl AuthHarness) {
    refusal(h, &h.sign(&claims(h, "tenant", r#","tenant":["acme","globex"]"#))).await;
    let globex = h.sign(&claims(h, "tenant", r#","tenant":"globex""#));
    assert_eq!(ask(h, &globex).await.expect("a good token").tenant, tenant("globex"));
}
