//! One keeper a cluster: a file lock that the kernel gives back when the keeper goes.

use crate::root::{Error as RootError, Root};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

/// Held for as long as the cluster's keeper lives. Whoever inherits the descriptor holds it on: closing one of several doesn't
/// give it back, which is why it is never unlocked, only closed.
pub struct Lock(pub(super) File);

fn open(root: &Root) -> Result<File, RootError> {
    let path = root.lock_file();
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path);
    file.map_err(|source| RootError::io("open", &path, source))
}

/// Takes the lock of a cluster; `None` where it is taken: the cluster runs.
///
/// # Errors
/// The lock file can't be opened.
pub fn take(root: &Root) -> Result<Option<Lock>, RootError> {
    let file = open(root)?;
    match file.try_lock() {
        // Somebody removed the cluster, and its lock's file, between our look at it and now.
        Ok(()) if !is_current(&file, root) => take(root),
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(RootError::io("lock", &root.lock_file(), cause)),
    }
}

/// Whether the file that is locked is still the one that others will look at.
fn is_current(lock: &File, root: &Root) -> bool {
    let now = std::fs::metadata(root.lock_file());
    lock.metadata().is_ok_and(|ours| now.is_ok_and(|now| (ours.dev(), ours.ino()) == (now.dev(), now.ino())))
}

/// Whether a keeper holds the lock.
pub fn is_taken(root: &Root) -> bool {
    // Shared, so that those who only look don't look like keepers to each other.
    File::open(root.lock_file()).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits until no keeper holds the lock, and takes it; `None` when the time is over.
///
/// # Errors
/// The lock file can't be opened.
pub fn wait(root: &Root, limit: Duration) -> Result<Option<Lock>, RootError> {
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
