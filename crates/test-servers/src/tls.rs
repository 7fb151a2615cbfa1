//! Certificates of one throw-away authority.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::place::Place;

/// What servers of this crate are called.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Who signs the servers' certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A server's files.
#[derive(Debug)]
pub(crate) struct Files {
    /// The authority's certificate, which clients trust.
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let key = KeyPair::generate().context("no key for the authority")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "throw-away test authority");
        let certificate = params.self_signed(&key).context("no certificate for the authority")?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Writes a certificate for the server that lives in `place`.
    pub(crate) fn certify(&self, place: &Place) -> Result<Files> {
        let key = KeyPair::generate().context("no key for a server")?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let certificate = params.signed_by(&key, &self.issuer).context("no certificate for a server")?;
        Ok(Files {
            ca: place.write("ca.pem", &self.certificate)?,
            certificate: place.write("server.pem", &certificate.pem())?,
            key: place.write("server.key", &key.serialize_pem())?,
        })
    }
}
