//! Clients of the cluster's own API, and the probers that use them.

use super::Cluster;
use super::planned::Planned;
use super::reducer::Fault;
use crate::api_client::{self, Api};
use crate::graph::{Environment, RoleAt};
use crate::pki::Identity;
use crate::probe::{Prober, TlsFiles};
use kubernix_core::{Role, roles};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// Why the host can't use the cluster's API.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// No component fills the role `apiserver` on a running node.
    #[error("the cluster has no API server")]
    NoServer,
    /// The identity of the host's own client is missing.
    #[error("the cluster has no identity `{0}`")]
    NoIdentity(&'static str),
    /// The CA certificate is missing.
    #[error("the cluster has no CA certificate")]
    NoCa,
    /// The CA certificate can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    ReadCa { path: PathBuf, cause: io::Error },
    /// A request failed, or the client can't be created.
    #[error(transparent)]
    Client(#[from] api_client::Error),
    /// An object can't be applied.
    #[error("{cause}")]
    Apply {
        cause: api_client::Error,
        /// The deadline passed.
        timed_out: bool,
    },
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        let timed_out = matches!(error, ApiError::Apply { timed_out: true, .. });
        Self { timed_out, ..Self::of(&error) }
    }
}

impl Cluster {
    /// A client of the cluster's API, or `None` if the cluster has no API server.
    pub(super) fn api(&self) -> Result<Option<Api>, ApiError> {
        let Some(server) = self.provider(roles::APISERVER) else { return Ok(None) };
        let Some(endpoint) = server.endpoint(roles::APISERVER) else { return Ok(None) };
        self.api_of(&server, &endpoint.url).map(Some)
    }

    /// A client of the API at the URL of this instance. With several members of the control plane,
    /// it uses their shared address and so doesn't depend on one of them.
    pub(super) fn api_of(&self, server: &Planned, url: &str) -> Result<Api, ApiError> {
        const USER: &str = "admin";
        let boot = self.boot();
        let server = boot.environment.seen_from(None, server.instance.node.as_deref(), url);
        let identity = Environment::of_node(&boot.environment.identities, USER, None);
        let identity = identity.ok_or(ApiError::NoIdentity(USER))?;
        Ok(Api::connect(&server, &tls_files(identity))?)
    }

    /// The role `apiserver` of the first API server.
    pub(super) fn api_role(&self) -> Option<RoleAt> {
        self.provider(roles::APISERVER).map(|server| server.instance.at(&Role::new(roles::APISERVER)))
    }

    /// The prober for checks of ready instances. It is reused, with its connections, until the next
    /// change.
    pub(super) fn checker(&self) -> Result<Rc<Prober>, ApiError> {
        if let Some(prober) = &*self.checker.borrow() {
            return Ok(prober.clone());
        }
        let prober = Rc::new(self.prober()?);
        *self.checker.borrow_mut() = Some(prober.clone());
        Ok(prober)
    }

    /// A new prober. It asks the cluster's API for the conditions of nodes.
    pub(super) fn prober(&self) -> Result<Prober, ApiError> {
        let api = self.api()?;
        let boot = self.boot();
        let environment = &boot.environment;
        let ca = environment.files.get("ca.crt").ok_or(ApiError::NoCa)?;
        let identities = environment.identities.clone();
        let (spawner, targets) = (self.spawner(), self.nodes.targets());
        let prober = Prober::new(ca, move |user| identities.get(user).map(tls_files)).commands(move |command, node| {
            let mut spawner = spawner.clone();
            if let Some(target) = node.and_then(|node| targets.get(node)) {
                spawner.target = target;
            }
            async move { spawner.output(&command).await.map_err(io::Error::other) }
        });
        let targets = self.nodes.targets();
        let prober = prober.networks(move |node| targets.network(node));
        Ok(match api {
            Some(api) => prober.api(api),
            None => prober,
        })
    }
}

fn tls_files(identity: &Identity) -> TlsFiles {
    TlsFiles { cert: identity.cert.clone(), key: identity.key.clone(), ca: identity.ca.clone() }
}

/// The certificate of the cluster's CA, as PEM.
pub(super) fn read_ca(environment: &Environment) -> Result<String, ApiError> {
    let path = environment.files.get("ca.crt").ok_or(ApiError::NoCa)?;
    fs::read_to_string(path).map_err(|cause| ApiError::ReadCa { path: path.clone(), cause })
}
