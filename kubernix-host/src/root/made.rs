//! Directories that were made on the way, so that what comes to nothing leaves none of them.

use super::{Error, write};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often a directory is tried whose parent is there: in some (`/proc`) none can ever be made.
const ATTEMPTS: u32 = 5;

/// Directories that weren't there before.
#[derive(Debug, Default)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a directory and all above it; the last one 0700.
    ///
    /// # Errors
    /// One can't be made, or something else lies there. Those that were made are gone again.
    pub(super) fn directory(path: &Path) -> Result<Self, Error> {
        let mut made = Self::default();
        let result = made.one(path, 0o700);
        match result {
            Ok(()) => Ok(made),
            Err(error) => {
                made.undo();
                Err(error)
            }
        }
    }

    fn one(&mut self, path: &Path, mode: u32) -> Result<(), Error> {
        let mut attempts = 0;
        loop {
            match DirBuilder::new().mode(mode).create(path) {
                Ok(()) => {
                    self.0.push(path.to_owned());
                    // Its name must be as durable as the state that will be in it.
                    return write::sync(write::directory(path), path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
                // More than once, because somebody else's undo may take the parent away between the two calls.
                Err(error) if error.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => {
                        attempts += 1;
                        self.one(parent, 0o777)?;
                    }
                    _ => return Err(Error::io("make the directory", path, error)),
                },
                Err(cause) => return Err(Error::io("make the directory", path, cause)),
            }
        }
    }

    /// Whether this directory is one of them.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.iter().any(|made| made == path)
    }

    /// These as well.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Removes those that are empty.
    pub fn undo(&self) {
        let mut innermost_first: Vec<&PathBuf> = self.0.iter().collect();
        innermost_first.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for path in innermost_first {
            // One that isn't empty is in use, or kept for its logs.
            let _ = fs::remove_dir(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_goes_and_what_was_there_or_is_used_stays() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir(at("old")).unwrap();
        let made = Made::directory(&at("old/new/one")).unwrap();
        assert!(made.contains(&at("old/new")) && made.contains(&at("old/new/one")) && !made.contains(&at("old")));
        made.undo();
        assert!(at("old").is_dir() && !at("old/new").exists());
        let made = Made::directory(&at("old/new/one")).unwrap();
        fs::create_dir(at("old/new/two")).unwrap();
        made.undo();
        assert!(at("old/new/two").is_dir() && !at("old/new/one").exists());
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("new").join("x".repeat(300));
        assert!(Made::directory(&long).is_err());
        assert!(!place.path().join("new").exists());
    }
}
