//! The lock under which clusters change shared state of the host: links, forwarding, cgroup
//! controllers.
//!
//! The lock is a file in `/run` that only its owner can open. A file that other users can read (a
//! network namespace, `/sys/fs/cgroup`) wouldn't do: any user may lock any file that it can open,
//! and so could block every cluster. The file exists only while the lock is held.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The name of the lock file.
const NAME: &str = "kubernix.lock";
/// How long to wait for another cluster, which holds the lock for a few system calls.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often to retry while another cluster holds the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The directory that contains the lock file. A cluster's init inherits the descriptor, because its
/// own `/run` is another directory.
#[derive(Debug, Clone)]
pub struct HostLock(Arc<OwnedFd>);

/// The held lock. Dropping it releases the lock.
#[derive(Debug)]
pub struct HostLockGuard<'a> {
    directory: &'a OwnedFd,
    /// Locked while it is open.
    _file: File,
}

impl HostLock {
    /// The lock of the host or container in which the calling process runs.
    ///
    /// # Errors
    /// Neither `/run` nor `/` can be opened.
    pub fn of_host() -> io::Result<Self> {
        let open = |path| OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path);
        Ok(Self::new(open("/run").or_else(|_| open("/"))?.into()))
    }

    /// The lock in an open directory.
    pub fn new(directory: OwnedFd) -> Self {
        Self(Arc::new(directory))
    }

    /// Takes the lock. Returns `None` if that fails or takes longer than two seconds. The caller
    /// then proceeds without the lock, because it must not prevent a cluster from ending.
    pub fn take(&self) -> Option<HostLockGuard<'_>> {
        self.take_within(TIMEOUT)
    }

    fn take_within(&self, timeout: Duration) -> Option<HostLockGuard<'_>> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.try_take() {
                Ok(Some(guard)) => return Some(guard),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL_INTERVAL),
                Ok(None) => {
                    log::warn!("another cluster has held the lock {NAME} for {timeout:?}: continuing without it");
                    return None;
                }
                Err(error) => {
                    log::warn!("{NAME} can't be locked: {error}: continuing without the lock");
                    return None;
                }
            }
        }
    }

    /// Returns `None` if another process holds the lock.
    fn try_take(&self) -> io::Result<Option<HostLockGuard<'_>>> {
        // A symbolic link must not be followed, and a FIFO must not block.
        let flags = OFlag::O_CREAT | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&*self.0, NAME, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "other users can open it"));
        }
        match file.try_lock() {
            // The last holder removed this file between our open and our lock. The lock is another
            // file now.
            Ok(()) if !self.is_current(&found) => Ok(None),
            Ok(()) => Ok(Some(HostLockGuard { directory: &self.0, _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_current(&self, locked: &std::fs::Metadata) -> bool {
        let now = fstatat(&*self.0, NAME, AtFlags::AT_SYMLINK_NOFOLLOW);
        now.is_ok_and(|now| (now.st_dev, now.st_ino) == (locked.dev(), locked.ino()))
    }
}

impl AsFd for HostLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for HostLockGuard<'_> {
    fn drop(&mut self) {
        // Removed while it is locked. Otherwise the file could be another holder's already.
        match unlinkat(self.directory, NAME, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => log::warn!("{NAME} can't be removed: {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tempfile::TempDir;

    fn lock() -> (TempDir, HostLock) {
        let directory = tempfile::tempdir().unwrap();
        let lock = HostLock::new(File::open(directory.path()).unwrap().into());
        (directory, lock)
    }

    #[test]
    fn the_lock_is_exclusive_and_its_file_is_removed() {
        let (directory, lock) = lock();
        let guard = lock.take().unwrap();
        assert!(lock.take_within(Duration::from_millis(20)).is_none());
        drop(guard);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

        let holders = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _guard = lock.take_within(Duration::from_secs(60)).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_file_that_other_users_can_open_is_rejected_at_once() {
        let (directory, lock) = lock();
        let file = directory.path().join(NAME);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(lock.take_within(Duration::from_secs(60)).is_none());
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(lock.take_within(Duration::from_secs(60)).is_none());
        std::fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(lock.take_within(Duration::from_secs(60)).is_none());
    }
}
