//! The path of a cluster's root directory, and the files in it that keeper and init share.
//!
//! Must not know the contents of a cluster's files, nor how the directory is created and removed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// The path of the cluster's root directory in every sandbox. It is short because paths of sockets
/// below it are limited to 107 bytes. It lies below `/var/lib`, which is an overlay of the sandbox
/// and the same in the nodes.
pub const INSIDE: &str = "/var/lib/kubernix-cluster";
/// The file that marks a directory as a cluster's root directory.
pub const STATE_FILE: &str = "state.json";
/// The state file's name once the removal of the cluster has begun.
pub const REMOVING_FILE: &str = "removing.json";

/// The path of a cluster's root directory, on the host or in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// The root directory at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The open directory `directory` of this process, even if it was renamed. Valid while the
    /// descriptor is open.
    pub fn of_descriptor(directory: &impl AsFd) -> Self {
        // The trailing dot resolves the link: the path is the directory, not the link to it.
        Self(format!("/proc/self/fd/{}/.", directory.as_fd().as_raw_fd()).into())
    }

    /// The open directory `directory` of this process, by its current path on the host. The path
    /// may be another directory in the mount namespace of this process.
    ///
    /// # Errors
    /// `/proc` isn't mounted.
    pub fn on_host(directory: &impl AsFd) -> io::Result<Self> {
        fs::read_link(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd())).map(Self)
    }

    /// The base directory, which contains the root directories of several clusters.
    pub fn base(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The name of the directory, which is the name of the cluster.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The directory of sockets and other files of a running cluster.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The unix socket on which a running cluster accepts requests. The process that binds it
    /// checks the path's length.
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Whether the cluster was removed or is being removed: the directory is missing, empty, or
    /// marked as being removed.
    pub fn is_removed(&self) -> bool {
        let has = |file| fs::symlink_metadata(self.0.join(file)).is_ok();
        // In this order: a removal renames the first file to the second, so one of the two checks
        // sees it.
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
    fn a_directory_is_removed_from_its_mark_on() {
        let base = tempfile::tempdir().unwrap();
        let directory = ClusterDir::at(base.path().join("one"));
        assert!(directory.is_removed(), "there is none");
        fs::create_dir(directory.path()).unwrap();
        assert!(directory.is_removed(), "it is empty");
        fs::write(directory.path().join("data"), "").unwrap();
        assert!(!directory.is_removed(), "a damaged directory may be a cluster's");
        fs::write(directory.path().join(REMOVING_FILE), "").unwrap();
        assert!(directory.is_removed());
        fs::write(directory.path().join(STATE_FILE), "").unwrap();
        assert!(!directory.is_removed(), "state.json takes precedence");
    }
}
