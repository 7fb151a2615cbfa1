//! Tokens that must never be accepted (A1), next to the ones that must.

use std::io::Write as _;

use domain::{OwnerId, TenantId, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey};
use lifecycle_adapters_auth::{KeySource, MintError, SigningKey, TokenClaims, mint};
use ports::auth::{AuthError, Authenticator as _, Role};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{
    AUDIENCE, ISSUER, Issuer, NOW, SECRET, StillClock, authenticator, base64url, claims, claims_with, secret, sign,
    sign_with_secret,
};

fn hs256() -> Value {
    json!({"typ": "JWT", "alg": "HS256"})
}

fn public_key_file(issuer: &Issuer) -> (tempfile::NamedTempFile, KeySource) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(issuer.public_pem.as_bytes()).expect("written");
    let source = KeySource::PublicKeyFile(file.path().to_owned());
    (file, source)
}

#[tokio::test]
async fn a_good_token_of_every_algorithm_is_accepted() {
    let clock = StillClock::new();
    let token = sign_with_secret(&hs256(), &claims().to_string());
    let principal = authenticator(vec![secret()], &clock).authenticate(&token).await.expect("accepted");
    assert_eq!((principal.subject.as_str(), principal.tenant.as_str()), ("ada", "acme"));
    assert_eq!(principal.roles, [Role::Operator]);
    assert_eq!(principal.expires_at.timestamp(), NOW + 3600);

    for issuer in [Issuer::rsa(), Issuer::p256(), Issuer::ed25519()] {
        let (_file, source) = public_key_file(&issuer);
        let accepted = authenticator(vec![source], &clock).authenticate(&issuer.sign(&claims())).await;
        assert!(accepted.is_ok(), "{:?}: {accepted:?}", issuer.algorithm);
    }
}

#[tokio::test]
async fn a_minted_token_says_what_it_was_told() {
    let clock = StillClock::new();
    let at = |seconds| Timestamp::from_timestamp(seconds, 0).expect("in range");
    let wish = TokenClaims {
        subject: "grace".to_owned(),
        tenant: TenantId::parse("acme").expect("valid"),
        roles: vec![Role::Viewer],
        owner: Some(OwnerId::parse("team-7").expect("valid")),
        issuer: Some(ISSUER.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
        issued_at: at(NOW),
        expires_at: at(NOW + 60),
    };
    let key = SigningKey::from_secret(&SecretString::from(SECRET)).expect("long enough");
    let reserved = TokenClaims { tenant: TenantId::service(), ..wish.clone() };
    assert!(matches!(mint(&key, &reserved), Err(MintError::ReservedTenant)));
    assert!(!format!("{key:?}").contains("secret for tests"));
    let principal = authenticator(vec![secret()], &clock)
        .authenticate(&mint(&key, &wish).expect("minted"))
        .await
        .expect("accepted");
    assert_eq!(principal.owner, wish.owner);
    assert_eq!(principal.roles, wish.roles);

    for issuer in [Issuer::rsa(), Issuer::p256(), Issuer::ed25519()] {
        let key = SigningKey::from_private_pem(&SecretString::from(issuer.private_pem.as_str())).expect("a key");
        let (_file, source) = public_key_file(&issuer);
        let token = mint(&key, &wish).expect("minted");
        assert!(authenticator(vec![source], &clock).authenticate(&token).await.is_ok(), "{:?}", issuer.algorithm);
    }
}

/// Tokens whose header or form is wrong, with claims that would be fine.
fn hostile_forms() -> Vec<(String, String)> {
    let body = claims().to_string();
    let good = sign_with_secret(&hs256(), &body);
    let parts: Vec<&str> = good.split('.').collect();
    let mut forms: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, token: String| forms.push((what.to_owned(), token));
    for none in ["none", "None", "NONE", "nOnE", "", "hs256", "Hs256", "HS256 ", "HS1", "ES256K"] {
        let header = base64url(json!({"typ": "JWT", "alg": none}).to_string());
        add(&format!("alg {none:?}, unsigned"), format!("{header}.{}.", parts[1]));
        add(&format!("alg {none:?}, signed"), sign_with_secret(&json!({"alg": none}), &body));
    }
    add("no alg", sign_with_secret(&json!({"typ": "JWT"}), &body));
    add("alg is a list", sign_with_secret(&json!({"alg": ["HS256"]}), &body));
    add("header is a list", sign_with_secret(&json!(["HS256"]), &body));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        add(name, sign(&key, algorithm, &json!({"alg": name}), &body));
    }
    add("signature removed", format!("{}.{}.", parts[0], parts[1]));
    add(
        "signature of another",
        format!("{}.{}.{}", parts[0], base64url(claims_with("sub", json!("eve")).to_string()), parts[2]),
    );
    add("signature cut", good[..good.len() - 4].to_owned());
    add("another secret", sign(&EncodingKey::from_secret(&[b'x'; 40]), Algorithm::HS256, &hs256(), &body));
    add("empty secret", sign(&EncodingKey::from_secret(b""), Algorithm::HS256, &hs256(), &body));
    add("empty", String::new());
    add("dots", "..".to_owned());
    add("four parts", format!("{good}.x"));
    add("two parts", format!("{}.{}", parts[0], parts[1]));
    add("base64 garbage", format!("%%%.{}.{}", parts[1], parts[2]));
    add("padded base64", format!("{}==.{}.{}", parts[0], parts[1], parts[2]));
    add("standard base64 alphabet", good.replace('_', "/").replace('-', "+") + "+");
    add("spaces", format!(" {good} "));
    add("bearer twice", format!("Bearer {good}"));
    add("a NUL", format!("{good}\0"));
    add("not ASCII", format!("{good}é"));
    add("8 KiB kid", sign_with_secret(&json!({"alg": "HS256", "kid": "k".repeat(8192)}), &body));
    for kid in [
        "k".repeat(65),
        "../../etc/passwd".into(),
        "a'b".into(),
        "a\"; --".into(),
        String::new(),
        "a b".into(),
        "é".into(),
        "a/b".into(),
        "\0".into(),
    ] {
        add(&format!("kid {kid:?}"), sign_with_secret(&json!({"alg": "HS256", "kid": kid}), &body));
    }
    add("kid is a number", sign_with_secret(&json!({"alg": "HS256", "kid": 7}), &body));
    add("crit", sign_with_secret(&json!({"alg": "HS256", "crit": ["exp"]}), &body));
    add("b64 false", sign_with_secret(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &body));
    add("zip", sign_with_secret(&json!({"alg": "HS256", "zip": "DEF"}), &body));
    add("another typ", sign_with_secret(&json!({"alg": "HS256", "typ": "dpop+jwt"}), &body));
    add("alg twice", {
        let header = base64url(r#"{"alg":"none","alg":"HS256"}"#);
        format!("{header}.{}.{}", parts[1], parts[2])
    });
    add("claims no JSON", sign_with_secret(&hs256(), "{"));
    add("claims a list", sign_with_secret(&hs256(), "[1]"));
    add("exp twice", sign_with_secret(&hs256(), &body.replacen('{', &format!("{{\"exp\":{},", NOW + 60), 1)));
    add("nested 200 deep", sign_with_secret(&hs256(), &format!("{}{}", "[".repeat(200), "]".repeat(200))));
    forms
}

/// Well-signed tokens with a claim that is wrong.
fn hostile_claims() -> Vec<(String, Value)> {
    let wrong: [(&str, Vec<Value>); 8] = [
        (
            "exp",
            vec![
                Value::Null,
                json!((NOW + 60).to_string()),
                json!(1e20),
                json!(-1),
                json!(0),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(true),
                json!([NOW + 60]),
                json!(NOW - 3600),
                json!(NOW - 5),
                json!(253_402_300_800_i64),
                json!("1e20"),
            ],
        ),
        ("nbf", vec![json!(NOW + 3600), json!(NOW + 6), json!("0"), json!(1e20), json!(-1), json!({})]),
        ("iss", vec![Value::Null, json!("https://issuer.test/"), json!([ISSUER]), json!(""), json!(1)]),
        (
            "aud",
            vec![
                Value::Null,
                json!("other"),
                json!([]),
                json!(["other", "another"]),
                json!([AUDIENCE, 1]),
                json!({"a": AUDIENCE}),
                json!("LIFECYCLE"),
            ],
        ),
        ("sub", vec![Value::Null, json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))]),
        (
            "tenant",
            vec![
                Value::Null,
                json!(""),
                json!("a/b"),
                json!("é"),
                json!(["acme"]),
                json!("x".repeat(65)),
                json!("'; --"),
                json!("_service"),
            ],
        ),
        (
            "roles",
            vec![
                Value::Null,
                json!([]),
                json!("admin"),
                json!(["superuser"]),
                json!(["ADMIN"]),
                json!([["admin"]]),
                json!(["admin", 1]),
                json!({"admin": true}),
            ],
        ),
        ("owner", vec![json!(""), json!("a b"), json!(7), json!(["x"])]),
    ];
    wrong
        .into_iter()
        .flat_map(|(name, values)| {
            values.into_iter().map(move |value| (format!("{name} = {value}"), claims_with(name, value)))
        })
        .collect()
}

#[tokio::test]
async fn none_of_the_hostile_tokens_is_accepted() {
    let clock = StillClock::new();
    let auth = authenticator(vec![secret()], &clock);
    let mut corpus = hostile_forms();
    let mut of_no_owner = claims();
    of_no_owner["owner"] = Value::Null;
    corpus.push(("owner = null".to_owned(), sign_with_secret(&hs256(), &of_no_owner.to_string())));
    corpus.extend(hostile_claims().into_iter().map(|(what, c)| (what, sign_with_secret(&hs256(), &c.to_string()))));
    assert!(corpus.len() >= 100, "{}", corpus.len());
    for (what, token) in &corpus {
        let answer = auth.authenticate(token).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
        assert!(!format!("{answer:?}").contains(SECRET), "{what}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_the_algorithm_is_the_keys_not_the_headers() {
    let clock = StillClock::new();
    for issuer in [Issuer::rsa(), Issuer::p256(), Issuer::ed25519()] {
        let (_file, source) = public_key_file(&issuer);
        let auth = authenticator(vec![source], &clock);
        let der = pem::parse(&issuer.public_pem).expect("our own").into_contents();
        for public in [issuer.public_pem.as_bytes(), issuer.public_pem.trim().as_bytes(), &der] {
            let token = sign(&EncodingKey::from_secret(public), Algorithm::HS256, &hs256(), &claims().to_string());
            assert_eq!(auth.authenticate(&token).await, Err(AuthError::BadSignature), "{:?}", issuer.algorithm);
        }
    }
    let rsa = Issuer::rsa();
    let (_file, source) = public_key_file(&rsa);
    let auth = authenticator(vec![source], &clock);
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
        let honest = rsa.sign_as(algorithm, &json!({"alg": algorithm}), &claims());
        assert_eq!(auth.authenticate(&honest).await, Err(AuthError::BadSignature), "{algorithm:?}");
        let lying = rsa.sign_as(algorithm, &json!({"alg": "RS256"}), &claims());
        assert_eq!(auth.authenticate(&lying).await, Err(AuthError::BadSignature), "{algorithm:?} as RS256");
    }
    let other = Issuer::rsa();
    assert_eq!(auth.authenticate(&other.sign(&claims())).await, Err(AuthError::BadSignature));
    let follow_me =
        json!({"alg": "RS256", "jwk": other.jwk, "jku": "https://evil.test/jwks", "x5u": "https://evil.test/x"});
    let token = other.sign_as(Algorithm::RS256, &follow_me, &claims());
    assert_eq!(auth.authenticate(&token).await, Err(AuthError::BadSignature), "keys in the header are never followed");
}

#[tokio::test]
async fn times_are_checked_against_our_clock_with_a_leeway_of_5_s() {
    let clock = StillClock::new();
    let auth = authenticator(vec![secret()], &clock);
    let token = |name: &str, value: i64| sign_with_secret(&hs256(), &claims_with(name, json!(value)).to_string());
    assert!(auth.authenticate(&token("exp", NOW - 4)).await.is_ok());
    assert_eq!(auth.authenticate(&token("exp", NOW - 5)).await, Err(AuthError::Expired));
    assert!(auth.authenticate(&token("nbf", NOW + 5)).await.is_ok());
    assert_eq!(auth.authenticate(&token("nbf", NOW + 6)).await, Err(AuthError::NotYetValid));
    clock.advance(10 * 60);
    assert_eq!(auth.authenticate(&token("exp", NOW + 60)).await, Err(AuthError::Expired), "a clock 10 min ahead");
    clock.advance(-20 * 60);
    assert_eq!(auth.authenticate(&token("nbf", NOW)).await, Err(AuthError::NotYetValid), "a clock 10 min behind");
}

#[tokio::test]
async fn unknown_roles_are_ignored_and_an_audience_may_be_one_of_many() {
    let clock = StillClock::new();
    let auth = authenticator(vec![secret()], &clock);
    let roles = claims_with("roles", json!(["billing", "viewer", "viewer", "service"]));
    let principal = auth.authenticate(&sign_with_secret(&hs256(), &roles.to_string())).await.expect("accepted");
    assert_eq!(principal.roles, [Role::Viewer, Role::Service]);
    let audience = claims_with("aud", json!(["other", AUDIENCE]));
    assert!(auth.authenticate(&sign_with_secret(&hs256(), &audience.to_string())).await.is_ok());
}
