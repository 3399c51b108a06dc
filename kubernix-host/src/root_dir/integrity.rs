//! Whether a path is a cluster's root directory, intact, damaged, of a newer version, or partly
//! removed.

use super::{Error, REMOVING_FILE, Root, STATE_FILE, State, write};
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// All file names at the top of a cluster's root directory, of this version and of earlier ones.
const NAMES: &[&str] = &[
    STATE_FILE,
    REMOVING_FILE,
    "allotted.json",
    "applied.json",
    "cluster.json",
    "control",
    "events.jsonl",
    "images",
    "kubeconfig",
    "kubernix.env",
    "kubernix.toml",
    "managed.json",
    "nodes",
    "pki",
    "plugins",
    "resolv.conf",
    "run",
    "shared",
];

/// The integrity of a root directory.
#[derive(Debug)]
pub enum Integrity {
    /// Every command works with it.
    Intact(State),
    /// It is a cluster's directory, but it can only be removed, for this reason.
    Damaged(Error),
}

impl Root {
    /// Checks the directory. `is_carried`: processes of this cluster run, so the files are theirs.
    ///
    /// # Errors
    /// It doesn't exist ([`Error::Missing`]), or it isn't certainly a cluster's
    /// ([`Error::NotACluster`], [`Error::Foreign`], [`Error::Link`]).
    pub fn integrity(&self, is_carried: bool) -> Result<Integrity, Error> {
        match self.open_existing() {
            Ok(state) => Ok(Integrity::Intact(state)),
            Err(error @ (Error::Missing { .. } | Error::Link { .. })) => Err(error),
            // It has one of the two files that mark a cluster's directory, whatever its content.
            Err(error) if self.has(STATE_FILE) || self.has(REMOVING_FILE) => Ok(Integrity::Damaged(error)),
            Err(error @ Error::NotACluster { .. }) => self
                .check_remains(is_carried, error)
                .map(|()| Integrity::Damaged(Error::NoState { path: self.path().to_owned() })),
            Err(error) => Err(error),
        }
    }

    /// Checks that a directory without a state file is certainly what remains of a cluster: it
    /// belongs to this user only, and has no other files than clusters have.
    fn check_remains(&self, is_carried: bool, otherwise: Error) -> Result<(), Error> {
        let unreadable = |cause| Error::io("read", self.path(), cause);
        let found = fs::symlink_metadata(self.path()).map_err(unreadable)?;
        let is_private = found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
        let is_marked = is_private && self.has("run") && (self.has("pki") || self.has("events.jsonl"));
        if !found.is_dir() || !(is_marked || is_carried) {
            return Err(otherwise);
        }
        for entry in fs::read_dir(self.path()).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if !is_known(&name) {
                return Err(Error::Foreign { path: self.path().to_owned(), name: name.to_string_lossy().into_owned() });
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path().join(name)).is_ok()
    }
}

fn is_known(name: &OsStr) -> bool {
    write::is_temporary(name) || name.to_str().is_some_and(|name| NAMES.contains(&name))
}
