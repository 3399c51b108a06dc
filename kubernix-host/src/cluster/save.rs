//! `snapshot save`: a cluster's objects, certificates and settings in one file, whether it runs or not.

use super::handle::IN_TURN;
use super::interrupt::Interrupts;
use super::{ANSWER, Cluster, Host, HostError, need_root};
use crate::control::{Client, Copied, Reply, Request};
use crate::root;
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
    /// Where.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// The size of what is in it.
    pub content: u64,
    /// What it says of itself.
    #[serde(flatten)]
    pub head: Head,
    /// For how long the datastore stood still, in milliseconds; `None` for a cluster that doesn't run.
    pub paused_ms: Option<f64>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
}

impl Host {
    /// Saves a cluster, as it is at one moment: into that file, into that directory by its name and the time, or among the
    /// snapshots of its base directory. A cluster that runs goes on; its datastore stands still while it is copied.
    ///
    /// # Errors
    /// See [`HostError`]. There is no new file then, and none that was there is changed.
    pub fn save(&self, cluster: &Cluster, to: Option<&Path>) -> Result<Saved, HostError> {
        let begun = Instant::now();
        need_root("snapshot save")?;
        let root = cluster.root();
        let state = root.open_existing()?;
        let boot = cluster.boot_in_force().map_err(|_| HostError::NeverBooted(cluster.call.clone()))?;
        let Some(component) = boot.slots.get(roles::DATASTORE).filter(|_| !state.removing) else {
            return Err(HostError::NeverBooted(cluster.call.clone()));
        };
        let interrupts = Interrupts::take_over().map_err(HostError::io("signals can't be handled"))?;
        let busy = || HostError::Busy { call: cluster.call.clone(), with: "snapshot save" };
        let staging = Staging::begin(root)?.ok_or_else(busy)?;
        let copied = match lock::share(root)? {
            Some(_stopped) => {
                snapshot::stage(root, &root.directories_of(component)?, None)?;
                Copied { component: component.clone(), version: self.version(component), paused_us: 0 }
            }
            None => {
                let order = Request::CopyState { role: roles::DATASTORE.into() };
                match Client::connect(root, ANSWER)?.ask_in_turn(&order, IN_TURN)? {
                    Reply::Copied { copied } => copied,
                    _ => return Err(busy()),
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
        let place = Place::of(to, root.base())?;
        let path = snapshot::target(&place.path, &head)?;
        let written = snapshot::write(&staging.path(), head.clone(), &path, &|| !interrupts.any())?;
        let written = written.ok_or(HostError::Interrupted)?;
        place.keep();
        Ok(Saved {
            path,
            size: written.size,
            content: written.content,
            head,
            paused_ms: (copied.paused_us > 0).then_some(copied.paused_us as f64 / 1000.0),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// The version of a component, as far as it is known here.
    fn version(&self, component: &str) -> String {
        let mut all = self.registry.components.iter();
        all.find(|known| known.name() == component).map_or_else(|| "unknown".into(), |known| known.version.clone())
    }
}

/// Where snapshots go. A directory that was made for the first of them goes again where that comes to nothing.
struct Place {
    path: PathBuf,
    is_new: bool,
}

impl Place {
    fn of(to: Option<&Path>, base: &Path) -> Result<Self, HostError> {
        let Some(to) = to else {
            let path = root::snapshots(base);
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

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_new {
            // One that isn't empty is somebody else's by now.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
