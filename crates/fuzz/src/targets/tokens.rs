//! Tokens: as they come, or a header and claims, two lines, that are signed here so that what lies behind the signature
//! is reached. Whatever is accepted must hold by rules that are written a second time.

use std::sync::Arc;

use adapters_auth::{AuthSettings, JwtAuthenticator, KeySource};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use domain::Timestamp;
use ports::auth::{Authenticator as _, Principal};
use ports::clock::Clock;
use secrecy::SecretString;

use super::{Check, ensure};
use crate::json::Json;
use crate::rules;

const SECRET: &str = "a secret for fuzzing that is long enough";
const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "lifecycle";
/// 2026-11-23T08:00:00Z.
const NOW: i64 = 1_795_420_800;
const LEEWAY: i64 = 5;

pub(super) const WORDS: &[&str] = &[
    "alg",
    "HS256",
    "HS512",
    "RS256",
    "none",
    "None",
    "typ",
    "JWT",
    "at+jwt",
    "kid",
    "crit",
    "jku",
    "jwk",
    "x5u",
    "zip",
    "enc",
    "b64",
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "tenant",
    "roles",
    "owner",
    "admin",
    "viewer",
    "operator",
    "service",
    "https://issuer.test",
    "lifecycle",
    "1795424400",
    "1795420796",
    "1795420806",
    "_service",
    ".",
    "\n",
    "eyJ",
];

/// A clock that stands still.
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(NOW, 0).unwrap_or_default()
    }

    async fn sleep_until(&self, _until: Timestamp) {}
}

pub(super) fn build() -> Check {
    let keys = vec![KeySource::Hs256Secret(SecretString::from(SECRET))];
    let settings = AuthSettings {
        issuer: Some(ISSUER.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
        ..AuthSettings::new(keys)
    };
    let auth = JwtAuthenticator::new(settings, Arc::new(Still)).unwrap_or_else(|error| panic!("{error}"));
    let runtime = crate::service::runtime();
    Box::new(move |input| {
        let text = String::from_utf8_lossy(input);
        let token = text.split_once('\n').map_or_else(|| text.to_string(), |(header, claims)| sign(header, claims));
        match runtime.block_on(auth.authenticate(&token)) {
            Ok(principal) => accepted(&token, &principal),
            Err(error) => {
                let told = format!("{error:?} {error}");
                ensure(told.len() < 300 && !told.contains(SECRET), || format!("tells too much: {told}"))?;
                Ok(told)
            }
        }
    })
}

fn mac(message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes()).as_ref().to_vec()
}

fn sign(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", rules::to_base64url(header.as_bytes()), rules::to_base64url(claims.as_bytes()));
    let mac = mac(&message);
    format!("{message}.{}", rules::to_base64url(&mac))
}

fn accepted(token: &str, principal: &Principal) -> Result<String, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(format!("accepts {} parts", parts.len())) };
    let signed = rules::base64url(signature).ok_or("accepts a signature that is no base64")?;
    ensure(signed == mac(&format!("{header}.{claims}")), || "accepts a signature that is not ours".to_owned())?;
    let json = |part: &str| {
        let text = rules::base64url(part).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or("no text")?;
        Json::read(&text).filter(|json| json.fields().is_some()).ok_or("no object")
    };
    let (header, claims) = (json(header)?, json(claims)?);
    ensure(text_of(&header, "alg") == Some("HS256"), || format!("accepts the algorithm {:?}", header.field("alg")))?;
    let crit = header.field("crit").is_none_or(|crit| *crit == Json::Null);
    ensure(crit, || "accepts what it must understand and does not".to_owned())?;
    let kid = text_of(&header, "kid").unwrap_or_default();
    let is_plain = kid.len() <= 64 && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    ensure(is_plain, || format!("accepts the key id {kid:?}"))?;
    times(&claims, principal)?;
    meant(&claims, principal)?;
    Ok(format!("accepted {:?} {}", principal.roles, principal.owner.is_some()))
}

fn text_of<'j>(json: &'j Json, name: &str) -> Option<&'j str> {
    json.field(name).and_then(Json::text)
}

fn times(claims: &Json, principal: &Principal) -> Result<(), String> {
    let exp = claims.field("exp").and_then(Json::whole).ok_or("accepts a token without end")?;
    ensure(exp + LEEWAY > NOW, || format!("accepts an expired token: {exp}"))?;
    ensure(principal.expires_at.timestamp() == exp, || "another end".to_owned())?;
    match claims.field("nbf") {
        None | Some(Json::Null) => Ok(()),
        Some(nbf) => {
            let nbf = nbf.whole().ok_or("accepts a beginning that is none")?;
            ensure(nbf <= NOW + LEEWAY, || format!("accepts a token of the future: {nbf}"))
        }
    }
}

fn meant(claims: &Json, principal: &Principal) -> Result<(), String> {
    ensure(text_of(claims, "iss") == Some(ISSUER), || format!("accepts the issuer {:?}", claims.field("iss")))?;
    let audience = Json::Text(AUDIENCE.to_owned());
    let is_for_us = claims
        .field("aud")
        .is_some_and(|aud| *aud == audience || aud.items().is_some_and(|all| all.contains(&audience)));
    ensure(is_for_us, || format!("accepts the audience {:?}", claims.field("aud")))?;
    let subject = principal.subject.as_str();
    ensure(text_of(claims, "sub") == Some(subject) && !subject.is_empty(), || "another subject".to_owned())?;
    let tenant = principal.tenant.as_str();
    ensure(text_of(claims, "tenant") == Some(tenant) && tenant != "_service", || "another tenant".to_owned())?;
    let owner = principal.owner.as_ref().map(|owner| Json::Text(owner.to_string()));
    ensure(claims.field("owner") == owner.as_ref(), || format!("another owner: {:?}", claims.field("owner")))?;
    let roles = claims.field("roles").and_then(Json::items).ok_or("accepts roles that are no list")?;
    let has = |role: &str| roles.iter().any(|named| named.text() == Some(role));
    ensure(!principal.roles.is_empty(), || "accepts nobody".to_owned())?;
    ensure(principal.roles.iter().all(|role| has(role.as_str())), || "another role".to_owned())
}
