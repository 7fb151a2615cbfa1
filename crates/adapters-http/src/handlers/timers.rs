//! Timers of all campaigns, and what they are going to do.

use chrono::TimeDelta;
use domain::Timestamp;
use http::StatusCode;
use ports::query::TimerFilter;
use wire::http::{ForecastBody, PageBody, TimerBody};

use super::list_error;
use crate::Api;
use crate::gate::forbidden;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::Call;

/// The most buckets of one forecast.
const MAX_BUCKETS: i64 = 1_000;
/// The longest bucket, in seconds: no timer is armed farther ahead.
const MAX_BUCKET_SECONDS: u32 = 366 * 86_400;

pub(super) async fn list(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let page = call.query.page()?;
    let filter = match call.query.text("state") {
        None | Some("pending") => TimerFilter::Pending,
        Some("overdue") => TimerFilter::Overdue,
        Some("failed") => TimerFilter::Failed,
        Some(_) => return Err(ApiError::parameter("state", "must be one of pending, overdue, failed")),
    };
    let owner = call.caller()?.scope().cloned();
    let found = api
        .reads
        .queries()
        .timers(call.tenant()?, owner, filter, &page)
        .await
        .map_err(|error| list_error(call, error))?;
    let items = found.items.iter().map(TimerBody::from).collect();
    Reply::json(StatusCode::OK, &PageBody::<TimerBody> { items, next_cursor: found.next.map(|cursor| cursor.0) })
}

pub(super) async fn forecast(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    if call.caller()?.scope().is_some() {
        return Err(forbidden("the forecast counts the campaigns of all owners, and the token is bound to one"));
    }
    let (from, to, bucket_seconds) = stretch(call, api.clock.now())?;
    let rows = api.reads.queries().forecast(call.tenant()?, from, to, bucket_seconds).await?;
    Reply::json(StatusCode::OK, &ForecastBody::new(from, to, bucket_seconds, &rows))
}

fn stretch(call: &Call, now: Timestamp) -> Result<(Timestamp, Timestamp, u32), ApiError> {
    let from = call.query.instant("from")?.unwrap_or(now);
    let to = match call.query.instant("to")? {
        Some(to) => to,
        None => {
            from.checked_add_signed(TimeDelta::days(1)).ok_or_else(|| ApiError::parameter("from", "is too late"))?
        }
    };
    let bucket_seconds = match call.query.text("bucket") {
        Some("minute") => 60,
        None | Some("hour") => 3_600,
        Some("day") => 86_400,
        Some(text) => match text.parse() {
            Ok(seconds) if (1..=MAX_BUCKET_SECONDS).contains(&seconds) => seconds,
            _ => return Err(ApiError::parameter("bucket", "must be minute, hour, day or a number of seconds")),
        },
    };
    if to <= from {
        return Err(ApiError::parameter("to", "must be later than from"));
    }
    if (to - from).num_seconds() > MAX_BUCKETS * i64::from(bucket_seconds) {
        let detail = format_args!("makes more than {MAX_BUCKETS} buckets of this stretch of time");
        return Err(ApiError::parameter("bucket", detail));
    }
    Ok((from, to, bucket_seconds))
}
