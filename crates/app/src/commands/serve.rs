//! `lifecycle serve`: the service, until a signal stops it.

use std::sync::Arc;

use adapters_http::{ServerSettings, TrustedProxies};
use tokio::net::{TcpListener, TcpSocket};

use crate::cli::Settings;
use crate::commands::block_on;
use crate::config::Config;
use crate::failure::Failure;
use crate::lifecycle::{Running, StopSignals};
use crate::output::style::{BOLD, DIM, RESET};
use crate::{files, output, telemetry, wiring};

/// The exit code after a second signal: 128 + SIGINT.
const STOPPED_AT_ONCE: i32 = 130;

pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    let config = settings.load()?.config;
    let for_people = telemetry::start_logging(&config.log)?;
    if failpoints::ARMED {
        tracing::warn!("this build has crash points: it is for tests only");
    }
    let metrics = telemetry::start_metrics()?;
    files::allow_connections(config.http.max_connections);
    block_on(async {
        let mut signals = StopSignals::new()?;
        // Before the store is opened: a taken address must not leave a fresh data folder behind.
        let listener = bind(&config)?;
        let render = metrics.clone();
        let service = wiring::service(&config, Arc::new(move || render.render())).await?;
        let (fresh, place) = (service.fresh, service.place.clone());
        let mut running = Running::start(service, listener, server_settings(&config), metrics).await?;
        tell_ready(&running, &config, &place, fresh, for_people);
        let failed = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping");
                None
            }
            name = running.failed() => Some(name),
        };
        tokio::select! {
            stopped = running.stop() => stopped?,
            signal = signals.next() => {
                tracing::warn!(signal, "stopping at once");
                std::process::exit(STOPPED_AT_ONCE);
            }
        }
        match failed {
            None => {
                tracing::info!("stopped; nothing was lost");
                Ok(())
            }
            Some(name) => Err(Failure::Internal(format!(
                "the loop {name:?} cannot be kept running; the log above says why. Nothing committed is lost: start again"
            ))),
        }
    })
}

/// How many connections may wait to be accepted, as far as the system lets it (`net.core.somaxconn`). Whom it cannot take
/// in it leaves to try again after seconds: after a restart all live clients come at once.
const BACKLOG: u32 = 4_096;

/// Listens where the settings say.
pub(crate) fn bind(config: &Config) -> Result<TcpListener, Failure> {
    let address = config.http.listen;
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of the process before must not keep the address.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        Failure::Unavailable(format!(
            "cannot listen on {address}: {error}; stop whatever uses it, or choose another with --listen or \
             LIFECYCLE_HTTP__LISTEN"
        ))
    })
}

/// The limits of the HTTP server.
pub(crate) fn server_settings(config: &Config) -> ServerSettings {
    ServerSettings {
        max_connections: config.http.max_connections,
        max_connections_per_address: config.http.max_connections_per_address,
        // Checked when the settings were read.
        trusted_proxies: TrustedProxies::parse(&config.http.trusted_proxies).unwrap_or_default(),
        header_read_timeout: config.http.header_timeout.0,
        drain: config.http.drain.0,
    }
}

/// One clear line when requests are taken, and for a fresh data folder how to get in.
fn tell_ready(running: &Running, config: &Config, data: &str, fresh: bool, for_people: bool) {
    let url = format!("http://{}", running.address());
    if !for_people {
        tracing::info!(url, data, version = env!("CARGO_PKG_VERSION"), "ready");
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    output::note(&format!(
        "{BOLD}lifecycle {version} is ready on {url}{RESET} {DIM}(API at {url}/docs, data in {data}){RESET}"
    ));
    if fresh && config.uses_own_key() {
        output::note(&format!(
            "{DIM}A token for this fresh data folder:{RESET} lifecycle token --data {}",
            config.folder().display()
        ));
    }
}
