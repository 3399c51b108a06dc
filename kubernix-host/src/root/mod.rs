//! A cluster's root directory: where each thing lies in it, which version made it, and how it goes away.
//!
//! All that a cluster leaves on disk lies here, so that removing this directory removes it all. Knows paths and files, must
//! not know what components write into theirs, nor anything of processes and mounts of a running cluster.

mod environment;
mod error;
mod managed;
mod remove;
mod state;
mod write;

pub use environment::Environment;
pub use error::Error;
pub use managed::{Written, write_managed};
pub use state::{FORMAT, State};
pub use write::write_atomic;

use crate::spec::Settings;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file that makes a directory a cluster's.
const STATE_FILE: &str = "state.json";

/// A cluster's root directory. Only a path: whether there is a cluster is asked by [`Root::open_existing`].
///
/// ```text
/// state.json      the format's version and what can't change: makes the directory a cluster's
/// kubernix.toml   the settings as applied
/// kubernix.env    for shells: `. kubernix.env`
/// lock            held by whoever changes the cluster
/// events.jsonl    the timeline
/// managed.json    hashes of the files that KuberNix wrote, to notice edits
/// pki/  kubeconfig/  images/  run/control.sock
/// control/COMPONENT/  nodes/NODE/COMPONENT/
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root(PathBuf);

impl Root {
    /// The root directory of the cluster of this name, below a base directory.
    pub fn new(base: impl AsRef<Path>, name: &str) -> Self {
        Self(base.as_ref().join(name))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The name of the directory, which is the cluster's.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The directory of all kubeconfigs.
    pub fn kubeconfigs(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// A user's kubeconfig: `kubeconfig/admin.kubeconfig`.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.kubeconfigs().join(format!("{user}.kubeconfig"))
    }

    /// The directory of a component of the control plane.
    pub fn control(&self, component: &str) -> PathBuf {
        self.0.join("control").join(component)
    }

    /// The directory of a node.
    pub fn node(&self, node: &str) -> PathBuf {
        self.0.join("nodes").join(node)
    }

    /// The directory of a component on a node.
    pub fn node_component(&self, node: &str, component: &str) -> PathBuf {
        self.node(node).join(component)
    }

    /// The record of all boots, one JSON object a line.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// The settings as applied, TOML.
    pub fn spec_file(&self) -> PathBuf {
        self.0.join("kubernix.toml")
    }

    /// The file whose lock is held by whoever changes the cluster.
    pub fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// What a shell sources to reach the cluster, see [`Environment`].
    pub fn env_file(&self) -> PathBuf {
        self.0.join("kubernix.env")
    }

    /// The ledger for [`write_managed`].
    pub fn managed_file(&self) -> PathBuf {
        self.0.join("managed.json")
    }

    /// Sockets and other things of a running cluster.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The unix socket at which a running cluster takes requests. Whoever binds it checks its length.
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Archives and stores of images that nodes share.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// Makes the directory (0700, and the base above it) and its `state.json`; opens it where it is a cluster's already.
    ///
    /// # Errors
    /// Something that isn't a cluster's lies there, a newer version made it, or it can't be written.
    pub fn create(&self) -> Result<State, Error> {
        if let Some(base) = self.0.parent() {
            fs::create_dir_all(base).map_err(|cause| Error::io("make the directory", base, cause))?;
        }
        let made = match DirBuilder::new().mode(0o700).create(&self.0) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(cause) => return Err(Error::io("make the directory", &self.0, cause)),
        };
        if !made {
            match self.open_existing() {
                Err(Error::NotACluster { .. }) if self.0.is_dir() && self.is_empty()? => {
                    let private = fs::set_permissions(&self.0, Permissions::from_mode(0o700));
                    private.map_err(|cause| Error::io("change the mode of", &self.0, cause))?;
                }
                opened => return opened,
            }
        }
        let state = State::new(self.name());
        state.write(&self.state_file()).inspect_err(|_| {
            if made {
                // Best effort: it is empty, and the error that is reported says what happened.
                let _ = fs::remove_dir(&self.0);
            }
        })?;
        Ok(state)
    }

    /// Reads what a cluster's directory says of itself.
    ///
    /// # Errors
    /// There is no such directory ([`Error::Missing`]), it isn't a cluster's ([`Error::NotACluster`]), a newer version made
    /// it ([`Error::NewerFormat`]), or it can't be read.
    pub fn open_existing(&self) -> Result<State, Error> {
        match fs::metadata(&self.0) {
            Ok(found) if !found.is_dir() => return Err(Error::NotACluster { path: self.0.clone() }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Missing { path: self.0.clone() }),
            Err(cause) => return Err(Error::io("read", &self.0, cause)),
        }
        State::read(&self.state_file())
    }

    /// Saves the settings as applied, and with the first of them what can't change any more. `true` if the file changed.
    ///
    /// # Errors
    /// The cluster has another CIDR, or the files can't be written.
    pub fn save_spec(&self, settings: &Settings) -> Result<bool, Error> {
        let mut state = self.open_existing()?;
        match state.cidr {
            Some(made) if made != settings.cidr => {
                return Err(Error::OtherCidr { path: self.0.clone(), made, wanted: settings.cidr });
            }
            Some(_) => {}
            None => {
                state.cidr = Some(settings.cidr);
                state.write(&self.state_file())?;
            }
        }
        write_atomic(&self.spec_file(), settings.to_toml().as_bytes(), 0o600)
    }

    /// Writes `kubernix.env`. `true` if the file changed.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save_environment(&self, environment: &Environment) -> Result<bool, Error> {
        write_atomic(&self.env_file(), environment.render().as_bytes(), 0o600)
    }

    /// Removes the directory and all that is in it. Never follows a symbolic link, never enters another file system or
    /// mount; goes on past errors. `state.json` goes last, so that what failed can be tried again.
    ///
    /// # Errors
    /// It isn't a cluster's directory or a newer version's (nothing was touched then), or [`Error::Remove`] with all that
    /// couldn't be removed.
    pub fn remove(&self) -> Result<(), Error> {
        self.open_existing()?;
        remove::remove(&self.0, STATE_FILE)
    }

    fn state_file(&self) -> PathBuf {
        self.0.join(STATE_FILE)
    }

    /// Whether nothing lies in the directory but what a broken-off [`Root::create`] leaves.
    fn is_empty(&self) -> Result<bool, Error> {
        let unreadable = |cause| Error::io("read", &self.0, cause);
        for entry in fs::read_dir(&self.0).map_err(unreadable)? {
            if !write::is_temporary(&entry.map_err(unreadable)?.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// All clusters below a base directory, by name; those that a newer version made as well. None where there is no base.
///
/// # Errors
/// The base can't be read.
pub fn list(base: &Path) -> Result<Vec<(String, Root)>, Error> {
    let unreadable = |cause| Error::io("read", base, cause);
    let entries = match fs::read_dir(base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let root = Root(entry.map_err(unreadable)?.path());
        if root.state_file().is_file() {
            found.push((root.name(), root));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
