//! A JWKS document at an address: fetched when needed, never more often than the cooldown allows, whatever tokens come.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use ports::auth::AuthError;
use ports::clock::Clock;
use reqwest::{Client, Url};

use crate::keys::{KeySet, MAX_JWKS_BYTES, PinnedKey};
use crate::settings::{AuthSetupError, JwksIntervals};

/// How many key ids that the issuer does not know are remembered.
const UNKNOWN_IDS: usize = 128;

/// Connecting and reading together.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct UrlKeys(Arc<Inner>);

struct Inner {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    intervals: JwksIntervals,
    state: Mutex<State>,
    /// Held while fetching, so that there is one fetch at a time and others can wait for it.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    set: Option<(Arc<KeySet>, Timestamp)>,
    tried_at: Option<Timestamp>,
    unknown: VecDeque<(String, Timestamp)>,
}

/// What the keys at hand say about a key id.
enum Look {
    Found(Arc<PinnedKey>),
    Unknown,
    NoKeys,
}

impl UrlKeys {
    pub(crate) fn new(url: &str, intervals: JwksIntervals, clock: Arc<dyn Clock>) -> Result<Self, AuthSetupError> {
        let parsed = check(url).map_err(|reason| AuthSetupError::Url { url: url.to_owned(), reason })?;
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FETCH_LIMIT)
            .connect_timeout(FETCH_LIMIT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("lifecycle/", env!("CARGO_PKG_VERSION")));
        if parsed.scheme() == "http" {
            builder = builder.no_proxy();
        }
        Ok(Self(Arc::new(Inner {
            url: parsed,
            client: builder.build().map_err(AuthSetupError::Client)?,
            clock,
            intervals,
            state: Mutex::new(State::default()),
            fetching: tokio::sync::Mutex::new(()),
        })))
    }

    /// The key for `id`; fetches when it is unknown and the cooldown is over.
    pub(crate) async fn find(&self, id: Option<&str>) -> Result<Option<Arc<PinnedKey>>, AuthError> {
        let now = self.0.clock.now();
        if let Look::Found(key) = self.0.look(id, now) {
            if self.0.wants_refresh(now) {
                tokio::spawn(self.clone().fetch_once());
            }
            return Ok(Some(key));
        }
        if !self.0.remembers_unknown(id, now) {
            self.fetch_or_wait(now).await;
        }
        match self.0.look(id, now) {
            Look::Found(key) => Ok(Some(key)),
            Look::Unknown => {
                self.0.remember_unknown(id, now);
                Ok(None)
            }
            Look::NoKeys => Err(AuthError::KeysUnavailable),
        }
    }

    async fn fetch_or_wait(&self, now: Timestamp) {
        if self.0.may_fetch(now) {
            // A task of its own: a caller that hangs up must not take the fetch, and the cooldown, with it.
            let fetch = tokio::spawn(self.clone().fetch_once());
            let _ = fetch.await;
        } else {
            drop(self.0.fetching.lock().await);
        }
    }

    async fn fetch_once(self) {
        let inner = &self.0;
        let _alone = inner.fetching.lock().await;
        let now = inner.clock.now();
        if !inner.may_fetch(now) {
            return;
        }
        inner.state().tried_at = Some(now);
        match inner.fetch().await {
            Ok(set) => inner.state().set = Some((Arc::new(set), now)),
            Err(reason) => tracing::warn!(url = %inner.url, reason, "the JWKS cannot be fetched; the last keys hold"),
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, id: Option<&str>, now: Timestamp) -> Look {
        match &self.state().set {
            Some((set, at)) if now < *at + self.intervals.stale_after => {
                set.find(id).map_or(Look::Unknown, Look::Found)
            }
            _ => Look::NoKeys,
        }
    }

    fn may_fetch(&self, now: Timestamp) -> bool {
        let state = self.state();
        let cooldown = if state.set.is_some() { self.intervals.cooldown } else { self.intervals.cooldown_without_keys };
        state.tried_at.is_none_or(|at| now >= at + cooldown)
    }

    fn wants_refresh(&self, now: Timestamp) -> bool {
        let old = self.state().set.as_ref().is_some_and(|(_, at)| now >= *at + self.intervals.refresh_after);
        old && self.may_fetch(now)
    }

    fn remembers_unknown(&self, id: Option<&str>, now: Timestamp) -> bool {
        let Some(id) = id else { return false };
        let state = self.state();
        // Without keys nothing is known about any id.
        state.set.is_some()
            && state.unknown.iter().any(|(known, at)| known == id && now < *at + self.intervals.remember_unknown)
    }

    fn remember_unknown(&self, id: Option<&str>, now: Timestamp) {
        let Some(id) = id else { return };
        let mut state = self.state();
        state.unknown.retain(|(known, _)| known != id);
        if state.unknown.len() >= UNKNOWN_IDS {
            state.unknown.pop_front();
        }
        state.unknown.push_back((id.to_owned(), now));
    }

    async fn fetch(&self) -> Result<KeySet, &'static str> {
        let mut response = self.client.get(self.url.clone()).send().await.map_err(|_| "the address does not answer")?;
        if response.status() != reqwest::StatusCode::OK {
            return Err("the answer is not 200");
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| "the answer broke off")? {
            if document.len() + chunk.len() > MAX_JWKS_BYTES {
                return Err("it is larger than 64 KiB");
            }
            document.extend_from_slice(&chunk);
        }
        KeySet::parse(&document)
    }
}

fn check(url: &str) -> Result<Url, &'static str> {
    let parsed = Url::parse(url).map_err(|_| "it is not an address")?;
    let host = parsed.host_str().ok_or("it names no host")?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("it must not hold credentials");
    }
    if let Some(IpAddr::V4(v4)) = address
        && v4.is_link_local()
    {
        return Err("link-local addresses are not asked");
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if loopback => Ok(parsed),
        "http" => Err("http is allowed on loopback only; use https"),
        _ => Err("it must begin with https://"),
    }
}
