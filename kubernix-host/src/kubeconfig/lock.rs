//! The lock that client-go takes before it changes a kubeconfig: a file beside it, created
//! exclusively. It keeps kubectl and KuberNix from overwriting each other's changes.

use super::Error;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time between two attempts to create the lock file.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Locks on files. Dropping the value releases them.
#[derive(Debug)]
pub(super) struct Lock(Vec<PathBuf>);

impl Lock {
    /// Locks these files. They needn't exist, but their directories must. Waits at most `limit` in
    /// total while other programs hold the locks.
    pub(super) fn take<'p>(files: impl IntoIterator<Item = &'p PathBuf>, limit: Duration) -> Result<Self, Error> {
        let mut files: Vec<&PathBuf> = files.into_iter().collect();
        // As in client-go, all programs take the locks in the same order, so that they can't
        // deadlock.
        files.sort();
        files.dedup();
        let deadline = Instant::now() + limit;
        let mut taken = Self(Vec::new());
        for path in files {
            taken.0.push(lock_file(path, deadline)?);
        }
        Ok(taken)
    }
}

fn lock_file(path: &Path, deadline: Instant) -> Result<PathBuf, Error> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    loop {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
            Ok(_) => return Ok(lock),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::io("lock", path)(error)),
            Err(_) if Instant::now() >= deadline => return Err(Error::Locked { path: path.to_owned(), lock }),
            Err(_) => std::thread::sleep(RETRY_INTERVAL),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        for lock in &self.0 {
            if let Err(error) = fs::remove_file(lock) {
                log::warn!("can't remove the lock {}: {error}", lock.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        let lock = Lock::take([&b, &a, &b], Duration::ZERO).unwrap();
        assert!(directory.path().join("a.lock").exists() && directory.path().join("b.lock").exists());
        let error = Lock::take([&a], Duration::ZERO).unwrap_err().to_string();
        let file = directory.path().join("a.lock");
        assert!(error.ends_with(&format!("if none is, remove {}", file.display())), "{error}");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Lock::take([&a], Duration::from_secs(60)).map(drop));
            drop(lock);
            waits.join().unwrap().unwrap();
        });
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_lock_releases_those_taken_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        fs::write(directory.path().join("b.lock"), "").unwrap();
        assert!(Lock::take([&a, &b], Duration::ZERO).is_err());
        assert!(!directory.path().join("a.lock").exists() && directory.path().join("b.lock").exists());
        assert!(Lock::take([&directory.path().join("none/c")], Duration::ZERO).is_err());
    }
}
