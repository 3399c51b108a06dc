//! A cluster's root directory: its layout, its format version, its creation and its removal.
//!
//! Everything that a cluster leaves on disk is in this directory, so removing it removes
//! everything. Knows paths and files. Must not know what components write into their directories,
//! nor processes and mounts of a running cluster.

mod allotment;
mod batch;
mod cluster_file;
mod created_dirs;
mod environment;
mod error;
mod id;
mod inside;
mod integrity;
mod json;
mod managed;
mod paths;
mod remove;
mod rename;
mod state;
mod transfer;
mod write;

pub use allotment::{Allotment, AllottedNode, index_of};
pub use batch::Batch;
pub use cluster_file::ClusterFile;
pub use created_dirs::CreatedDirs;
pub use environment::Environment;
pub use error::Error;
pub use id::ClusterId;
pub use integrity::Integrity;
pub use kubernix_plugins::DIRECTORY as PLUGINS;
pub use kubernix_sandbox::INSIDE;
pub use managed::{Written, write_managed};
pub(crate) use paths::free_bytes;
pub use state::{FORMAT, State};
pub use transfer::snapshots;
pub use write::{is_temporary, write_atomic, write_durable};

use ipnet::Ipv4Net;
use kubernix_sandbox::{ClusterDir, REMOVING_FILE, STATE_FILE};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The path of a cluster's root directory, on the host or in a sandbox (see [`Root::inside`]).
/// [`Root::open_existing`] checks whether a cluster exists there. A process that changes the
/// cluster holds a lock on the directory itself, which exists as long as any file in it.
///
/// ```text
/// state.json      the format's version and what can't change: marks a cluster's root directory
/// removing.json   the same, if the cluster's removal has begun
/// cluster.json    the state in force: settings, nodes, what the init boots from
/// kubernix.toml   a view of it: the settings as applied
/// allotted.json   a view of it: the nodes
/// kubernix.env    a view of it, for shells: `. kubernix.env`
/// events.jsonl    the timeline
/// managed.json    hashes of the files that KuberNix wrote, to notice edits
/// pki/  kubeconfig/  images/  run/control.sock
/// control/COMPONENT/  nodes/NODE/COMPONENT/
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root(ClusterDir);

/// The sandbox knows a root directory as its path alone.
impl Deref for Root {
    type Target = ClusterDir;

    fn deref(&self) -> &ClusterDir {
        &self.0
    }
}

impl From<ClusterDir> for Root {
    fn from(directory: ClusterDir) -> Self {
        Self(directory)
    }
}

impl Root {
    /// The root directory of the cluster of this name, below a base directory. Resolves links and
    /// `..` in the base: inside a sandbox, which mounts directories of its own, a link may lead
    /// elsewhere.
    pub fn new(base: impl AsRef<Path>, name: &str) -> Self {
        Self(ClusterDir::at(paths::canonical(base.as_ref()).join(name)))
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.path().join("pki")
    }

    /// The directory of all kubeconfigs.
    pub fn kubeconfigs(&self) -> PathBuf {
        self.path().join("kubeconfig")
    }

    /// A user's kubeconfig: `kubeconfig/admin.kubeconfig`.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.kubeconfigs().join(format!("{user}.kubeconfig"))
    }

    /// The directory of a component of the control plane.
    pub fn control(&self, component: &str) -> PathBuf {
        self.path().join("control").join(component)
    }

    /// The directory of a node.
    pub fn node(&self, node: &str) -> PathBuf {
        self.path().join("nodes").join(node)
    }

    /// The directory of a component on a node.
    pub fn node_component(&self, node: &str, component: &str) -> PathBuf {
        self.node(node).join(component)
    }

    /// The record of all boots, one JSON object a line.
    pub fn events(&self) -> PathBuf {
        self.path().join("events.jsonl")
    }

    /// The settings as applied, TOML.
    pub fn settings_file(&self) -> PathBuf {
        self.path().join("kubernix.toml")
    }

    /// What a shell sources to reach the cluster, see [`Environment`].
    pub fn env_file(&self) -> PathBuf {
        self.path().join("kubernix.env")
    }

    /// Replaces the ledger of written files by an empty one if it is damaged or missing. Returns a
    /// warning then. The caller holds the lock.
    ///
    /// # Errors
    /// It can't be read or written.
    pub fn repair_ledger(&self) -> Result<Option<String>, Error> {
        managed::repair(&self.managed_file(), self.was_booted())
    }

    /// Whether a boot has saved its settings.
    pub fn was_booted(&self) -> bool {
        self.env_file().exists()
    }

    /// The ledger for [`write_managed`].
    pub fn managed_file(&self) -> PathBuf {
        self.path().join("managed.json")
    }

    /// The file that is `/etc/resolv.conf` of pods and in the sandbox.
    pub fn resolv_conf(&self) -> PathBuf {
        self.path().join("resolv.conf")
    }

    /// Archives and stores of images, shared by all nodes.
    pub fn images(&self) -> PathBuf {
        self.path().join("images")
    }

    /// The record of objects that were applied to the Kubernetes API for components.
    pub fn applied(&self) -> PathBuf {
        self.path().join("applied.json")
    }

    /// Creates the directory (0700) and the base directory, if they don't exist. Returns the new
    /// ones.
    ///
    /// # Errors
    /// A file or a link exists there, the directory isn't a cluster's, or it can't be written.
    pub fn create_directory(&self) -> Result<CreatedDirs, Error> {
        match self.open_existing() {
            Err(error @ (Error::NotACluster { .. } | Error::Link { .. })) => Err(error),
            _ => CreatedDirs::create(self.path()),
        }
    }

    /// Creates the directory and its `state.json`, or opens an existing cluster's. Completes an
    /// interrupted removal first. The caller holds the lock.
    ///
    /// # Errors
    /// The directory isn't a cluster's, a newer version made it, or it can't be written.
    pub fn create(&self) -> Result<State, Error> {
        let made = self.create_directory()?;
        let removing = match self.open_existing() {
            Ok(state) if state.removing => true,
            Err(Error::Missing { .. }) => false,
            opened => return opened,
        };
        let created = (|| {
            self.empty_and_restrict(removing)?;
            let state = self.with_id(State::new(self.name()))?;
            state.write(&self.state_file())?;
            Ok(state)
        })();
        match created {
            Err(error) => {
                made.undo();
                Err(error)
            }
            Ok(state) => {
                // If both files exist, state.json counts.
                if removing {
                    let _ = fs::remove_file(self.removing_file());
                }
                Ok(state)
            }
        }
    }

    /// Removes other users' permissions on the directory, and files that an interrupted removal
    /// left in it.
    fn empty_and_restrict(&self, removing: bool) -> Result<(), Error> {
        if removing {
            remove::empty(self.path(), &[REMOVING_FILE])?;
        }
        let private = fs::set_permissions(self.path(), Permissions::from_mode(0o700));
        private.map_err(|cause| Error::io("change the mode of", self.path(), cause))
    }

    /// Reads `state.json` or `removing.json`.
    ///
    /// # Errors
    /// The directory doesn't exist or is empty ([`Error::Missing`]), it isn't a cluster's
    /// ([`Error::NotACluster`], [`Error::Link`]), a newer version made it ([`Error::NewerFormat`]),
    /// or it can't be read.
    pub fn open_existing(&self) -> Result<State, Error> {
        let path = || self.path().to_owned();
        let inode = match fs::symlink_metadata(self.path()) {
            Ok(found) if found.is_symlink() => return Err(Error::Link { path: path() }),
            Ok(found) if !found.is_dir() => return Err(Error::NotACluster { path: path() }),
            Ok(found) => found.ino(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Missing { path: path() }),
            Err(cause) => return Err(Error::io("read", self.path(), cause)),
        };
        // In this order: if a removal renames the file meanwhile, it is found by the second name.
        for (file, removing) in [(self.state_file(), false), (self.removing_file(), true)] {
            if let Some(state) = State::read(&file)? {
                return Ok(state.in_directory(self.label(), inode, removing));
            }
        }
        Err(if self.is_empty()? { Error::Missing { path: path() } } else { Error::NotACluster { path: path() } })
    }

    /// Records the CIDR of the first saved settings, which can't change any more.
    ///
    /// # Errors
    /// The cluster has another CIDR, or the file can't be written.
    pub fn record_cidr(&self, cidr: Ipv4Net) -> Result<(), Error> {
        let mut state = self.open_existing()?;
        match state.cidr {
            Some(made) if made != cidr => Err(Error::OtherCidr { path: self.path().to_owned(), made, wanted: cidr }),
            Some(_) => Ok(()),
            None => {
                state.cidr = Some(cidr);
                state.write(&self.state_file())
            }
        }
    }

    /// Gives the cluster an ID if it has none: a cluster of an older version, or a copy of another
    /// cluster's directory. The caller holds the lock.
    ///
    /// # Errors
    /// It isn't a cluster's directory, or the ID can't be saved.
    pub fn ensure_id(&self) -> Result<State, Error> {
        let state = self.open_existing()?;
        let identified = self.with_id(state.clone())?;
        if identified != state {
            identified.write(&self.state_file())?;
        }
        Ok(identified)
    }

    /// The state with an ID, and with the inode of its directory.
    fn with_id(&self, mut state: State) -> Result<State, Error> {
        let failed = |cause| Error::io("read", self.path(), cause);
        state.inode = Some(fs::metadata(self.path()).map_err(failed)?.ino());
        if state.id.is_none() {
            let made = ClusterId::random();
            state.id = Some(made.map_err(|cause| Error::io("read", Path::new("/dev/urandom"), cause))?);
        }
        Ok(state)
    }

    /// Writes `kubernix.env`. `true` if the file changed.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save_environment(&self, environment: &Environment) -> Result<bool, Error> {
        write_atomic(&self.env_file(), environment.render().as_bytes(), 0o600)
    }

    /// Removes the directory with its content. Never follows a symbolic link, never enters another
    /// file system or mount, and continues after errors. Marks the cluster as being removed first,
    /// and removes that mark last: an interrupted removal can be repeated, and no command boots
    /// from an incomplete directory. The caller holds the lock, which is on the directory itself
    /// and lasts as long.
    ///
    /// # Errors
    /// It isn't a cluster's directory (nothing was touched then), or [`Error::Remove`] with all
    /// files that couldn't be removed.
    pub fn remove(&self) -> Result<(), Error> {
        self.remove_carried(false)
    }

    /// As [`Root::remove`]. `is_carried`: processes of this cluster ran a moment ago. Its files are
    /// theirs then, even if the directory has no state file.
    ///
    /// # Errors
    /// As [`Root::remove`].
    pub fn remove_carried(&self, is_carried: bool) -> Result<(), Error> {
        // Accepts damaged directories, and those of newer versions: a removal needs no content of
        // them, and is the only way out.
        self.integrity(is_carried)?;
        self.mark_removing()?;
        remove::remove(self.path(), REMOVING_FILE)
    }

    /// Marks the cluster as being removed.
    fn mark_removing(&self) -> Result<(), Error> {
        // A rename works on a full disk too.
        match fs::rename(self.state_file(), self.removing_file()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => self.create_removal_mark()?,
            Err(cause) => return Err(Error::io("rename", &self.state_file(), cause)),
        }
        // Synced before anything is removed: after a power loss, an incomplete directory must have
        // the mark.
        write::sync(self.path(), &self.removing_file())
    }

    /// Creates the mark in a directory without a state file. So far it was recognised by its
    /// content, which is being removed now.
    fn create_removal_mark(&self) -> Result<(), Error> {
        match fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.removing_file()) {
            Err(error) if error.kind() != ErrorKind::StorageFull => {
                Err(Error::io("write", &self.removing_file(), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the directories of nodes that aren't in the allotment. A later node of the same name
    /// begins without data.
    ///
    /// # Errors
    /// One can't be removed.
    pub fn remove_other_nodes(&self, allotment: &Allotment) -> Result<(), Error> {
        for directory in self.node_directories()? {
            if !allotment.nodes.iter().any(|node| directory.file_name() == Some(OsStr::new(&node.name))) {
                fs::remove_dir_all(&directory).map_err(|cause| Error::io("remove", &directory, cause))?;
            }
        }
        Ok(())
    }

    /// The directories of nodes. Empty before the first boot.
    fn node_directories(&self) -> Result<Vec<PathBuf>, Error> {
        let nodes = self.path().join("nodes");
        match fs::read_dir(&nodes) {
            Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(cause) => Err(Error::io("read", &nodes, cause)),
        }
    }

    fn state_file(&self) -> PathBuf {
        self.path().join(STATE_FILE)
    }

    fn removing_file(&self) -> PathBuf {
        self.path().join(REMOVING_FILE)
    }

    /// Whether the directory is empty, except for temporary files of an interrupted
    /// [`Root::create`].
    fn is_empty(&self) -> Result<bool, Error> {
        let unreadable = |cause| Error::io("read", self.path(), cause);
        for entry in fs::read_dir(self.path()).map_err(unreadable)? {
            if !write::is_temporary(&entry.map_err(unreadable)?.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// All clusters below a base directory, by name. Includes damaged clusters, and those of newer
/// versions. Empty if the base doesn't exist.
///
/// # Errors
/// The base can't be read.
pub fn list(base: &Path) -> Result<Vec<(String, Root)>, Error> {
    let base = paths::canonical(base);
    let unreadable = |cause| Error::io("read", &base, cause);
    let entries = match fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let (mut found, mut unreadable_count) = (Vec::new(), 0);
    for entry in entries {
        let root = Root(ClusterDir::at(base.join(entry.map_err(unreadable)?.file_name())));
        let is_directory = fs::symlink_metadata(root.path()).is_ok_and(|found| found.is_dir());
        if is_directory && fs::metadata(root.state_file()).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied) {
            unreadable_count += 1;
        }
        if is_directory && root.integrity(false).is_ok() {
            found.push((root.name(), root));
        }
    }
    if unreadable_count > 0 {
        log::warn!(
            "{unreadable_count} of the directories in `{}` aren't readable by this user: \
             run as their owner to see which are clusters",
            base.display()
        );
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod managed_tests;
#[cfg(test)]
mod tests;
