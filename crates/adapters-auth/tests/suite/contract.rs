//! The port's suite against the authenticator with a shared secret.

use std::sync::Arc;

use domain::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use lifecycle_adapters_auth::{AuthSettings, JwtAuthenticator};
use port_contracts::auth::AuthHarness;
use ports::auth::Authenticator;
use ports::clock::Clock;
use serde_json::json;

use crate::support::{StillClock, base64url, secret, sign, sign_with_secret};

struct Harness {
    clock: Arc<StillClock>,
    authenticator: Arc<JwtAuthenticator>,
}

fn harness() -> Harness {
    let clock = StillClock::new();
    let settings = AuthSettings::new(vec![secret()]);
    let authenticator = JwtAuthenticator::new(settings, Arc::clone(&clock) as Arc<dyn Clock>).expect("valid settings");
    Harness { clock, authenticator: Arc::new(authenticator) }
}

impl AuthHarness for Harness {
    fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::clone(&self.authenticator) as Arc<dyn Authenticator>
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sign(&self, claims: &str) -> String {
        sign_with_secret(&json!({"typ": "JWT", "alg": "HS256"}), claims)
    }

    fn sign_with_another_key(&self, claims: &str) -> String {
        let key = EncodingKey::from_secret(b"another secret that is long enough");
        sign(&key, Algorithm::HS256, &json!({"typ": "JWT", "alg": "HS256"}), claims)
    }

    fn unsigned(&self, claims: &str) -> String {
        format!("{}.{}.", base64url(r#"{"typ":"JWT","alg":"none"}"#), base64url(claims))
    }
}

port_contracts::auth_contract!(harness());
