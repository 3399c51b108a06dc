//! A TLS server on loopback for tests of clients: sends the responses of a test over HTTP/1.1.

use super::TlsFiles;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto::ring};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A response of the test server.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A CA and its certificates, in files.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A certificate for clients, and for servers on 127.0.0.1.
    pub(crate) fn client(&self, name: &str) -> TlsFiles {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let path = |suffix: &str| self.dir.path().join(format!("{name}.{suffix}"));
        std::fs::write(path("crt"), cert.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        TlsFiles { cert: path("crt"), key: path("key"), ca: self.ca() }
    }

    fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let files = self.client("server");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        // As API servers do: a client certificate is optional, but must be valid.
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&files.cert).unwrap()],
                PrivateKeyDer::from_pem_file(&files.key).unwrap(),
            )
            .unwrap()
    }
}

/// A running server. Dropping the value stops it.
pub(crate) struct Server {
    task: AbortHandle,
    connections: Arc<AtomicUsize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Reserves an address that refuses connections until [`Server::start`].
    pub(crate) fn reserve() -> (TcpSocket, String) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let url = format!("https://{}", socket.local_addr().unwrap());
        (socket, url)
    }

    /// Serves over TLS.
    pub(crate) fn start(
        socket: TcpSocket,
        authority: &Authority,
        answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = socket.listen(16).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let answer = Arc::new(answer);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                open.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(|request| {
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    // A client may close its connection during a watch.
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { task: task.abort_handle(), connections }
    }

    /// The number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A response with a JSON body.
pub(crate) fn answer(status: u16, body: &str) -> Answer {
    let body = Full::new(Bytes::from(body.to_owned())).boxed_unsync();
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

/// The response to a watch: each event after a pause in milliseconds. `stay`: keeps it open
/// afterwards.
pub(crate) fn events(events: Vec<(u64, String)>, stay: bool) -> Answer {
    let body = stream::unfold(events.into_iter(), move |mut rest| async move {
        match rest.next() {
            Some((pause, event)) => {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                Some((Ok(Frame::data(Bytes::from(event + "\n"))), rest))
            }
            None if stay => std::future::pending().await,
            None => None,
        }
    });
    Response::new(BodyExt::boxed_unsync(StreamBody::new(body)))
}
