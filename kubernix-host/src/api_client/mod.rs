//! A client of the Kubernetes API with the requests that the host needs, as the cluster's
//! administrator.
//!
//! Nodes are watched, not polled. A client that is dropped closes its connections.
//!
//! Must not know: components, kubeconfigs, environment variables, how processes are started. It
//! gets a URL and the paths of certificates.

mod apply;
mod authority;
mod connector;
mod delete;
mod drain;
mod error;
mod node;
mod not_ready;
mod objects;
mod policy;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod watch;
mod works;

pub use error::Error;
pub use not_ready::NotReady;
pub use objects::{ObjectRef, objects_of};
pub use summary::{NodeSummary, Summary};
pub use transport::TlsFiles;
pub(crate) use transport::{Failure, FailureKind, HttpClient, http_client};

use hyper::Uri;
use kube::client::ClientBuilder;
use kube::client::middleware::BaseUriLayer;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// How long a single request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the field manager for server-side apply.
const FIELD_MANAGER: &str = "kubernix";

/// A client of one cluster's API. Cheap to clone: all clones share their connections, which close
/// with the last clone.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    server: String,
    kinds: objects::Kinds,
}

impl Api {
    /// A client for the API server at `server` (`https://IP:PORT`) that uses this identity and
    /// trusts only its CA. Reads the files, but doesn't connect yet. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// The URL is invalid, or a file can't be used.
    pub fn connect(server: &str, identity: &TlsFiles) -> Result<Self, Error> {
        let url = server.parse::<Uri>().ok().filter(|url| url.scheme().is_some() && url.authority().is_some());
        let url = url.ok_or_else(|| Error::Url { url: server.to_owned() })?;
        let http = http_client(&identity.ca, Some(identity), None)?;
        let client = ClientBuilder::new(http, "default").with_layer(&BaseUriLayer::new(url)).build();
        Ok(Self { client, server: server.to_owned(), kinds: objects::Kinds::default() })
    }

    /// The URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Sends one request, with a time limit.
    async fn request<T>(&self, doing: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        match timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Error::request(doing, &self.server, &error)),
            Err(_) => Err(Error::Request {
                doing: doing.to_owned(),
                cause: format!("{} did not respond within {} s", self.server, REQUEST_TIMEOUT.as_secs()),
                permanent: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Authority;
    use super::*;

    #[tokio::test]
    async fn errors_name_an_invalid_url_and_a_missing_key() {
        let authority = Authority::new();
        let error = Api::connect("10.0.0.1", &authority.client("admin")).err().unwrap().to_string();
        assert_eq!(error, "`10.0.0.1` is not the URL of an API server: expected https://IP:PORT");
        let mut identity = authority.client("admin");
        identity.key = "/nowhere/admin.key".into();
        let error = Api::connect("https://10.0.0.1:6443", &identity).err().unwrap().to_string();
        assert!(error.starts_with("cannot use the private key `/nowhere/admin.key`"), "{error}");
    }
}
