//! Which server, and how TLS is spoken with it. libpq's words for that are understood here, since the driver knows only
//! some of them. rustls verifies whenever it is used: `require`, `verify-ca` and `verify-full` are one and the same.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::open_error::{OpenError, Whom, bad_roots};

/// What the URL of the primary is called.
pub(crate) const PRIMARY: &str = "DATABASE_URL (LIFECYCLE_POSTGRES__URL)";
/// What the URL of a replica is called.
pub(crate) const REPLICA: &str = "DATABASE_REPLICA_URL (LIFECYCLE_POSTGRES__REPLICA_URL)";

/// A server, and how to speak with it.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) whom: Whom,
    /// Nothing where TLS is not wanted.
    pub(crate) tls: Option<MakeRustlsConnect>,
    /// Whether a server without (good) TLS is spoken with nevertheless, as libpq does by default.
    pub(crate) plain_too: bool,
}

impl Server {
    /// Reads a URL; reads the certificates that it needs.
    pub(crate) fn parse(setting: &'static str, url: &SecretString) -> Result<Self, OpenError> {
        let words = Words::split(setting, url.expose_secret())?;
        let config: Config =
            words.url.parse().map_err(|e| OpenError::Url { setting, detail: detail(&e as &dyn std::error::Error) })?;
        let whom = whom(setting, &config)?;
        let tls = match words.mode {
            SslMode::Disable => None,
            _ => Some(connector(setting, words.roots.as_ref())?),
        };
        let mut config = config;
        // What is wanted of TLS is known; the driver must not fall back by itself.
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, whom, tls, plain_too: words.mode == SslMode::Prefer })
    }
}

/// A URL, less libpq's words about TLS.
struct Words {
    url: String,
    mode: SslMode,
    roots: Option<PathBuf>,
}

impl Words {
    fn split(setting: &'static str, url: &str) -> Result<Self, OpenError> {
        let bad = |detail: String| OpenError::Url { setting, detail };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("it must begin with postgres://".to_owned()));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        for word in query.split('&').filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "sslmode" => mode = Some(ssl_mode(value).ok_or_else(|| bad(format!("there is no sslmode {value:?}")))?),
                "sslrootcert" => {
                    let path = percent_decode_str(value).decode_utf8().map_err(|e| bad(e.to_string()))?;
                    roots = (path != "system").then(|| PathBuf::from(path.as_ref()));
                    // As in libpq: who names authorities wants them asked.
                    mode = mode.or(Some(SslMode::Require));
                }
                _ => rest.push(word),
            }
        }
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        Ok(Self { url, mode: mode.unwrap_or(SslMode::Prefer), roots })
    }
}

fn ssl_mode(word: &str) -> Option<SslMode> {
    match word {
        "disable" => Some(SslMode::Disable),
        "allow" | "prefer" => Some(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Some(SslMode::Require),
        _ => None,
    }
}

fn whom(setting: &'static str, config: &Config) -> Result<Whom, OpenError> {
    let bad = |detail: &str| OpenError::Url { setting, detail: detail.to_owned() };
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(folder)) => folder.display().to_string(),
        None => match config.get_hostaddrs().first() {
            Some(address) => address.to_string(),
            None => return Err(bad("it names no host")),
        },
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().ok_or_else(|| bad("it names no user"))?.to_owned();
    let database = config.get_dbname().ok_or_else(|| bad("it names no database"))?.to_owned();
    Ok(Whom { setting, at: format!("{host}:{port}"), user, database })
}

fn connector(setting: &'static str, file: Option<&PathBuf>) -> Result<MakeRustlsConnect, OpenError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| bad_roots(setting, path, e))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| bad_roots(setting, path, e))?;
            roots.add(certificate).map_err(|e| bad_roots(setting, path, e))?;
        }
        if roots.is_empty() {
            return Err(bad_roots(setting, path, "there is no certificate in it"));
        }
    } else {
        // A system without any certificate accepts no server, which is then told as such.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| OpenError::Roots { setting, detail: e.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The driver puts what is wrong into the source of its error; neither holds the URL.
fn detail(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
