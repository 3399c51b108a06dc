//! The lock of a cluster's root directory, held by its keeper. The kernel releases it when the
//! keeper ends.
//!
//! The directory itself is locked, not a file in it, so the lock exists as long as the cluster
//! does.

use crate::cluster_dir::ClusterDir;
use nix::libc;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often to retry while another process holds the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A held lock. Inherited descriptors keep the lock: it is released when the last one is closed. So
/// it is never unlocked explicitly.
pub struct Lock(pub(super) File);

/// The lock can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The directory doesn't exist.
    #[error("there is no cluster at `{}`", path.display())]
    Missing {
        /// The root directory.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// The operation: `open` or `lock`.
        action: &'static str,
        /// The root directory.
        path: PathBuf,
        /// The cause.
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

/// Takes the lock of a cluster. `None` if it is held: the cluster runs, or a command is working on
/// it.
///
/// # Errors
/// The directory doesn't exist or can't be opened.
pub fn take(root: &ClusterDir) -> Result<Option<Lock>, LockError> {
    loop {
        let file = open(root)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, root) => return Ok(Some(Lock(file))),
            // Another process removed the cluster between our open and our lock.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(LockError::io("lock", root.path(), cause)),
        }
    }
}

/// Whether the locked directory is still the one at the cluster's path.
fn is_current(lock: &File, root: &ClusterDir) -> bool {
    let now = std::fs::symlink_metadata(root.path());
    lock.metadata().is_ok_and(|ours| now.is_ok_and(|now| (ours.dev(), ours.ino()) == (now.dev(), now.ino())))
}

/// Takes a shared lock, which prevents a boot but doesn't make the cluster look like it runs.
/// `None` if a keeper holds the lock. Closing the file releases the lock.
///
/// # Errors
/// The directory doesn't exist or can't be opened.
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
    // Shared, so that two concurrent checks don't take each other for a keeper.
    open(root).is_ok_and(|directory| matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits until no keeper holds the lock, and takes it. `None` after the timeout.
///
/// # Errors
/// See [`take`].
pub fn wait(root: &ClusterDir, timeout: Duration) -> Result<Option<Lock>, LockError> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(lock) = take(root)? {
            return Ok(Some(lock));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_held_until_the_directory_is_removed() {
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
        // The descriptor of a waiting process.
        let waiting = open(&root).unwrap();
        for name in ["data", "state.json"] {
            std::fs::remove_file(root.path().join(name)).unwrap();
            assert!(is_taken(&root) && take(&root).unwrap().is_none(), "without {name}");
        }
        std::fs::remove_dir(root.path()).unwrap();
        drop(lock);
        waiting.try_lock().unwrap();
        assert!(!is_current(&waiting, &root), "the locked directory is gone");
        std::fs::create_dir(root.path()).unwrap();
        assert!(!is_current(&waiting, &root) && take(&root).unwrap().is_some());
    }
}
