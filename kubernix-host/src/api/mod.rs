//! The Kubernetes API, spoken as the cluster's administrator: what the host itself has to ask of it, and no more.
//!
//! Waiting is done by watches: the API server says when something changed, nobody asks again and again. A client that is
//! dropped closes its connections.
//!
//! Must not know: components, kubeconfigs (neither the user's nor those it wrote), environment variables, how processes
//! are started. It gets a URL and the paths of certificates.

mod apply;
mod error;
mod node;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod watch;

pub use error::Error;
pub use summary::{NodeSummary, Summary};
pub use transport::TlsFiles;
pub(crate) use transport::{Failure, FailureKind, HttpClient, http_client};

use hyper::Uri;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::client::ClientBuilder;
use kube::client::middleware::BaseUriLayer;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a single request may take. An API server that needs longer than this is not one to wait for silently.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Who we are to server-side apply: the owner of the fields that we set.
const FIELD_MANAGER: &str = "kubernix";

/// A client of one cluster's API. Cheap to clone; all clones share their connections, which close with the last of them.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    server: String,
}

impl Api {
    /// A client for the API server at `server` (`https://IP:PORT`) that shows this identity and trusts its CA alone.
    /// Reads the files, connects to nothing yet. Has to be called inside of a tokio runtime.
    ///
    /// # Errors
    /// The URL is none, or a file can't be used.
    pub fn connect(server: &str, identity: &TlsFiles) -> Result<Self, Error> {
        let url = server.parse::<Uri>().ok().filter(|url| url.scheme().is_some() && url.authority().is_some());
        let url = url.ok_or_else(|| Error::Url { url: server.to_owned() })?;
        let http = http_client(&identity.ca, Some(identity))?;
        let client = ClientBuilder::new(http, "default").with_layer(&BaseUriLayer::new(url)).build();
        Ok(Self { client, server: server.to_owned() })
    }

    /// The URL that this client speaks to.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Waits until pods can be created in the namespace `default`: until its service account `default` exists. Neither
    /// the namespace nor the API server has to be there yet.
    ///
    /// # Errors
    /// The deadline passed (the text says what was seen last), or the API server's certificate can't be trusted.
    pub async fn wait_default_service_account(&self, deadline: Instant) -> Result<(), Error> {
        let accounts = kube::Api::<ServiceAccount>::namespaced(self.client.clone(), "default");
        let mut last = String::from("the API server was not asked yet");
        let found = watch::until(&accounts, "default", &mut last, |_| Ok(()));
        match timeout_at(deadline, found).await {
            Ok(found) => found,
            Err(_) => {
                Err(Error::TimedOut { what: "the service account `default` in namespace `default`".into(), last })
            }
        }
    }

    /// One request, with an end.
    async fn request<T>(&self, doing: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        match timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Error::request(doing, &self.server, &error)),
            Err(_) => Err(Error::Request {
                doing: doing.to_owned(),
                cause: format!("{} gave no answer within {} s", self.server, REQUEST_TIMEOUT.as_secs()),
                hopeless: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Authority, Server, answer, events};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn in_ms(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn a_server_that_comes_late_stumbles_and_then_reports_the_account_is_waited_for() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = asked.clone();
        let server = async {
            // Until here connections are refused.
            tokio::time::sleep(Duration::from_millis(60)).await;
            Server::start(socket, &authority, move |request| {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/default/serviceaccounts");
                let query = request.uri().query().unwrap().to_owned();
                assert!(query.contains("watch=true") && query.contains("resourceVersion=0"), "{query}");
                assert!(query.contains("fieldSelector=metadata.name%3Ddefault"), "{query}");
                match seen.fetch_add(1, Ordering::SeqCst) {
                    0 => answer(403, r#"{"kind":"Status","code":403,"message":"RBAC is not there yet"}"#),
                    // The server may end a watch at any time.
                    1 => events(vec![], false),
                    _ => events(
                        vec![(30, r#"{"type":"ADDED","object":{"metadata":{"name":"default"}}}"#.to_owned())],
                        true,
                    ),
                }
            })
        };
        let (found, _server) = tokio::join!(api.wait_default_service_account(in_ms(10_000)), server);
        found.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn the_deadline_says_what_was_seen_last() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        let error = api.wait_default_service_account(in_ms(50)).await.unwrap_err().to_string();
        assert!(
            error.starts_with("the service account `default` in namespace `default` is not there in time"),
            "{error}"
        );
        assert!(error.contains("refuses connections"), "{error}");

        let _server = Server::start(socket, &authority, |_| events(vec![], true));
        let error = api.wait_default_service_account(in_ms(200)).await.unwrap_err().to_string();
        assert!(error.ends_with("`default` does not exist yet"), "{error}");
    }

    #[tokio::test]
    async fn a_server_of_another_cluster_is_not_waited_for() {
        let (socket, url) = Server::reserve();
        let _server = Server::start(socket, &Authority::new(), |_| answer(200, "{}"));
        let api = Api::connect(&url, &Authority::new().client("admin")).unwrap();
        let error = api.wait_default_service_account(in_ms(10_000)).await.unwrap_err().to_string();
        assert!(error.contains("certificate is not trusted"), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_url_or_no_certificate_is_named() {
        let authority = Authority::new();
        let error = Api::connect("10.0.0.1", &authority.client("admin")).err().unwrap().to_string();
        assert_eq!(error, "`10.0.0.1` is not the URL of an API server: expected https://IP:PORT");
        let mut identity = authority.client("admin");
        identity.key = "/nowhere/admin.key".into();
        let error = Api::connect("https://10.0.0.1:6443", &identity).err().unwrap().to_string();
        assert!(error.starts_with("cannot use the private key `/nowhere/admin.key`"), "{error}");
    }
}
