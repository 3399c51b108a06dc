//! One keeper a cluster: a lock of its root directory that the kernel gives back when the keeper
//! goes.
//!
//! It is the directory itself that is locked, no file in it: the lock lasts for as long as anything
//! of the cluster does, and goes with it.

use crate::cluster_dir::ClusterDir;
use nix::libc;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A cluster's lock, held as long as its keeper lives. Inherited descriptors keep the lock: closing
/// one of several doesn't release it, so it is only ever closed, never unlocked.
pub struct Lock(pub(super) File);

/// Why a cluster's lock can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is no such directory.
    #[error("there is no cluster at `{}`", path.display())]
    Missing {
        /// The root directory.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// What was tried: `open`, `lock`.
        action: &'static str,
        /// The root directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl LockError {
    fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), cause }
    }
}

fn open(root: &ClusterDir) -> Result<File, LockError> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(root.path());
    opened.map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => LockError::Missing { path: root.path().to_owned() },
        _ => LockError::io("open", root.path(), cause),
    })
}

/// Takes the lock of a cluster; `None` if it is taken: the cluster runs, or a command works on it.
///
/// # Errors
/// There is no such directory, or it can't be opened.
pub fn take(root: &ClusterDir) -> Result<Option<Lock>, LockError> {
    loop {
        let file = open(root)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, root) => return Ok(Some(Lock(file))),
            // The cluster was removed between `open` and `try_lock`.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(LockError::io("lock", root.path(), cause)),
        }
    }
}

/// Whether the directory that is locked is still the one that others will look at.
fn is_current(lock: &File, root: &ClusterDir) -> bool {
    let now = std::fs::symlink_metadata(root.path());
    lock.metadata().is_ok_and(|ours| now.is_ok_and(|now| (ours.dev(), ours.ino()) == (now.dev(), now.ino())))
}

/// Keeps keepers away from a cluster that doesn't run, without looking like one; `None` where one
/// holds the lock. Closed, it is given back.
///
/// # Errors
/// There is no such directory, or it can't be opened.
pub fn share(root: &ClusterDir) -> Result<Option<File>, LockError> {
    let file = open(root)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(LockError::io("lock", root.path(), cause)),
    }
}

/// Whether a keeper holds the lock.
pub fn is_taken(root: &ClusterDir) -> bool {
    // A shared lock, so that two commands that only check don't mistake each other for a keeper.
    open(root).is_ok_and(|directory| matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits until no keeper holds the lock, and takes it; `None` when the time is over.
///
/// # Errors
/// As [`take`].
pub fn wait(root: &ClusterDir, limit: Duration) -> Result<Option<Lock>, LockError> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(lock) = take(root)? {
            return Ok(Some(lock));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_lasts_until_nothing_of_the_cluster_is_left_and_not_beyond() {
        let base = tempfile::tempdir().unwrap();
        let root = ClusterDir::at(base.path().join("one"));
        assert!(matches!(take(&root), Err(LockError::Missing { .. })) && !is_taken(&root));
        std::fs::create_dir(root.path()).unwrap();
        for name in ["data", "state.json"] {
            std::fs::write(root.path().join(name), "x").unwrap();
        }
        let shared = share(&root).unwrap().unwrap();
        assert!(take(&root).unwrap().is_none() && share(&root).unwrap().is_some() && !is_taken(&root));
        drop(shared);
        let lock = take(&root).unwrap().unwrap();
        assert!(is_taken(&root) && take(&root).unwrap().is_none() && share(&root).unwrap().is_none());
        // The descriptor of a process that waits for the lock.
        let waiting = open(&root).unwrap();
        for name in ["data", "state.json"] {
            std::fs::remove_file(root.path().join(name)).unwrap();
            assert!(is_taken(&root) && take(&root).unwrap().is_none(), "without {name}");
        }
        std::fs::remove_dir(root.path()).unwrap();
        drop(lock);
        waiting.try_lock().unwrap();
        assert!(!is_current(&waiting, &root), "a lock of what is gone is none");
        std::fs::create_dir(root.path()).unwrap();
        assert!(!is_current(&waiting, &root) && take(&root).unwrap().is_some());
    }
}
