//! Campaign bodies with windows and waits of seconds.

use serde_json::{Value, json};

use crate::time::in_seconds;

/// A campaign to be.
#[derive(Debug, Clone)]
pub struct Plan(Value);

impl Plan {
    /// Starts in an hour and lasts two: nothing happens to it by itself while a test runs.
    pub fn later(id: &str) -> Self {
        Self::window(id, 3600.0, 7200.0)
    }

    /// Starts in so many seconds, lasts so many, and then runs through all the rest in a few more.
    pub fn quick(id: &str, starts_in: f64, lasts: f64) -> Self {
        Self::window(id, starts_in, lasts).hasty()
    }

    fn window(id: &str, starts_in: f64, lasts: f64) -> Self {
        Self(json!({
            "campaignId": id,
            "startTime": in_seconds(starts_in),
            "endTime": in_seconds(starts_in + lasts),
        }))
    }

    /// With waits of a second or two.
    pub fn hasty(mut self) -> Self {
        self.0["policy"] = json!({
            "createdExpirySeconds": 1, "runningExpirySeconds": 1, "rewardClaimDelaySeconds": 1,
            "closedExpirySeconds": 3, "rewardClaimSeconds": 2, "reminderLeadSeconds": 1,
        });
        self
    }

    /// With another field, or another value of one.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    /// With another wait.
    pub fn policy(mut self, field: &str, value: Value) -> Self {
        if self.0["policy"].is_null() {
            self.0["policy"] = json!({});
        }
        self.0["policy"][field] = value;
        self
    }

    /// Whose START_CAMPAIGN waits for an operator, however little it is late.
    pub fn held(self) -> Self {
        self.policy("reminderMaxLateSeconds", json!(0)).policy("misfire", json!({ "START_CAMPAIGN": "hold" }))
    }

    /// The request's body.
    pub fn body(&self) -> &Value {
        &self.0
    }
}
