//! A cluster's root directory: where each thing lies in it, which version made it, and how it goes away.
//!
//! All that a cluster leaves on disk lies here, so that removing this directory removes it all. Knows paths and files, must
//! not know what components write into theirs, nor anything of processes and mounts of a running cluster.

mod allotment;
mod batch;
mod cluster_file;
mod environment;
mod error;
mod id;
mod inside;
mod json;
mod made;
mod managed;
mod place;
mod remove;
mod rename;
mod standing;
mod state;
mod transfer;
mod write;

pub use allotment::{Allotment, AllottedNode, index_of};
pub use batch::Batch;
pub use cluster_file::ClusterFile;
pub use environment::Environment;
pub use error::Error;
pub use id::ClusterId;
pub use kubernix_plugins::DIRECTORY as PLUGINS;
pub use kubernix_sandbox::INSIDE;
pub use made::Made;
pub use managed::{Written, write_managed};
pub(crate) use place::free_bytes;
pub use standing::Standing;
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

/// The path of a cluster's root directory, on the host or in a sandbox (see [`Root::inside`]). [`Root::open_existing`] tells
/// whether there is a cluster at it. A process that changes the cluster holds a lock of the directory itself, which exists for
/// as long as any file in it.
///
/// ```text
/// state.json      the format's version and what can't change: makes the directory a cluster's
/// removing.json   the same, of a cluster whose removal has begun
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
    /// The root directory of the cluster of this name, below a base directory. From here on the base is known by its real path,
    /// without links and `..`: inside of a sandbox, where places are replaced, a link may lead elsewhere.
    pub fn new(base: impl AsRef<Path>, name: &str) -> Self {
        Self(ClusterDir::at(place::canonical(base.as_ref()).join(name)))
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
    pub fn spec_file(&self) -> PathBuf {
        self.path().join("kubernix.toml")
    }

    /// What a shell sources to reach the cluster, see [`Environment`].
    pub fn env_file(&self) -> PathBuf {
        self.path().join("kubernix.env")
    }

    /// Begins the ledger of written files anew where it is damaged or lost. Returns a warning then. The
    /// caller holds the lock.
    ///
    /// # Errors
    /// It can't be read or written.
    pub fn mend_ledger(&self) -> Result<Option<String>, Error> {
        managed::mend(&self.managed_file(), self.was_booted())
    }

    /// Whether a boot got as far as to save its settings.
    pub fn was_booted(&self) -> bool {
        self.env_file().exists()
    }

    /// The ledger for [`write_managed`].
    pub fn managed_file(&self) -> PathBuf {
        self.path().join("managed.json")
    }

    /// What is `/etc/resolv.conf` to pods and inside of the sandbox.
    pub fn resolv_conf(&self) -> PathBuf {
        self.path().join("resolv.conf")
    }

    /// Archives and stores of images that nodes share.
    pub fn images(&self) -> PathBuf {
        self.path().join("images")
    }

    /// What was applied to the Kubernetes API for components.
    pub fn applied(&self) -> PathBuf {
        self.path().join("applied.json")
    }

    /// Makes the directory (0700) and the base above it, where they aren't there yet.
    ///
    /// # Errors
    /// Something else lies there, or it can't be written.
    pub fn make(&self) -> Result<Made, Error> {
        match self.open_existing() {
            Err(error @ (Error::NotACluster { .. } | Error::Link { .. })) => Err(error),
            _ => Made::directory(self.path()),
        }
    }

    /// Makes the directory and its `state.json`; opens it where it is a cluster's already. Of a cluster whose removal was
    /// broken off the rest is removed first. Whoever else may be at it, the caller holds the lock.
    ///
    /// # Errors
    /// Something that isn't a cluster's lies there, a newer version made it, or it can't be written.
    pub fn create(&self) -> Result<State, Error> {
        let made = self.make()?;
        let removing = match self.open_existing() {
            Ok(state) if state.removing => true,
            Err(Error::Missing { .. }) => false,
            opened => return opened,
        };
        let created = (|| {
            self.empty_and_close(removing)?;
            let state = self.identified(State::new(self.name()))?;
            state.write(&self.state_file())?;
            Ok(state)
        })();
        match created {
            Err(error) => {
                made.undo();
                Err(error)
            }
            Ok(state) => {
                // Of the two, state.json counts.
                if removing {
                    let _ = fs::remove_file(self.removing_file());
                }
                Ok(state)
            }
        }
    }

    /// Takes other users' rights to a directory that is to be filled away, and what a broken-off removal left in it.
    fn empty_and_close(&self, removing: bool) -> Result<(), Error> {
        if removing {
            remove::empty(self.path(), &[REMOVING_FILE])?;
        }
        let private = fs::set_permissions(self.path(), Permissions::from_mode(0o700));
        private.map_err(|cause| Error::io("change the mode of", self.path(), cause))
    }

    /// Reads what a cluster's directory says of itself. An empty directory is nobody's.
    ///
    /// # Errors
    /// There is no such directory ([`Error::Missing`]), it isn't a cluster's ([`Error::NotACluster`], [`Error::Link`]), a newer
    /// version made it ([`Error::NewerFormat`]), or it can't be read.
    pub fn open_existing(&self) -> Result<State, Error> {
        let path = || self.path().to_owned();
        let inode = match fs::symlink_metadata(self.path()) {
            Ok(found) if found.is_symlink() => return Err(Error::Link { path: path() }),
            Ok(found) if !found.is_dir() => return Err(Error::NotACluster { path: path() }),
            Ok(found) => found.ino(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Missing { path: path() }),
            Err(cause) => return Err(Error::io("read", self.path(), cause)),
        };
        // In this order: a removal that begins meanwhile is seen by the one name or the other.
        for (file, removing) in [(self.state_file(), false), (self.removing_file(), true)] {
            if let Some(state) = State::read(&file)? {
                return Ok(state.seen_in(self.label(), inode, removing));
            }
        }
        Err(if self.is_empty()? { Error::Missing { path: path() } } else { Error::NotACluster { path: path() } })
    }

    /// Notes the CIDR with the first settings that are saved: it can't change any more.
    ///
    /// # Errors
    /// The cluster has another CIDR, or the file can't be written.
    pub fn fix_cidr(&self, cidr: Ipv4Net) -> Result<(), Error> {
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

    /// Sees to it that the cluster has an ID of its own, as one that an older version made hasn't, nor a copy of another cluster's
    /// directory. The caller holds the lock.
    ///
    /// # Errors
    /// It isn't a cluster's directory, or the ID can't be saved.
    pub fn identify(&self) -> Result<State, Error> {
        let state = self.open_existing()?;
        let identified = self.identified(state.clone())?;
        if identified != state {
            identified.write(&self.state_file())?;
        }
        Ok(identified)
    }

    /// The state with an ID, and with the directory that has it.
    fn identified(&self, mut state: State) -> Result<State, Error> {
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

    /// Removes the directory and all that is in it. Never follows a symbolic link, never enters another file system or
    /// mount; goes on past errors. First the cluster is marked as being removed, last goes that mark: whatever breaks this off,
    /// it can be tried again, and nobody takes what is left for a cluster. The caller holds the lock, which is the directory's
    /// own and so lasts as long.
    ///
    /// # Errors
    /// It isn't a cluster's directory (nothing was touched then), or [`Error::Remove`] with all that couldn't be removed.
    pub fn remove(&self) -> Result<(), Error> {
        self.remove_carried(false)
    }

    /// As [`Root::remove`]. `is_carried`: processes of this cluster ran a moment ago, so what is there is what they wrote, even
    /// where nothing else tells that it is a cluster's.
    ///
    /// # Errors
    /// As [`Root::remove`].
    pub fn remove_carried(&self, is_carried: bool) -> Result<(), Error> {
        // Also what is damaged or a newer version's: a removal needs nothing from it, and it is the only way out.
        self.standing(is_carried)?;
        self.mark_removing()?;
        remove::remove(self.path(), REMOVING_FILE)
    }

    /// From here on what is in the directory is nothing to go on with.
    fn mark_removing(&self) -> Result<(), Error> {
        // A rename, which works on a full disk as well.
        match fs::rename(self.state_file(), self.removing_file()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => self.mark_rest()?,
            Err(cause) => return Err(Error::io("rename", &self.state_file(), cause)),
        }
        // Before anything is removed: after a power loss the rest must not pass for a whole cluster.
        write::sync(self.path(), &self.removing_file())
    }

    /// A rest without a mark is recognised by what is in it; once some of that is gone, by this.
    fn mark_rest(&self) -> Result<(), Error> {
        match fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.removing_file()) {
            Err(error) if error.kind() != ErrorKind::StorageFull => {
                Err(Error::io("write", &self.removing_file(), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the directories of nodes that the cluster doesn't have any more: a later node of the same name begins anew.
    ///
    /// # Errors
    /// One can't be removed.
    pub fn forget_other_nodes(&self, allotment: &Allotment) -> Result<(), Error> {
        for directory in self.node_directories()? {
            if !allotment.nodes.iter().any(|node| directory.file_name() == Some(OsStr::new(&node.name))) {
                fs::remove_dir_all(&directory).map_err(|cause| Error::io("remove", &directory, cause))?;
            }
        }
        Ok(())
    }

    /// What lies where the nodes' directories do; nothing before the first boot.
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

    /// Whether nothing lies in the directory but what a broken-off [`Root::create`] leaves.
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

/// All clusters below a base directory, by name; those that are damaged, or that a newer version made, as well. None where there is
/// no base.
///
/// # Errors
/// The base can't be read.
pub fn list(base: &Path) -> Result<Vec<(String, Root)>, Error> {
    let base = place::canonical(base);
    let unreadable = |cause| Error::io("read", &base, cause);
    let entries = match fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let (mut found, mut closed) = (Vec::new(), 0);
    for entry in entries {
        let root = Root(ClusterDir::at(base.join(entry.map_err(unreadable)?.file_name())));
        let is_directory = fs::symlink_metadata(root.path()).is_ok_and(|found| found.is_dir());
        if is_directory && fs::metadata(root.state_file()).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied) {
            closed += 1;
        }
        if is_directory && root.standing(false).is_ok() {
            found.push((root.name(), root));
        }
    }
    if closed > 0 {
        log::warn!(
            "{closed} of the directories in `{}` are closed to this user: run as their owner to see which are clusters",
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
