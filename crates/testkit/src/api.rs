//! The HTTP interface as a client of another team sees it.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::PATIENCE;
use crate::answer::Answer;

/// A caller: an address and a token.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    token: Option<String>,
}

/// A request to be.
pub struct Call {
    asked: String,
    request: RequestBuilder,
}

impl Call {
    /// With a header.
    ///
    /// # Panics
    /// When it is none.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        Self { request: self.request.header(name, value), ..self }
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With any body.
    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("content-type", content_type).body(body), ..self }
    }

    /// The answer, or why there is none.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Answer { asked: self.asked, status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }

    /// The answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn send(self) -> Answer {
        let asked = self.asked.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"))
    }
}

impl Api {
    pub(crate) fn new(client: Client, base: String, token: Option<String>) -> Self {
        Self { client, base, token }
    }

    /// The same caller, once the service has moved to another address.
    pub fn at(&self, other: &Self) -> Self {
        Self { base: other.base.clone(), ..self.clone() }
    }

    /// A request.
    ///
    /// # Panics
    /// When `method` is none.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let parsed = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(parsed, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Call { asked: format!("{method} {path}"), request }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send().await
    }

    /// PATCH.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send().await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send().await
    }

    /// Creates a campaign.
    pub async fn create(&self, body: &Value) -> Value {
        self.post("/api/v1/campaigns", body).await.expect(201)
    }

    /// A campaign.
    pub async fn campaign(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/campaigns/{id}")).await.expect(200)
    }

    /// Moves a campaign by hand.
    pub async fn move_to(&self, id: &str, status: &str) -> Answer {
        self.post(&format!("/api/v1/campaigns/{id}/status"), &serde_json::json!({ "to": status })).await
    }

    /// Waits until a campaign has this status.
    ///
    /// # Panics
    /// When it never gets there.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.get(&format!("/api/v1/campaigns/{id}")).await;
            let campaign = answer.json();
            if campaign["status"] == status {
                return campaign;
            }
            assert!(started.elapsed() < PATIENCE, "{id} never became {status}: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The items of a list, all pages.
    ///
    /// # Panics
    /// When it is no list.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                None => self.get(path).await,
                Some(cursor) => self.get(&format!("{path}{joint}cursor={cursor}")).await,
            };
            let page = page.expect(200);
            items.extend(page["items"].as_array().unwrap_or_else(|| panic!("{path} is no list: {page}")).clone());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }

    /// A campaign's transitions, oldest first.
    pub async fn transitions(&self, id: &str) -> Vec<Value> {
        self.all(&format!("/api/v1/campaigns/{id}/transitions")).await
    }

    /// The statuses that a campaign went through.
    pub async fn path_of(&self, id: &str) -> Vec<String> {
        let transitions = self.transitions(id).await;
        transitions.iter().map(|t| t["toStatus"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The id of a campaign's pending timer of this kind.
    ///
    /// # Panics
    /// When there is none.
    pub async fn timer(&self, id: &str, kind: &str) -> String {
        let timers = self.all(&format!("/api/v1/campaigns/{id}/timers")).await;
        let timer = timers.iter().find(|t| t["timerType"] == kind && t["state"] == "PENDING");
        let timer = timer.unwrap_or_else(|| panic!("{id} has no pending {kind}: {timers:?}"));
        timer["timerId"].as_str().expect("an id").to_owned()
    }

    /// Hands an event in, as a producer does.
    pub async fn event(&self, id: &str, kind: &str, data: &Value) -> Answer {
        let event = serde_json::json!({ "eventId": id, "eventType": kind, "source": "scenario", "data": data });
        self.post("/api/v1/events", &event).await
    }
}
