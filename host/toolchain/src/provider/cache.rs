//! Provider `cache`: tools that were built before, and the rules of their directory.
//!
//! `toolchain/` in the user's cache has a directory for each tool, version and set of pins. Such a
//! directory is created by one rename, after its programs reported the right version and were
//! synced to the disk. An existing directory is therefore complete and isn't checked again.

use crate::provider::{Found, Offer, Provider, Session, Wanted};
use crate::table::ToolSpec;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{io, process};

/// Tools that were built before.
pub struct Cache;

impl Provider for Cache {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn only_finds(&self) -> bool {
        true
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        match wanted.spec {
            Some(spec) if spec.go.is_some() => match look_up(wanted.name, spec, session) {
                Some(found) => Offer::Found(found),
                None => Offer::unavailable(format!("not in {}", session.dir.display())),
            },
            _ => Offer::NotApplicable,
        }
    }
}

/// A tool in the cache, if it is there and complete.
pub fn look_up(name: &str, spec: &ToolSpec, session: &Session<'_>) -> Option<Found> {
    let dir = session.dir.join(session.table.cache_name(name)?);
    let is_complete = |program: &String| fs::metadata(dir.join(program)).is_ok_and(|m| m.is_file() && m.len() > 0);
    if !spec.programs(name).iter().all(is_complete) {
        return None;
    }
    let path = if spec.is_group() { dir } else { dir.join(name) };
    Some(Found { path, version: session.table.version(spec).cloned() })
}

/// A directory to build a pin module in, with the module's lock. Removed on drop.
pub struct BuildDir {
    path: PathBuf,
    // The kernel releases the lock with the file, also if the process is killed.
    _lock: File,
}

impl BuildDir {
    /// Locks a pin module and creates the directory. Calls `on_wait` once if another process has
    /// the lock. Removes the directories of builds that were killed.
    pub fn create(cache: &Path, module: &str, on_wait: impl FnOnce()) -> io::Result<Self> {
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join(format!(".{module}.lock")))?;
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                on_wait();
                lock.lock()?;
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let prefix = format!(".{module}.build-");
        for entry in fs::read_dir(cache)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        // Each process has a name of its own: a compiler that outlives its killed parent must not
        // write into the directory of the next build.
        let path = cache.join(format!("{prefix}{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            log::debug!("{} can't be removed: {error}", self.path.display());
        }
    }
}

/// Moves a directory of finished programs to its final path. The programs are synced to the disk
/// before.
pub fn publish(finished: &Path, path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(finished)? {
        File::open(entry?.path())?.sync_all()?;
    }
    // What exists at the path is incomplete.
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(finished, path)?,
    }
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_second_build_of_a_module_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = BuildDir::create(dir.path(), "crio", || panic!("there is no other build")).unwrap();
        let path = dir.path().to_owned();
        let (sender, receiver) = mpsc::channel();
        let second = thread::spawn(move || {
            let waiting = sender.clone();
            let build = BuildDir::create(&path, "crio", || waiting.send("waiting").unwrap()).unwrap();
            sender.send("created").unwrap();
            build.path().exists()
        });
        assert_eq!(receiver.recv().unwrap(), "waiting");
        assert_eq!(receiver.recv_timeout(Duration::from_millis(50)), Err(mpsc::RecvTimeoutError::Timeout));
        drop(first);
        assert_eq!(receiver.recv().unwrap(), "created");
        assert!(second.join().unwrap());
    }

    #[test]
    fn only_directories_of_killed_builds_of_the_module_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".crio.build-1", ".etcd.build-1", "crio-1.0.0-abc"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        drop(BuildDir::create(dir.path(), "crio", || ()).unwrap());
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".crio.lock", ".etcd.build-1", "crio-1.0.0-abc"]);
    }

    #[test]
    fn publishing_replaces_an_incomplete_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (finished, path) = (dir.path().join("out"), dir.path().join("crio-1.0.0-abc"));
        fs::create_dir(&finished).unwrap();
        fs::write(finished.join("crio"), "complete").unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("junk"), "").unwrap();
        publish(&finished, &path).unwrap();
        assert_eq!(fs::read_to_string(path.join("crio")).unwrap(), "complete");
        assert!(!path.join("junk").exists() && !finished.exists());
    }
}
