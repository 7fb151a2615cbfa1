//! From settings to connections: the driver's settings, TLS, and errors that say which setting to look at. What is sent
//! over a connection lives in `link`.
//!
//! The driver has almost no limits by default and stops for good on the first lost connection. Here everything has a
//! limit, a lost connection is sought for ever, and no command is ever sent twice behind our back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::types::Builder;
use fred::types::RespVersion;
use fred::types::config::{Config, ReconnectError, ReconnectPolicy, TcpConfig, TlsConnector, UnresponsiveConfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use socket2::TcpKeepalive;

use crate::settings::{Address, RedisSettings};

/// Why there is no connection, or why this Redis will not do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error("REDIS_URL (LIFECYCLE_REDIS__URL) cannot be used: {0}")]
    Url(String),
    /// The prefix would break names.
    #[error("LIFECYCLE_REDIS__PREFIX cannot be used: {0}")]
    Prefix(&'static str),
    /// The certificates cannot be read.
    #[error("LIFECYCLE_REDIS__CA_FILE: {path}: {detail}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// TLS is wanted and there is nothing to check the server by.
    #[error("this system has no certificates to check Redis by ({0}); name a file in LIFECYCLE_REDIS__CA_FILE")]
    NoRoots(String),
    /// The host is not known.
    #[error("Redis at {servers}: no such host; look at REDIS_URL (LIFECYCLE_REDIS__URL)")]
    UnknownHost {
        /// Which.
        servers: String,
    },
    /// Nobody answers there.
    #[error(
        "Redis at {servers} cannot be reached; look at REDIS_URL (LIFECYCLE_REDIS__URL), which begins with rediss:// where \
         it speaks only TLS"
    )]
    Unreachable {
        /// Where.
        servers: String,
        /// What the driver said.
        #[source]
        source: Error,
    },
    /// User or password are wrong or missing.
    #[error("Redis at {servers} refuses the user or the password in REDIS_URL (LIFECYCLE_REDIS__URL)")]
    Password {
        /// Where.
        servers: String,
        /// What the driver said.
        #[source]
        source: Error,
    },
    /// The server's certificate is not signed by whom we trust, or is not for that host.
    #[error("Redis at {servers}: its certificate is not trusted; look at LIFECYCLE_REDIS__CA_FILE and the host's name")]
    Certificate {
        /// Where.
        servers: String,
        /// What the driver said.
        #[source]
        source: Error,
    },
    /// Nobody answers there in TLS: a server that does not speak it just waits.
    #[error("Redis at {servers} does not answer TLS; rediss:// in REDIS_URL (LIFECYCLE_REDIS__URL) needs its TLS port")]
    NoTls {
        /// Where.
        servers: String,
        /// What the driver said.
        #[source]
        source: Error,
    },
    /// It will not do.
    #[error("the Redis that REDIS_URL (LIFECYCLE_REDIS__URL) names will not do: {0}")]
    Unsuitable(String),
    /// Anything else.
    #[error("Redis at {servers} does not work with REDIS_URL (LIFECYCLE_REDIS__URL) as it is")]
    Other {
        /// Where.
        servers: String,
        /// What the driver said.
        #[source]
        source: Error,
    },
}

/// Makes clients that are not connected yet.
pub(crate) struct Connector {
    builder: Builder,
    servers: String,
    tls: bool,
}

/// How many commands may wait for a connection.
const MOST_WAITING: usize = 10_000;
/// How many messages may wait to be heard.
const MOST_UNHEARD: usize = 1_024;
/// Between two attempts to connect, in milliseconds: at first, at most, and how much chance adds.
const RECONNECT: (u32, u32, u32) = (50, 2_000, 100);

impl Connector {
    pub(crate) fn new(settings: &RedisSettings, address: &Address) -> Result<Self, ConnectError> {
        let mut config = Config::from_url(address.plain_url.expose_secret())
            .map_err(|error| ConnectError::Url(error.details().to_owned()))?;
        if address.tls {
            config.tls = Some(TlsConnector::from(tls(settings.ca_file.as_deref())?).into());
        }
        // The first attempt answers with its error; all later ones go on for ever.
        config.fail_fast = true;
        let servers: Vec<_> = config.server.hosts().iter().map(ToString::to_string).collect();
        let mut builder = Builder::from_config(config);
        builder.with_connection_config(|connection| {
            connection.connection_timeout = settings.connect_timeout;
            connection.internal_command_timeout = settings.command_timeout;
            // None would be the driver's default of three.
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = MOST_WAITING;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(settings.silence), interval: Duration::from_secs(1) };
            connection.tcp = tcp();
            connection.reconnect_errors = vec![
                ReconnectError::ClusterDown,
                ReconnectError::Loading,
                ReconnectError::MasterDown,
                ReconnectError::ReadOnly,
            ];
        });
        builder.with_performance_config(|performance| {
            performance.default_command_timeout = settings.command_timeout;
            performance.broadcast_channel_capacity = MOST_UNHEARD;
        });
        let (first, most, jitter) = RECONNECT;
        let mut policy = ReconnectPolicy::new_exponential(0, first, most, 2);
        policy.set_jitter(jitter);
        builder.set_policy(policy);
        Ok(Self { builder, servers: servers.join(", "), tls: address.tls })
    }

    /// A client for commands.
    pub(crate) fn client(&self) -> Result<Client, ConnectError> {
        self.builder.build().map_err(|error| self.explain(error))
    }

    /// A client that also hears: only the newer protocol lets it be asked whether it is alive.
    pub(crate) fn listener(&self) -> Result<Client, ConnectError> {
        let mut builder = self.builder.clone();
        builder.with_config(|config| config.version = RespVersion::RESP3);
        builder.build().map_err(|error| self.explain(error))
    }

    /// What a failure to connect means to who has set the address. The driver keeps only texts of the causes.
    pub(crate) fn explain(&self, source: Error) -> ConnectError {
        let servers = self.servers.clone();
        let text = source.details().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if *source.kind() == ErrorKind::Auth || says(&["wrongpass", "noauth", "invalid username-password"]) {
            ConnectError::Password { servers, source }
        } else if says(&["lookup address", "name or service not known", "no such host", "nodename nor servname"]) {
            ConnectError::UnknownHost { servers }
        } else if self.tls && says(&["certificate", "unknownissuer", "notvalidforname"]) {
            ConnectError::Certificate { servers, source }
        } else if self.tls
            && (*source.kind() == ErrorKind::Timeout
                || says(&["corrupt message", "invalidcontenttype", "tls", "handshake", "unexpectedeof"]))
        {
            ConnectError::NoTls { servers, source }
        } else if matches!(source.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Sentinel | ErrorKind::Routing)
        {
            ConnectError::Unreachable { servers, source }
        } else {
            ConnectError::Other { servers, source }
        }
    }
}

/// A dead connection is noticed by the system within seconds.
fn tcp() -> TcpConfig {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(2)).with_retries(3);
    TcpConfig {
        nodelay: Some(true),
        keepalive: Some(keepalive),
        #[cfg(target_os = "linux")]
        user_timeout: Some(Duration::from_secs(8)),
        ..TcpConfig::default()
    }
}

fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, ConnectError> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = ca_file {
        let wrong = |detail: String| ConnectError::CaFile { path: path.to_owned(), detail };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            return Err(ConnectError::NoRoots(errors.join("; ")));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Url(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
