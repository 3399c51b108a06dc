//! The cluster's certificates, keys and kubeconfigs, made in process.
//!
//! [`ensure`] is called at every boot: what is there and fits is reused, what doesn't fit is made anew and said, so that a
//! stale directory is never trusted without a look. It must not know of components or processes, and runs synchronously.
//!
//! ```text
//! pki/ca.{crt,key}  etcd-ca.{crt,key}  front-proxy-ca.{crt,key}
//!     USER.{crt,key}  nodes/NODE/{kubelet,kubelet-serving}.{crt,key}
//!     service-account.{key,pub}  encryption.yaml
//! ```

mod check;
mod error;
mod issue;
mod kubeconfig;
mod profile;
mod secrets;
mod store;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use kubeconfig::kubeconfig;

use check::Misfit;
use issue::Signer;
use profile::{Authority, Profile};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::PairPaths;

/// Files that others than the owner of an identity need, by name.
const FILES: [&str; 7] = [
    "ca.crt",
    "ca.key",
    "etcd-ca.crt",
    "front-proxy-ca.crt",
    "service-account.key",
    "service-account.pub",
    "encryption.yaml",
];

/// What the certificates have to be valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The cluster's name that the CAs carry. Another name makes another CA.
    pub cluster: String,
    /// The addresses that etcd and the API server listen at inside the sandbox, each member's own among them.
    pub control_plane_ips: Vec<IpAddr>,
    /// The cluster IP of the Service `kubernetes`.
    pub api_service_ip: IpAddr,
    /// The control plane's host name.
    pub control_plane_name: String,
    /// All nodes, by name and address.
    pub nodes: Vec<(String, IpAddr)>,
}

/// Paths of an identity's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key, PKCS #8.
    pub key: PathBuf,
    /// The CA that signed it, with which both ends of its connections check each other.
    pub ca: PathBuf,
}

/// A complete PKI directory.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
    profiles: Vec<Profile>,
    /// What was there but had to be made anew, with the reason: `apiserver: it was valid until 2026-05-01`. Empty for
    /// a new directory.
    pub reissued: Vec<String>,
}

/// The list of what was made anew, and why.
#[derive(Default)]
struct Reissued(Vec<String>);

impl Reissued {
    fn add(&mut self, name: &str, misfit: Misfit) {
        self.0.push(format!("{name}: {misfit}"));
    }
}

/// Makes the directory hold all that a cluster needs. CAs are valid for ten years, other certificates for one; whatever
/// ends within 30 days is made anew. A new CA makes all that it signs anew.
///
/// # Errors
/// A file can't be read or written, or the configuration of encryption at rest is damaged.
pub fn ensure(dir: &Path, request: &Request) -> Result<Pki, Error> {
    ensure_at(dir, request, SystemTime::now())
}

fn ensure_at(dir: &Path, request: &Request, now: SystemTime) -> Result<Pki, Error> {
    store::directory(dir)?;
    if !request.nodes.is_empty() {
        store::directory(&dir.join("nodes"))?;
    }
    for (node, _) in &request.nodes {
        store::directory(&profile::node_directory(dir, node))?;
    }
    // First, for it is all that can't be repaired.
    secrets::ensure(&dir.join("encryption.yaml"))?;
    let mut reissued = Reissued::default();
    let (private, public) = (dir.join("service-account.key"), dir.join("service-account.pub"));
    secrets::ensure_service_account(&private, &public, &mut reissued)?;
    let profiles = profile::all(request);
    for authority in [Authority::Cluster, Authority::Etcd, Authority::FrontProxy] {
        let signer = Signer::ensure(dir, authority, &request.cluster, now, &mut reissued)?;
        for profile in profiles.iter().filter(|profile| profile.authority == authority) {
            signer.ensure_leaf(dir, profile, now, &mut reissued)?;
        }
    }
    Ok(Pki { dir: dir.to_owned(), profiles, reissued: reissued.0 })
}

/// A name that nothing else has: 128 random bits, hexadecimal.
///
/// # Errors
/// The system has no random numbers.
pub fn random_id() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| std::io::Error::other("the system's source of random numbers failed"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Pki {
    /// Where everything will lie, for a plan: nothing is read or made.
    pub fn planned(dir: &Path, request: &Request) -> Self {
        Self { dir: dir.to_owned(), profiles: profile::all(request), reissued: Vec::new() }
    }

    /// The files of a user: `admin`, `apiserver`, `apiserver-kubelet-client`, `etcd`, `apiserver-etcd-client`,
    /// `controller-manager`, `scheduler`, `proxy`, `front-proxy-client`; with a node also `kubelet` and `kubelet-serving`.
    pub fn identity(&self, user: &str, node: Option<&str>) -> Option<Identity> {
        let found = self
            .profiles
            .iter()
            .find(|profile| profile.user == user && (profile.node.is_none() || profile.node.as_deref() == node))?;
        let PairPaths { cert, key } = found.paths(&self.dir);
        let ca = PairPaths::new(&self.dir, found.authority.stem()).cert;
        Some(Identity { cert, key, ca })
    }

    /// The path of a file that is no identity's: `ca.crt`, `ca.key`, `etcd-ca.crt`, `front-proxy-ca.crt`,
    /// `service-account.key`, `service-account.pub`, `encryption.yaml`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        FILES.contains(&name).then(|| self.dir.join(name))
    }
}
