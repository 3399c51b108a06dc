//! What lies where a cluster's root directory is expected: also what is damaged, of a newer version, or only a rest of one.

use super::{Error, REMOVING_FILE, Root, STATE_FILE, State, write};
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// All names that lie at the top of a cluster's root directory, of this version and of those before it.
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

/// What lies at a root directory's path.
#[derive(Debug)]
pub enum Standing {
    /// A cluster's directory.
    Whole(State),
    /// A cluster's directory that can only be removed: why nothing else can be done with it.
    Damaged(Error),
}

impl Root {
    /// What lies there. `is_carried`: processes of this cluster run, so what is there is what they wrote.
    ///
    /// # Errors
    /// Nothing ([`Error::Missing`]), or nothing that is certainly a cluster's ([`Error::NotACluster`], [`Error::Foreign`],
    /// [`Error::Link`]).
    pub fn standing(&self, is_carried: bool) -> Result<Standing, Error> {
        match self.open_existing() {
            Ok(state) => Ok(Standing::Whole(state)),
            Err(error @ (Error::Missing { .. } | Error::Link { .. })) => Err(error),
            // It has one of the two files that only a cluster's has, whatever is in it.
            Err(error) if self.has(STATE_FILE) || self.has(REMOVING_FILE) => Ok(Standing::Damaged(error)),
            Err(error @ Error::NotACluster { .. }) => self
                .check_rest(is_carried, error)
                .map(|()| Standing::Damaged(Error::NoState { path: self.path().to_owned() })),
            Err(error) => Err(error),
        }
    }

    /// Whether a directory without a state file is certainly the rest of a cluster: ours alone, and with nothing in it but what
    /// clusters have.
    fn check_rest(&self, is_carried: bool, otherwise: Error) -> Result<(), Error> {
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
