//! The cluster's certificates, keys and kubeconfigs, made in process.
//!
//! [`ensure`] is called at every boot: what is there and fits is reused, what doesn't fit is made anew and
//! reported, so that a stale directory is never trusted without a look. What data depends on is made anew
//! only on demand. It must not know of components or processes, and runs synchronously.
//!
//! ```text
//! pki/ca.{crt,key}  etcd-ca.{crt,key}  front-proxy-ca.{crt,key}
//!     USER.{crt,key}  nodes/NODE/{kubelet,kubelet-serving}.{crt,key}
//!     service-account.{key,pub}  encryption.yaml
//!     ca.unpublished: present from the making of a new `ca.crt` until pods are given it
//! ```

mod check;
mod error;
mod issue;
mod kubeconfig;
#[cfg(test)]
mod loss_tests;
mod profile;
mod renewal;
mod secrets;
mod store;
#[cfg(test)]
mod tests;
mod work;

pub use error::Error;
pub use kubeconfig::kubeconfig;
pub use renewal::{Past, Renewal};

use issue::Signer;
use profile::{Authority, Profile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::PairPaths;
use work::Work;

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

/// The file in the PKI directory that says that the namespaces of a cluster still hold the CA from before this one.
const UNPUBLISHED: &str = "ca.unpublished";

/// The path of the file that is there for as long as the cluster's namespaces hold an older CA than `ca.crt`. [`ensure`]
/// creates it with a new CA of a cluster that was booted before. Whoever has given them the new one removes it.
pub fn unpublished(dir: &Path) -> PathBuf {
    dir.join(UNPUBLISHED)
}

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
    /// What had to be made anew, with the reason: `apiserver: it was valid until 2026-05-01`. Empty for a
    /// new cluster and for new nodes.
    pub reissued: Vec<String>,
}

/// Makes the directory hold all that a cluster needs, durably. CAs are valid for ten years, other
/// certificates for one; whatever ends within 30 days is made anew. A new CA makes all that it signs anew.
///
/// Where the cluster has data, a key that the data depends on is never replaced unless `renew` says so:
/// the encryption key, the service accounts' key, and CAs, except one that is about to end.
///
/// # Errors
/// Nothing was changed then: such a key is missing or damaged, a certificate isn't valid yet, or a file
/// can't be read or written.
pub fn ensure(dir: &Path, request: &Request, past: &Past, renew: &BTreeSet<Renewal>) -> Result<Pki, Error> {
    ensure_at(dir, request, past, renew, SystemTime::now())
}

fn ensure_at(
    dir: &Path,
    request: &Request,
    past: &Past,
    renew: &BTreeSet<Renewal>,
    now: SystemTime,
) -> Result<Pki, Error> {
    let mut work = Work::new(dir, past, renew, now);
    store::directory(&mut work.batch, dir)?;
    if !request.nodes.is_empty() {
        store::directory(&mut work.batch, &dir.join("nodes"))?;
    }
    for (node, _) in &request.nodes {
        store::directory(&mut work.batch, &profile::node_directory(dir, node))?;
    }
    secrets::ensure_encryption(&mut work)?;
    secrets::ensure_service_account(&mut work)?;
    let profiles = profile::all(request);
    for authority in [Authority::Cluster, Authority::Etcd, Authority::FrontProxy] {
        let signer = Signer::ensure(&mut work, authority, &request.cluster)?;
        for profile in profiles.iter().filter(|profile| profile.authority == authority) {
            signer.ensure_leaf(&mut work, profile)?;
        }
    }
    let Work { batch, reissued, .. } = work;
    batch.commit().map_err(Error::write)?;
    Ok(Pki { dir: dir.to_owned(), profiles, reissued })
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
