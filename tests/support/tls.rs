//! Certificates made on the spot, and what a server needs to use them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// How the services of a world show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// A server certificate signed by a private authority.
    Signed,
    /// A self-signed server certificate that says CA:TRUE, as many labs have.
    SelfSigned,
    /// As `Signed`, and clients must show a certificate of the same authority.
    ClientCertificate,
}

/// The files a client is given, in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    /// What to trust: the authority, or the self-signed certificate itself.
    pub ca: PathBuf,
    /// A client's certificate and key, signed by the authority.
    pub cert: PathBuf,
    pub key: PathBuf,
}

fn params(name: &str, addresses: &[&str]) -> CertificateParams {
    let names: Vec<String> = addresses.iter().map(|one| (*one).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

/// Writes the files for clients into `directory`; the server's half comes back.
pub fn make(tls: Tls, directory: &Path) -> (Arc<rustls::ServerConfig>, Files) {
    let mut authority = params("rimg test authority", &[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);

    let here = ["127.0.0.1", "localhost"];
    let server_key = KeyPair::generate().unwrap();
    let (server_cert, trusted): (Certificate, Certificate) = if tls == Tls::SelfSigned {
        let mut own = params("rimg test server", &here);
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = own.self_signed(&server_key).unwrap();
        (cert.clone(), cert)
    } else {
        (params("rimg test server", &here).signed_by(&server_key, &issuer).unwrap(), authority_cert)
    };
    let client_key = KeyPair::generate().unwrap();
    let client_cert = params("rimg test client", &["client.test"]).signed_by(&client_key, &issuer).unwrap();

    let file = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = Files {
        ca: file("ca.pem", trusted.pem()),
        cert: file("client.pem", client_cert.pem()),
        key: file("client.key", client_key.serialize_pem()),
    };

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = if tls == Tls::ClientCertificate {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.unwrap().with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.unwrap().with_no_client_auth()
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    (Arc::new(builder.with_single_cert(vec![server_cert.der().clone()], key).unwrap()), files)
}
