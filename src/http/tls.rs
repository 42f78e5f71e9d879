//! Whom rimg trusts, and how it proves itself: the rustls configuration.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Kind, Result};

/// The TLS side of a cloud's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether the server's certificate is checked.
    pub verify: bool,
    /// PEM file, or directory of PEM files, of the authorities to trust; the
    /// system's when absent.
    pub ca: Option<PathBuf>,
    /// PEM file with the client's certificate chain, and perhaps its key.
    pub cert: Option<PathBuf>,
    /// PEM file with the client's key, when it is not in `cert`.
    pub key: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Tls { verify: true, ca: None, cert: None, key: None }
    }
}

impl Tls {
    /// The configuration. Authorities are read when the first server shows its certificate.
    pub(super) fn client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(Kind::Tls, format!("cannot set up TLS: {e}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OnFirstUse {
                tls: self.clone(),
                provider,
                verifier: OnceLock::new(),
            }));
        let Some(cert) = &self.cert else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(cert)?;
        let key_file = self.key.as_ref().unwrap_or(cert);
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|_| {
            Error::new(Kind::Tls, format!("`{}` holds no private key in PEM form", key_file.display()))
                .next("name the client's key with `--os-key`; an encrypted key must be decrypted first")
        })?;
        builder.with_client_auth_cert(chain, key).map_err(|e| {
            let why = match e {
                rustls::Error::InconsistentKeys(_) => "it does not belong to the key".to_owned(),
                other => other.to_string().to_lowercase(),
            };
            Error::new(Kind::Tls, format!("the client certificate `{}` cannot be used: {why}", cert.display()))
                .next(format!("check `--os-cert` and `--os-key`; the key is of `{}`", key_file.display()))
        })
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        if !self.verify {
            return Ok(Arc::new(TrustAnyone { provider }));
        }
        let given = match &self.ca {
            Some(path) => certificates(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(given.iter().cloned());
        if usable == 0 {
            return Err(match &self.ca {
                Some(path) => Error::new(Kind::Tls, format!("`{}` holds no usable certificate", path.display()))
                    .next("`--os-cacert` (OS_CACERT, `cacert` in clouds.yaml) wants PEM certificates"),
                None => Error::new(Kind::Tls, "this system has no CA certificates")
                    .next("install them (Debian: `ca-certificates`), or name a file with `--os-cacert`"),
            });
        }
        let by_chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| Error::new(Kind::Tls, format!("cannot set up TLS: {e}")))?;
        // Only a file that the user named makes a certificate trusted for itself.
        let pinned = if self.ca.is_some() { given } else { Vec::new() };
        Ok(Arc::new(TrustGiven { by_chain, pinned }))
    }
}

/// The certificates of a PEM file, or of all files in a directory.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let cannot = |e: &std::io::Error| Error::io(format!("cannot read the certificates in `{}`", path.display()), e);
    if path.is_dir() {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|e| cannot(&e))? {
            let file = entry.map_err(|e| cannot(&e))?.path();
            if let Ok(found) = CertificateDer::pem_file_iter(&file) {
                all.extend(found.filter_map(std::result::Result::ok));
            }
        }
        return Ok(all);
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(&e))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes).filter_map(std::result::Result::ok).collect();
    if found.is_empty() {
        return Err(Error::new(Kind::Tls, format!("`{}` holds no certificate in PEM form", path.display()))
            .next("name a file that has `-----BEGIN CERTIFICATE-----` lines"));
    }
    Ok(found)
}

/// Reads the authorities only once there is a certificate to check: a cloud
/// without TLS needs none, and reading those of the system takes milliseconds.
#[derive(Debug)]
struct OnFirstUse {
    tls: Tls,
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>>>,
}

impl OnFirstUse {
    fn verifier(&self) -> std::result::Result<&dyn ServerCertVerifier, rustls::Error> {
        match self.verifier.get_or_init(|| self.tls.verifier(Arc::clone(&self.provider))) {
            Ok(verifier) => Ok(verifier.as_ref()),
            Err(error) => Err(rustls::Error::Other(rustls::OtherError(Arc::new(error.clone())))),
        }
    }
}

impl ServerCertVerifier for OnFirstUse {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Trusts what chains up to the roots, and the very certificates that the user
/// gave. The latter are often self-signed with CA:TRUE, which webpki refuses
/// for a server and OpenSSL accepts (<https://github.com/seanmonstar/reqwest/issues/2041>).
#[derive(Debug)]
struct TrustGiven {
    by_chain: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for TrustGiven {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verdict = self.by_chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // webpki checks the dates before this constraint, so they are right;
            // the name it has not come to.
            Err(error) if is_ca_used_as_server(&error) && self.pinned.iter().any(|p| p == end_entity) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_chain.supported_verify_schemes()
    }
}

/// Whether a server showed a certificate that says CA:TRUE.
pub(super) fn is_ca_used_as_server(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// `--insecure`: any certificate will do, signatures are still checked.
#[derive(Debug)]
struct TrustAnyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
