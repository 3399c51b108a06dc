//! Records created directories, so that a failed command can remove them.

use super::{Error, write};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often to try to create a directory whose parent exists. In some directories (`/proc`) it
/// always fails.
const ATTEMPTS: u32 = 5;

/// Directories that didn't exist before.
#[derive(Debug, Default)]
pub struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    /// Creates a directory with mode 0700, and its missing parents.
    ///
    /// # Errors
    /// A directory can't be created, or a file exists there. The new directories are removed then.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
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
                    // Its name must be as durable as the state that will be written into it.
                    return write::sync(write::directory(path), path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
                // Repeated, because the `undo` of another process may remove the parent between the
                // two calls.
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

    /// Whether this directory was created.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.iter().any(|made| made == path)
    }

    /// Adds the directories of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Removes the created directories that are empty.
    pub fn undo(&self) {
        let mut innermost_first: Vec<&PathBuf> = self.0.iter().collect();
        innermost_first.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for path in innermost_first {
            // A directory that isn't empty is in use, or is kept for its logs.
            let _ = fs::remove_dir(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_removes_new_empty_directories_only() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir(at("old")).unwrap();
        let made = CreatedDirs::create(&at("old/new/one")).unwrap();
        assert!(made.contains(&at("old/new")) && made.contains(&at("old/new/one")) && !made.contains(&at("old")));
        made.undo();
        assert!(at("old").is_dir() && !at("old/new").exists());
        let made = CreatedDirs::create(&at("old/new/one")).unwrap();
        fs::create_dir(at("old/new/two")).unwrap();
        made.undo();
        assert!(at("old/new/two").is_dir() && !at("old/new/one").exists());
    }

    #[test]
    fn a_failure_removes_new_directories() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("new").join("x".repeat(300));
        assert!(CreatedDirs::create(&long).is_err());
        assert!(!place.path().join("new").exists());
    }
}
