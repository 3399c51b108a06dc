//! Provider `cache`: what was built before, and the rules of the directory where it lies.
//!
//! `toolchain/` of the user's cache holds a directory per tool, version and pins. Such a directory
//! appears by one rename, after its programs were asked for their version and written to disk: what
//! is there is whole, and no question has to be asked again.

use super::provider::{Done, Found, Offer, Provider, Session, Wanted};
use super::table::ToolSpec;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{io, process};

/// Tools built before.
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
                Some(found) => Offer::Has(found),
                None => Offer::no(format!("not in {}", session.dir.display())),
            },
            _ => Offer::Silent,
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, done: &mut Done<'_>) {
        (0..wanted.len()).for_each(|place| done(place, Err(format!("not in {}", session.dir.display()))));
    }
}

/// A tool's place in the cache, if it is there.
pub fn look_up(name: &str, spec: &ToolSpec, session: &Session<'_>) -> Option<Found> {
    let dir = session.dir.join(session.table.cache_name(name)?);
    let whole = |program: &String| fs::metadata(dir.join(program)).is_ok_and(|m| m.is_file() && m.len() > 0);
    if !spec.programs(name).iter().all(whole) {
        return None;
    }
    let path = if spec.is_group() { dir } else { dir.join(name) };
    Some(Found { path, version: session.table.version(spec).cloned() })
}

/// A directory to build in, removed when this is dropped. Its holder is the only process that
/// builds this pin module.
pub struct Workshop {
    dir: PathBuf,
    // Held for its lock alone, which ends with it, however the process ends.
    _lock: File,
}

impl Workshop {
    /// Waits for the lock of a pin module, calling `waiting` once if another process has it, and
    /// clears away what killed processes have left.
    pub fn enter(cache: &Path, module: &str, waiting: impl FnOnce()) -> io::Result<Self> {
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join(format!(".{module}.lock")))?;
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                waiting();
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
        // Not one fixed name: a compiler that outlives its killed parent then writes into nothing,
        // not into our work.
        let dir = cache.join(format!("{prefix}{}", process::id()));
        fs::create_dir(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            log::debug!("{} stays behind: {error}", self.dir.display());
        }
    }
}

/// Puts finished programs in their place: all or nothing, and on disk before they can be seen.
pub fn publish(finished: &Path, place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(finished)? {
        File::open(entry?.path())?.sync_all()?;
    }
    // There is nothing at the place, or something that isn't whole.
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(finished, place)?,
    }
    place.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn one_builds_and_the_other_waits() {
        let dir = tempfile::tempdir().unwrap();
        let first = Workshop::enter(dir.path(), "crio", || panic!("there is no other build")).unwrap();
        let path = dir.path().to_owned();
        let (sender, receiver) = mpsc::channel();
        let second = thread::spawn(move || {
            let said = sender.clone();
            let workshop = Workshop::enter(&path, "crio", || said.send("waiting").unwrap()).unwrap();
            sender.send("entered").unwrap();
            workshop.dir().exists()
        });
        assert_eq!(receiver.recv().unwrap(), "waiting");
        assert_eq!(receiver.recv_timeout(Duration::from_millis(50)), Err(mpsc::RecvTimeoutError::Timeout));
        drop(first);
        assert_eq!(receiver.recv().unwrap(), "entered");
        assert!(second.join().unwrap());
    }

    #[test]
    fn what_a_killed_build_left_is_cleared_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".crio.build-1", ".etcd.build-1", "crio-1.0.0-abc"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        drop(Workshop::enter(dir.path(), "crio", || ()).unwrap());
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".crio.lock", ".etcd.build-1", "crio-1.0.0-abc"]);
    }

    #[test]
    fn publishing_replaces_what_isnt_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (finished, place) = (dir.path().join("out"), dir.path().join("crio-1.0.0-abc"));
        fs::create_dir(&finished).unwrap();
        fs::write(finished.join("crio"), "whole").unwrap();
        fs::create_dir(&place).unwrap();
        fs::write(place.join("junk"), "").unwrap();
        publish(&finished, &place).unwrap();
        assert_eq!(fs::read_to_string(place.join("crio")).unwrap(), "whole");
        assert!(!place.join("junk").exists() && !finished.exists());
    }
}
