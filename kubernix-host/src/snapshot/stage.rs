//! Collects the files of a snapshot before they are packed, in a directory of the cluster: copies
//! on the same file system are cheap, and they are removed with the cluster in any case.

use super::{CopyError, DATASTORE, Error, RECORDS, SETTINGS, copy_directory, copy_file};
use crate::root_dir::Root;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The staging directory of a cluster. Only one command at a time has it. Dropping the value
/// removes the directory.
pub struct Staging<'a> {
    root: &'a Root,
    /// The kernel releases the lock in any case.
    _lock: File,
}

impl<'a> Staging<'a> {
    /// Locks and creates the staging directory. Removes files of a killed command. `None`: another
    /// command has the lock.
    ///
    /// # Errors
    /// The directory can't be created.
    pub fn begin(root: &'a Root) -> Result<Option<Self>, Error> {
        let run = root.run();
        let write_error = || Error::io("write", &run);
        DirBuilder::new().recursive(true).mode(0o700).create(&run).map_err(write_error())?;
        let lock = File::open(&run).map_err(write_error())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(write_error()(cause)),
        }
        let staging = Self { root, _lock: lock };
        staging.clear().map_err(Error::io("remove", staging.path().as_path()))?;
        DirBuilder::new().mode(0o700).create(staging.path()).map_err(Error::io("write", staging.path().as_path()))?;
        Ok(Some(staging))
    }

    /// The path of the staging directory.
    pub fn path(&self) -> PathBuf {
        self.root.staging()
    }

    /// Adds all files but those of the datastore: settings, certificates, keys and records.
    ///
    /// # Errors
    /// A file can't be read or copied.
    pub fn add_own(&self) -> Result<(), Error> {
        let (root, path) = (self.root, self.path());
        copy_file(&root.settings_file(), &path.join(SETTINGS), None)?;
        copy_directory(&root.pki(), &path.join("pki"), &|path| is_temporary(path), None)?;
        for record in RECORDS {
            match copy_file(&root.path().join(record), &path.join(record), None) {
                // A cluster may not have this record.
                Err(CopyError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {}
                copied => copied?,
            }
        }
        Ok(())
    }

    fn clear(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            log::warn!("can't remove `{}`: {error}", self.path().display());
        }
    }
}

/// Whether a file is a temporary one, which another process will rename.
fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(crate::root_dir::is_temporary)
}

/// Adds the directories of a datastore's instances, without the files that each boot rewrites. The
/// instances' processes must be paused meanwhile.
///
/// # Errors
/// A directory can't be copied, or copying isn't finished at the deadline.
pub fn stage(root: &Root, directories: &[PathBuf], deadline: Option<Instant>) -> Result<(), Error> {
    for directory in directories {
        let rewritten = root.boot_files(directory).map_err(|error| Error::Io {
            action: "read",
            path: directory.clone(),
            cause: std::io::Error::other(error.to_string()),
        })?;
        let below = directory.strip_prefix(root.path()).unwrap_or(directory);
        let is_excluded = |path: &Path| rewritten.contains(path) || is_temporary(path);
        copy_directory(directory, &root.staging().join(DATASTORE).join(below), &is_excluded, deadline)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn staging_is_exclusive_and_removes_its_directory() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        root.create().unwrap();
        let data = root.control("store").join("data");
        for (path, content) in [
            (root.settings_file(), "name = \"one\"\n"),
            (root.path().join("allotted.json"), "{}"),
            (root.pki().join("ca.crt"), "certificate"),
            (root.pki().join(".kubernix-tmp-1-0"), "half"),
            (data.join("state"), "objects"),
            (root.control("store").join("store.run.json"), "{}"),
            (root.control("store").join("store.log"), "noise"),
            // A file of a killed command.
            (root.staging().join("datastore/control/store/old"), "old"),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let staging = Staging::begin(&root).unwrap().unwrap();
        assert!(Staging::begin(&root).unwrap().is_none());
        stage(&root, &root.component_directories("store").unwrap(), None).unwrap();
        staging.add_own().unwrap();
        let found = |name: &str| staging.path().join(name).exists();
        let wanted = ["kubernix.toml", "allotted.json", "pki/ca.crt", "datastore/control/store/data/state"];
        assert!(wanted.iter().all(|name| found(name)));
        let others = [
            "applied.json",
            "pki/.kubernix-tmp-1-0",
            "datastore/control/store/old",
            "datastore/control/store/store.log",
        ];
        assert_eq!(others.map(found), [false; 4]);
        drop(staging);
        assert!(!root.staging().exists() && Staging::begin(&root).unwrap().is_some());
    }
}
