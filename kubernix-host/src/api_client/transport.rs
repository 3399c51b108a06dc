//! HTTP clients for servers inside the cluster, and the classification of failed requests.
//!
//! A client trusts exactly one CA, never those of the machine. Must not know the content of
//! requests.

use super::Error;
use super::connector::Connector;
use crate::chain::{causes, chain};
use crate::network::HostNet;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of an identity, as PEM: a client certificate with its key, and the trusted CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The client certificate with its chain.
    pub cert: PathBuf,
    /// Its private key: PKCS #8, SEC 1 or PKCS #1.
    pub key: PathBuf,
    /// The CA that the server's certificate is checked against.
    pub ca: PathBuf,
}

/// An HTTP/1.1 client that reuses its connections.
pub(crate) type HttpClient = Client<HttpsConnector<Connector>, kube::client::Body>;

/// A client that trusts `ca` and authenticates as `identity`, if any. Connects from the network
/// namespace `from`, if any. Supports `http://` as well.
pub(crate) fn http_client(ca: &Path, identity: Option<&TlsFiles>, from: Option<HostNet>) -> Result<HttpClient, Error> {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(ca, identity)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector::new(from));
    // At most a watch, a probe and a request are active at the same time.
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(2).build(https))
}

fn tls_config(ca: &Path, identity: Option<&TlsFiles>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for root in certificates("CA certificate", ca)? {
        roots.add(root).map_err(|error| unusable("CA certificate", ca, error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("CA certificate", ca, error))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = certificates("certificate", &files.cert)?;
            let key = PrivateKeyDer::from_pem_file(&files.key);
            let key = key.map_err(|error| unusable("private key", &files.key, error))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| unusable("private key", &files.key, error))?
        }
    };
    // The default reserves memory for 256 servers; these clients connect to one or two.
    config.resumption = Resumption::in_memory_sessions(2);
    Ok(config)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(what, path, "it has no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(what, path, error)),
    }
}

fn unusable(what: &'static str, path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::File { what, path: path.to_owned(), cause: cause.to_string() }
}

/// Whether and when to retry after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nothing listens. A retry is cheap.
    Refused,
    /// The server can't respond at the moment.
    Busy,
    /// A retry would fail as well.
    Permanent,
}

/// A failed request, with a message for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    pub text: String,
}

impl Failure {
    /// A request to `server` that got no HTTP response.
    pub(crate) fn of_transport(server: &str, error: &(dyn StdError + 'static)) -> Self {
        let busy = |text| Self { kind: FailureKind::Busy, text };
        for cause in causes(error) {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return match tls {
                    rustls::Error::InvalidCertificate(why) => Self {
                        kind: FailureKind::Permanent,
                        text: format!("the certificate of {server} is not trusted: {why}"),
                    },
                    rustls::Error::AlertReceived(alert) => busy(format!(
                        "{server} rejects the TLS connection ({alert:?}): check the identity of the client certificate"
                    )),
                    other => busy(format!("the TLS handshake with {server} failed: {other}")),
                };
            }
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                match io.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        let text = format!("{server} refuses connections: nothing listens there yet");
                        return Self { kind: FailureKind::Refused, text };
                    }
                    io::ErrorKind::TimedOut => return busy(format!("{server} does not accept connections in time")),
                    _ => {}
                }
            }
        }
        busy(format!("{server} does not respond: {}", chain(error)))
    }

    /// A request to the API server that failed with or without a response.
    pub(crate) fn of_api(server: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                // A request that the server finds invalid stays invalid. A field of a wrong type is
                // such a case, although API servers report it as an internal error (500).
                let mistyped = status.message.starts_with("failed to create typed patch object");
                let permanent = mistyped || matches!(status.code, 400 | 405 | 406 | 413 | 415 | 422);
                let kind = if permanent { FailureKind::Permanent } else { FailureKind::Busy };
                Self { kind, text: format!("{server} answers {}: {}", status.code, status.message.trim()) }
            }
            kube::Error::Service(cause) => Self::of_transport(server, cause.as_ref()),
            other => Self::of_transport(server, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_classified_by_their_cause() {
        let inner = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(Failure::of_transport("https://a", &inner).kind, FailureKind::Busy);
        let refused = io::Error::other(io::Error::from_raw_os_error(111));
        assert_eq!(Failure::of_transport("https://a", &refused).kind, FailureKind::Refused);
    }

    #[test]
    fn a_file_without_certificates_is_not_an_empty_trust_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.crt");
        std::fs::write(&path, "not PEM").unwrap();
        let error = http_client(&path, None, None).err().unwrap().to_string();
        assert!(error.contains("ca.crt`: it has no PEM certificate"), "{error}");
    }
}
