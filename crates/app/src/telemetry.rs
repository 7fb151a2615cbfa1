//! Logs and metrics of the process. What is counted lives where it happens.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{Log, LogFormat};
use crate::failure::Failure;
use crate::output;

/// Lateness and duration, in seconds: fine where the aims are (1 to 10 ms), coarse up to an outage.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Sizes of batches.
const SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// Starts logging to the standard error stream: for people on a terminal, JSON lines elsewhere. Answers whether it is
/// for people.
pub(crate) fn start_logging(log: &Log) -> Result<bool, Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| Failure::Usage(format!("log.level: {error}")))?;
    let pretty = match log.format {
        LogFormat::Auto => output::notes_are_watched(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    // Nobody reading the log any more is no reason to stop: failed writes are not reported, which would panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(BoxMakeWriter::new(std::io::stderr))
        .log_internal_errors(false);
    if pretty {
        builder.with_ansi(output::colours_notes()).with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(pretty)
}

/// A panic is a log line like any other, so that it is found where logs are looked at.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::capture();
    tracing::error!(panic.message = message, panic.location = location, panic.backtrace = %backtrace, "panic");
}

/// Starts counting.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, Failure> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Failure::internal(&error))?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!("lifecycle_timer_lateness_seconds", Unit::Seconds, "From a timer's due time to its commit");
    describe_counter!("lifecycle_timers_total", "Timers dealt with, by kind and result");
    describe_counter!("lifecycle_commands_total", "Commands, by command and outcome");
    describe_counter!("lifecycle_published_records_total", "Facts published to streams and live clients");
    describe_counter!("lifecycle_dead_letters_total", "What went to the dead-letter queue, by kind");
    describe_counter!("lifecycle_task_restarts_total", "Loops that had to be started again, by task");
    describe_gauge!("lifecycle_oldest_overdue_timer_seconds", Unit::Seconds, "Age of the oldest overdue timer");
    describe_gauge!("lifecycle_oldest_unread_event_seconds", Unit::Seconds, "Age of the oldest unread inbound event");
    describe_gauge!("lifecycle_command_queue_percent", "Share of the command queue that is taken");
    describe_counter!("lifecycle_http_requests_total", "HTTP requests, by operation and status");
    describe_histogram!("lifecycle_http_request_duration_seconds", Unit::Seconds, "How long HTTP requests take");
    describe_gauge!("lifecycle_http_connections", "Open HTTP connections, WebSocket ones included");
    describe_gauge!("lifecycle_websocket_connections", "Open WebSocket connections");
    describe_gauge!("lifecycle_websocket_subscriptions", "Subscriptions of WebSocket clients");
}
