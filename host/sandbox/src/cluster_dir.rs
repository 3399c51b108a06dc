//! A cluster's root directory, as far as the sandbox has to know it: its path, and the files that
//! keeper and init share.
//!
//! Must not know what the files of a cluster say, nor how the directory is made and removed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// Where every sandbox sees its cluster's root directory. Short: sockets lie below it, whose paths
/// have at most 107 bytes. Below `/var/lib`, which is an overlay of the sandbox's own, and which
/// nodes see as their sandbox does.
pub const INSIDE: &str = "/var/lib/kubernix-cluster";
/// The file that makes a directory a cluster's.
pub const STATE_FILE: &str = "state.json";
/// Its name from the moment that the cluster's removal begins.
pub const REMOVING_FILE: &str = "removing.json";

/// The path of a cluster's root directory, on the host or in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// The directory of this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory that is open in this process as `directory`, whatever it is called by now.
    /// Only for as long as it is open.
    pub fn of_descriptor(directory: &impl AsFd) -> Self {
        // The dot behind it: the link itself is none of the directory's.
        Self(format!("/proc/self/fd/{}/.", directory.as_fd().as_raw_fd()).into())
    }

    /// The directory that is open in this process as `directory`, by the path that it has on the
    /// host now: also where that path leads elsewhere in the mount namespace of this process.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn on_host(directory: &impl AsFd) -> io::Result<Self> {
        fs::read_link(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd())).map(Self)
    }

    /// The base directory, which all clusters of it share.
    pub fn base(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The name of the directory, which is the cluster's.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Sockets and other things of a running cluster.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The unix socket at which a running cluster takes requests. The process that binds it checks
    /// its length.
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Whether the cluster is gone, or its removal has begun: the directory is missing or empty, or
    /// has the mark of a removal.
    pub fn is_removed(&self) -> bool {
        let has = |file| fs::symlink_metadata(self.0.join(file)).is_ok();
        // In this order: a removal that begins meanwhile is seen by the one name or the other.
        if has(STATE_FILE) {
            return false;
        }
        if has(REMOVING_FILE) {
            return true;
        }
        match fs::read_dir(&self.0) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_is_seen_from_its_mark_to_the_end() {
        let base = tempfile::tempdir().unwrap();
        let directory = ClusterDir::at(base.path().join("one"));
        assert!(directory.is_removed(), "there is none");
        fs::create_dir(directory.path()).unwrap();
        assert!(directory.is_removed(), "it is empty");
        fs::write(directory.path().join("data"), "").unwrap();
        assert!(!directory.is_removed(), "what is damaged may be a cluster");
        fs::write(directory.path().join(REMOVING_FILE), "").unwrap();
        assert!(directory.is_removed());
        fs::write(directory.path().join(STATE_FILE), "").unwrap();
        assert!(!directory.is_removed(), "of the two, state.json counts");
    }
}
