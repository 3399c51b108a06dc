//! Changes the files of a plugin directory in transactions: all of a change is done or nothing,
//! also with several processes at the same time.
//!
//! New files are staged in a hidden directory beside the old ones, moved in by rename, and take
//! effect once the lock lists them. A failed transaction is rolled back at once. One whose process
//! was killed is rolled back by the next process that opens the directory. Until then its files
//! aren't loaded, because the lock doesn't list them.
//!
//! This module must not know what the files are.

use super::lock::{Lock, LockError};
use kubernix_toolchain::files::{FileError, write_atomic};
use kubernix_toolchain::text::digits::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const STAGING: &str = ".kubernix-install-";
const GUARD: &str = ".lock";
const JOURNAL: &str = "journal.json";
const NEW: &str = "new";
const OLD: &str = "old";

/// Why a directory can't be changed. Each message includes its cause.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// An operation on a file failed.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The lock can't be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock can't be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> TransactionError + 'a {
    move |cause| TransactionError::Io { action, path: path.to_owned(), cause }
}

/// A plugin directory, locked against other processes.
pub struct Directory {
    path: PathBuf,
    /// The installed plugins.
    pub lock: Lock,
    // The kernel releases the lock with the file, also if the process is killed.
    _guard: File,
}

/// What a transaction is about to do, for its rollback by another process.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    /// The new files with their hashes.
    files: BTreeMap<String, String>,
}

/// A change of a directory. Rolled back on drop, unless it was committed.
pub struct Transaction<'a> {
    directory: &'a mut Directory,
    staging: PathBuf,
    journal: Journal,
    committed: bool,
}

impl Directory {
    /// Creates the directory if it doesn't exist, waits for its lock, and rolls back transactions
    /// of killed processes.
    ///
    /// # Errors
    /// The directory can't be created, locked or read.
    pub fn open(path: &Path) -> Result<Self, TransactionError> {
        // A directory that other users can write, because of the umask, is rejected later.
        DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io_error("create the directory", path))?;
        let guard = path.join(GUARD);
        let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&guard);
        let file = file.map_err(io_error("write", &guard))?;
        file.lock().map_err(io_error("lock", &guard))?;
        let lock = Lock::read(path)?.unwrap_or_default();
        let directory = Self { path: path.to_owned(), lock, _guard: file };
        for entry in fs::read_dir(path).map_err(io_error("read", path))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                directory.recover(&entry.path())?;
            }
        }
        Ok(directory)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin that a file belongs to.
    pub fn owner(&self, file: &str) -> Option<&str> {
        self.lock.plugins.iter().find(|entry| entry.sha256.contains_key(file)).map(|entry| entry.name.as_str())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// It can't be written.
    pub fn begin(&mut self) -> Result<Transaction<'_>, TransactionError> {
        let staging = self.path.join(format!("{STAGING}{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&staging).map_err(io_error("create the directory", &staging))?;
        Ok(Transaction { directory: self, staging, journal: Journal::default(), committed: false })
    }

    /// Removes the files that no plugin has any more, and the directories that become empty. A
    /// missing file isn't an error.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn sweep<'f>(&self, files: impl IntoIterator<Item = &'f String>) -> Result<(), TransactionError> {
        for file in files.into_iter().filter(|file| self.owner(file).is_none()) {
            let path = self.path.join(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
                _ => self.prune(&path),
            }
        }
        Ok(())
    }

    /// Removes the directories above a file that are empty, up to this one.
    fn prune(&self, file: &Path) {
        for above in file.ancestors().skip(1).take_while(|above| *above != self.path) {
            if fs::remove_dir(above).is_err() {
                break;
            }
        }
    }

    /// Rolls back a transaction whose process was killed, unless it was committed.
    fn recover(&self, staging: &Path) -> Result<(), TransactionError> {
        let journal =
            fs::read(staging.join(JOURNAL)).ok().and_then(|bytes| serde_json::from_slice::<Journal>(&bytes).ok());
        if let Some(journal) = journal {
            let is_installed = |(file, hash): (&String, &String)| {
                let listed = self.lock.plugins.iter().any(|entry| entry.sha256.get(file) == Some(hash));
                listed && fs::read(self.path.join(file)).is_ok_and(|bytes| sha256(&bytes) == *hash)
            };
            if !journal.files.iter().all(is_installed) {
                self.roll_back(staging, &journal)?;
            }
        }
        fs::remove_dir_all(staging).map_err(io_error("remove", staging))
    }

    /// Undoes [`Transaction::move_in`], also if that didn't finish.
    fn roll_back(&self, staging: &Path, journal: &Journal) -> Result<(), TransactionError> {
        for file in journal.files.keys() {
            let (target, new, old) = (self.path.join(file), staging.join(NEW).join(file), staging.join(OLD).join(file));
            if old.exists() {
                fs::rename(&old, &target).map_err(io_error("restore", &target))?;
            } else if !new.exists() {
                match fs::remove_file(&target) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(io_error("remove", &target)(error));
                    }
                    _ => {}
                }
            }
            self.prune(&target);
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// The directory of staged files.
    pub fn staged(&self) -> PathBuf {
        self.staging.join(NEW)
    }

    /// A directory for temporary files, removed with the transaction.
    ///
    /// # Errors
    /// It can't be created.
    pub fn scratch(&self) -> Result<PathBuf, TransactionError> {
        let path = self.staging.join("scratch");
        DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create the directory", &path))?;
        Ok(path)
    }

    /// The directory that is changed.
    pub fn directory(&self) -> &Directory {
        self.directory
    }

    /// Stages a file. Returns its hash.
    ///
    /// # Errors
    /// It can't be written.
    pub fn stage(&mut self, file: &str, content: &[u8]) -> Result<String, TransactionError> {
        let path = self.staged().join(file);
        create_parent(&path)?;
        let hash = sha256(content);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(content)?;
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.sync_all()
        };
        write().map_err(io_error("write", &path))?;
        self.journal.files.insert(file.to_owned(), hash.clone());
        Ok(hash)
    }

    /// Moves the files into the directory, and writes the lock.
    ///
    /// # Errors
    /// A file can't be moved or written. The directory is as before then.
    pub fn commit(mut self, lock: Lock) -> Result<(), TransactionError> {
        // From here on unlisted files are rejected, also in a directory that had no lock before.
        self.directory.lock.write(&self.directory.path)?;
        self.write_journal()?;
        self.move_in(usize::MAX)?;
        lock.write(&self.directory.path)?;
        self.directory.lock = lock;
        self.committed = true;
        Ok(())
    }

    fn write_journal(&self) -> Result<(), TransactionError> {
        let path = self.staging.join(JOURNAL);
        let text = serde_json::to_vec(&self.journal).expect("a table of texts is JSON");
        Ok(write_atomic(&path, &text, 0o600).map(drop)?)
    }

    fn move_in(&self, at_most: usize) -> Result<(), TransactionError> {
        for file in self.journal.files.keys().take(at_most) {
            let target = self.directory.path.join(file);
            let old = self.staging.join(OLD).join(file);
            create_parent(&old)?;
            create_parent(&target)?;
            match fs::rename(&target, &old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("replace", &target)(error)),
                _ => {}
            }
            fs::rename(self.staged().join(file), &target).map_err(io_error("write", &target))?;
        }
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let rolled_back = if self.committed { Ok(()) } else { self.directory.roll_back(&self.staging, &self.journal) };
        match rolled_back {
            // The next process that opens the directory tries again.
            Err(error) => log::warn!("an unfinished installation can't be rolled back: {error}"),
            Ok(()) => {
                if let Err(error) = fs::remove_dir_all(&self.staging) {
                    log::debug!("{} can't be removed: {error}", self.staging.display());
                }
            }
        }
    }
}

fn create_parent(path: &Path) -> Result<(), TransactionError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(io_error("create the directory", parent))
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
