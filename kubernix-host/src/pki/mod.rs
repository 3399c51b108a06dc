//! Creates and checks the cluster's certificates, keys and kubeconfigs.
//!
//! [`ensure`] is called at every boot. It reuses certificates and keys that fit, and replaces and
//! reports the others, so that a stale directory is never trusted without a check. A key that the
//! cluster's data depends on is replaced only on demand. The module must not know of components or
//! processes, and runs synchronously.
//!
//! ```text
//! pki/ca.{crt,key}  etcd-ca.{crt,key}  front-proxy-ca.{crt,key}
//!     USER.{crt,key}  nodes/NODE/{kubelet,kubelet-serving}.{crt,key}
//!     service-account.{key,pub}  encryption.yaml
//!     ca.unpublished: exists from the creation of a new `ca.crt` until pods get it
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
pub use renewal::{History, Renewal, UnknownRenewal};
pub use secrets::Unusable;

use issue::Signer;
use profile::{Authority, Profile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::PairPaths;
use work::Work;

/// The names of files that aren't part of one identity.
const FILES: [&str; 7] = [
    "ca.crt",
    "ca.key",
    "etcd-ca.crt",
    "front-proxy-ca.crt",
    "service-account.key",
    "service-account.pub",
    "encryption.yaml",
];

/// The file in the PKI directory that marks a CA that the cluster's namespaces don't have yet.
const UNPUBLISHED: &str = "ca.unpublished";

/// The path of the file that exists while the cluster's namespaces have an older CA than `ca.crt`.
/// [`ensure`] creates it together with a new CA, if the cluster was booted before. The caller
/// removes it after publishing the new CA.
pub fn unpublished(dir: &Path) -> PathBuf {
    dir.join(UNPUBLISHED)
}

/// The names and addresses that the certificates must be valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The cluster's name in the CAs' common names. CAs of another name are replaced.
    pub cluster: String,
    /// The addresses that etcd and the API server listen on inside the sandbox, including those of
    /// every member.
    pub control_plane_ips: Vec<IpAddr>,
    /// The cluster IP of the Service `kubernetes`.
    pub api_service_ip: IpAddr,
    /// The control plane's host name.
    pub control_plane_name: String,
    /// All nodes: name and address.
    pub nodes: Vec<(String, IpAddr)>,
}

/// Paths of an identity's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key, PKCS #8.
    pub key: PathBuf,
    /// The CA that signed it. Both ends of its connections check each other with it.
    pub ca: PathBuf,
}

/// A complete PKI directory.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
    profiles: Vec<Profile>,
    /// The certificates and keys that were replaced, with the reason:
    /// `apiserver: it was valid until 2026-05-01`. Empty for a new cluster and for new nodes.
    pub reissued: Vec<String>,
}

/// Completes the directory with all certificates and keys that a cluster needs, and syncs it to
/// disk. CAs are valid for ten years, other certificates for one. Certificates that expire within
/// 30 days are replaced, and with a CA all certificates that it signed.
///
/// If the cluster has data, keys that the data depends on are replaced only if `renew` contains
/// them: the encryption key, the service accounts' key, and CAs. A CA that is about to expire is an
/// exception.
///
/// # Errors
/// Such a key is missing or damaged, a certificate isn't valid yet, or a file can't be read or
/// written. Nothing was changed.
pub fn ensure(dir: &Path, request: &Request, history: &History, renew: &BTreeSet<Renewal>) -> Result<Pki, Error> {
    ensure_at(dir, request, history, renew, SystemTime::now())
}

fn ensure_at(
    dir: &Path,
    request: &Request,
    history: &History,
    renew: &BTreeSet<Renewal>,
    now: SystemTime,
) -> Result<Pki, Error> {
    let mut work = Work::new(dir, history, renew, now);
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
    /// The paths of all files, for a plan. Reads and writes nothing.
    pub fn planned(dir: &Path, request: &Request) -> Self {
        Self { dir: dir.to_owned(), profiles: profile::all(request), reissued: Vec::new() }
    }

    /// The files of a user: `admin`, `apiserver`, `apiserver-kubelet-client`, `etcd`,
    /// `apiserver-etcd-client`, `controller-manager`, `scheduler`, `proxy`, `front-proxy-client`;
    /// with a node also `kubelet` and `kubelet-serving`.
    pub fn identity(&self, user: &str, node: Option<&str>) -> Option<Identity> {
        let found = self
            .profiles
            .iter()
            .find(|profile| profile.user == user && (profile.node.is_none() || profile.node.as_deref() == node))?;
        let PairPaths { cert, key } = found.paths(&self.dir);
        let ca = PairPaths::new(&self.dir, found.authority.stem()).cert;
        Some(Identity { cert, key, ca })
    }

    /// The path of a file that isn't part of an identity: `ca.crt`, `ca.key`, `etcd-ca.crt`,
    /// `front-proxy-ca.crt`, `service-account.key`, `service-account.pub`, `encryption.yaml`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        FILES.contains(&name).then(|| self.dir.join(name))
    }
}
