//! `snapshot save`: writes the objects, certificates and settings of a running or stopped cluster
//! into one file.

use super::handle::QUEUED_REQUEST_TIMEOUT;
use super::interrupt::Interrupts;
use super::{Cluster, ClusterError, Host, HostError, InUseError, REQUEST_TIMEOUT, need_root};
use crate::control::{Client, Copied, Reply, Request};
use crate::root_dir;
use crate::sandbox::lock;
use crate::snapshot::{self, Datastore, FORMAT, Head, Staging};
use jiff::Timestamp;
use kubernix_core::roles;
use serde::Serialize;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A snapshot that was saved.
#[derive(Debug, Clone, Serialize)]
pub struct Saved {
    /// Its path.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// The size of its unpacked content, in bytes.
    pub content: u64,
    /// The head of its manifest.
    #[serde(flatten)]
    pub head: Head,
    /// How long the datastore was paused, in milliseconds. `None` for a stopped cluster.
    pub paused_ms: Option<f64>,
    /// The time from start to end, in seconds.
    pub seconds: f64,
}

impl Host {
    /// Saves the state of a cluster at one moment. `to`: a file; or a directory, in which the file
    /// gets the cluster's name and the time as its name; by default the directory of snapshots in
    /// the base directory. A running cluster continues to run; its datastore is paused while it is
    /// copied.
    ///
    /// # Errors
    /// See [`HostError`]. No file is created or changed then.
    pub fn save(&self, cluster: &Cluster, to: Option<&Path>) -> Result<Saved, HostError> {
        let begun = Instant::now();
        need_root("snapshot save")?;
        let root = cluster.root();
        let state = root.open_existing()?;
        let never_booted = || ClusterError::NeverBooted(cluster.call.clone());
        let boot = cluster.boot_in_force().map_err(|_| never_booted())?;
        let Some(component) = boot.slots.get(roles::DATASTORE).filter(|_| !state.removing) else {
            return Err(never_booted().into());
        };
        let interrupts = Interrupts::install().map_err(HostError::io("signals can't be handled"))?;
        let busy = || InUseError::Busy { call: cluster.call.clone(), with: "snapshot save" };
        let staging = Staging::begin(root)?.ok_or_else(busy)?;
        let copied = match lock::share(root)? {
            Some(_stopped) => {
                snapshot::stage(root, &root.component_directories(component)?, None)?;
                Copied { component: component.clone(), version: self.version(component), paused_us: 0 }
            }
            None => {
                let order = Request::CopyState { role: roles::DATASTORE.into() };
                match Client::connect(root, REQUEST_TIMEOUT)?.ask_in_turn(&order, QUEUED_REQUEST_TIMEOUT)? {
                    Reply::Copied { copied } => copied,
                    _ => return Err(busy().into()),
                }
            }
        };
        staging.add_own()?;
        let head = Head {
            format: FORMAT,
            kubernix: env!("CARGO_PKG_VERSION").into(),
            cluster: cluster.name().to_owned(),
            authority: state.authority().to_owned(),
            saved: Timestamp::now(),
            cidr: boot.environment.addresses.cidr,
            datastore: Datastore { component: copied.component, version: copied.version },
        };
        let destination = Destination::open(to, root.base())?;
        let path = snapshot::target(&destination.path, &head)?;
        let written = snapshot::write(&staging.path(), head.clone(), &path, &|| !interrupts.any())?;
        let written = written.ok_or(HostError::Interrupted)?;
        destination.keep();
        Ok(Saved {
            path,
            size: written.size,
            content: written.content,
            head,
            paused_ms: (copied.paused_us > 0).then_some(copied.paused_us as f64 / 1000.0),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// The version of a component; `unknown` if this `kubernix` doesn't have it.
    fn version(&self, component: &str) -> String {
        let mut all = self.registry.components.iter();
        all.find(|known| known.name() == component).map_or_else(|| "unknown".into(), |known| known.version.clone())
    }
}

/// The file or directory that a snapshot is written to. A directory that was created for it is
/// removed if the snapshot fails.
struct Destination {
    path: PathBuf,
    is_new: bool,
}

impl Destination {
    fn open(to: Option<&Path>, base: &Path) -> Result<Self, HostError> {
        let Some(to) = to else {
            let path = root_dir::snapshots(base);
            let is_new = match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                Err(cause) => return Err(HostError::Snapshot(snapshot::Error::Io { action: "write", path, cause })),
            };
            return Ok(Self { path, is_new });
        };
        Ok(Self { path: to.to_owned(), is_new: false })
    }

    fn keep(mut self) {
        self.is_new = false;
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.is_new {
            // Fails if another command has written a snapshot into it.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
