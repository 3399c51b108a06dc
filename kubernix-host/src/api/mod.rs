//! The Kubernetes API, spoken as the cluster's administrator: what the host itself has to ask of it, and no more.
//!
//! Waiting is done by watches: the API server says when something changed, nobody asks again and again. A client that is
//! dropped closes its connections.
//!
//! Must not know: components, kubeconfigs (neither the user's nor those it wrote), environment variables, how processes
//! are started. It gets a URL and the paths of certificates.

mod apply;
mod authority;
mod connector;
mod delete;
mod drain;
mod error;
mod node;
mod objects;
mod policy;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod watch;
mod works;

pub use error::Error;
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

/// How long a single request may take. An API server that needs longer than this is not one to wait for silently.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Who we are to server-side apply: the owner of the fields that we set.
const FIELD_MANAGER: &str = "kubernix";

/// A client of one cluster's API. Cheap to clone; all clones share their connections, which close with the last of them.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    server: String,
    kinds: objects::Kinds,
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
        let http = http_client(&identity.ca, Some(identity), None)?;
        let client = ClientBuilder::new(http, "default").with_layer(&BaseUriLayer::new(url)).build();
        Ok(Self { client, server: server.to_owned(), kinds: objects::Kinds::default() })
    }

    /// The URL that this client speaks to.
    pub fn server(&self) -> &str {
        &self.server
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
    use super::testing::Authority;
    use super::*;

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
