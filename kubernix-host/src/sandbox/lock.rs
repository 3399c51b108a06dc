//! One keeper a cluster: a lock of its root directory that the kernel gives back when the keeper goes.
//!
//! It is the directory itself that is locked, no file in it: the lock lasts for as long as anything of the cluster does, and goes
//! with it.

use crate::root::{Error as RootError, Root};
use nix::libc;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

/// Held for as long as the cluster's keeper lives. Whoever inherits the descriptor holds it on: closing one of several doesn't
/// give it back, which is why it is never unlocked, only closed.
pub struct Lock(pub(super) File);

fn open(root: &Root) -> Result<File, RootError> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(root.path());
    opened.map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => RootError::Missing { path: root.path().to_owned() },
        _ => RootError::io("open", root.path(), cause),
    })
}

/// Takes the lock of a cluster; `None` where it is taken: the cluster runs, or somebody is at it.
///
/// # Errors
/// There is no such directory, or it can't be opened.
pub fn take(root: &Root) -> Result<Option<Lock>, RootError> {
    loop {
        let file = open(root)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, root) => return Ok(Some(Lock(file))),
            // Somebody removed the cluster between our look at it and now.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(RootError::io("lock", root.path(), cause)),
        }
    }
}

/// Whether the directory that is locked is still the one that others will look at.
fn is_current(lock: &File, root: &Root) -> bool {
    let now = std::fs::symlink_metadata(root.path());
    lock.metadata().is_ok_and(|ours| now.is_ok_and(|now| (ours.dev(), ours.ino()) == (now.dev(), now.ino())))
}

/// Keeps keepers away from a cluster that doesn't run, without looking like one; `None` where one holds the lock. Closed, it is
/// given back.
///
/// # Errors
/// There is no such directory, or it can't be opened.
pub fn share(root: &Root) -> Result<Option<File>, RootError> {
    let file = open(root)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(RootError::io("lock", root.path(), cause)),
    }
}

/// Whether a keeper holds the lock.
pub fn is_taken(root: &Root) -> bool {
    // Shared, so that those who only look don't look like keepers to each other.
    open(root).is_ok_and(|directory| matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits until no keeper holds the lock, and takes it; `None` when the time is over.
///
/// # Errors
/// As [`take`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_lasts_until_nothing_of_the_cluster_is_left_and_not_beyond() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        assert!(matches!(take(&root), Err(RootError::Missing { .. })) && !is_taken(&root));
        root.create().unwrap();
        std::fs::write(root.path().join("data"), "x").unwrap();
        let shared = share(&root).unwrap().unwrap();
        assert!(take(&root).unwrap().is_none() && share(&root).unwrap().is_some() && !is_taken(&root));
        drop(shared);
        let lock = take(&root).unwrap().unwrap();
        assert!(is_taken(&root) && take(&root).unwrap().is_none() && share(&root).unwrap().is_none());
        // As of somebody who waits for it meanwhile.
        let waiting = open(&root).unwrap();
        for name in ["data", "state.json"] {
            std::fs::remove_file(root.path().join(name)).unwrap();
            assert!(is_taken(&root) && take(&root).unwrap().is_none(), "without {name}");
        }
        std::fs::remove_dir(root.path()).unwrap();
        drop(lock);
        waiting.try_lock().unwrap();
        assert!(!is_current(&waiting, &root), "a lock of what is gone is none");
        root.create().unwrap();
        assert!(!is_current(&waiting, &root) && take(&root).unwrap().is_some());
    }
}
