//! Adds files to a plugin directory and removes them, all or none of them, whatever other process
//! does the same at that time.
//!
//! New files are staged in a hidden directory beside the old ones, moved in by rename, and count
//! once the lock lists them. What fails is taken back at once; what is killed is taken back by the
//! next transaction, and until then the lock keeps it from being loaded. This module must not know
//! what the files are.

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

/// Why a directory can't be changed. Each message holds its cause.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The file system says no.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
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

/// A directory that no other process changes while this is held.
pub struct Directory {
    path: PathBuf,
    /// What is installed.
    pub lock: Lock,
    // Held for its lock alone, which ends with it, however the process ends.
    _guard: File,
}

/// What a transaction is about to do, so that a later one can undo it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    /// The new files with their hashes.
    files: BTreeMap<String, String>,
}

/// Files on their way into a directory.
pub struct Transaction<'a> {
    directory: &'a mut Directory,
    staging: PathBuf,
    journal: Journal,
    done: bool,
}

impl Directory {
    /// Creates the directory if it is missing, waits until no other process changes it, and undoes
    /// what was broken off.
    ///
    /// # Errors
    /// It can't be made, locked or read.
    pub fn open(path: &Path) -> Result<Self, TransactionError> {
        // Whatever the umask: a directory that others can write is refused later.
        DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io_error("make the directory", path))?;
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin that a file belongs to.
    pub fn owner(&self, file: &str) -> Option<&str> {
        self.lock.plugins.iter().find(|entry| entry.sha256.contains_key(file)).map(|entry| entry.name.as_str())
    }

    /// Begins to put files into it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn begin(&mut self) -> Result<Transaction<'_>, TransactionError> {
        let staging = self.path.join(format!("{STAGING}{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&staging).map_err(io_error("make the directory", &staging))?;
        Ok(Transaction { directory: self, staging, journal: Journal::default(), done: false })
    }

    /// Removes files that no plugin has any more, and the directories that get empty by that. What
    /// is gone already is fine.
    ///
    /// # Errors
    /// One can't be removed.
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

    /// Takes back a transaction that was killed, unless it had come to its end.
    fn recover(&self, staging: &Path) -> Result<(), TransactionError> {
        let journal =
            fs::read(staging.join(JOURNAL)).ok().and_then(|bytes| serde_json::from_slice::<Journal>(&bytes).ok());
        if let Some(journal) = journal {
            let whole = |(file, hash): (&String, &String)| {
                let listed = self.lock.plugins.iter().any(|entry| entry.sha256.get(file) == Some(hash));
                listed && fs::read(self.path.join(file)).is_ok_and(|bytes| sha256(&bytes) == *hash)
            };
            if !journal.files.iter().all(whole) {
                self.take_back(staging, &journal)?;
            }
        }
        fs::remove_dir_all(staging).map_err(io_error("remove", staging))
    }

    /// Undoes what [`Transaction::move_in`] did, however far that came.
    fn take_back(&self, staging: &Path, journal: &Journal) -> Result<(), TransactionError> {
        for file in journal.files.keys() {
            let (place, new, old) = (self.path.join(file), staging.join(NEW).join(file), staging.join(OLD).join(file));
            if old.exists() {
                fs::rename(&old, &place).map_err(io_error("restore", &place))?;
            } else if !new.exists() {
                match fs::remove_file(&place) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("remove", &place)(error)),
                    _ => {}
                }
            }
            self.prune(&place);
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Where files lie that are staged.
    pub fn staged(&self) -> PathBuf {
        self.staging.join(NEW)
    }

    /// A directory for whatever else is needed on the way, gone with the transaction.
    ///
    /// # Errors
    /// It can't be made.
    pub fn scratch(&self) -> Result<PathBuf, TransactionError> {
        let path = self.staging.join("scratch");
        DirBuilder::new().mode(0o700).create(&path).map_err(io_error("make the directory", &path))?;
        Ok(path)
    }

    /// The directory that files are put into.
    pub fn directory(&self) -> &Directory {
        self.directory
    }

    /// Stages a file, and tells its hash.
    ///
    /// # Errors
    /// It can't be written.
    pub fn stage(&mut self, file: &str, content: &[u8]) -> Result<String, TransactionError> {
        let path = self.staged().join(file);
        make_above(&path)?;
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

    /// Moves everything into its place, and makes it count.
    ///
    /// # Errors
    /// It can't be done; all is as it was.
    pub fn commit(mut self, lock: Lock) -> Result<(), TransactionError> {
        // From here on unlisted files are refused, also in a directory that had no lock yet.
        self.directory.lock.write(&self.directory.path)?;
        self.write_journal()?;
        self.move_in(usize::MAX)?;
        lock.write(&self.directory.path)?;
        self.directory.lock = lock;
        self.done = true;
        Ok(())
    }

    fn write_journal(&self) -> Result<(), TransactionError> {
        let path = self.staging.join(JOURNAL);
        let text = serde_json::to_vec(&self.journal).expect("a table of texts is JSON");
        Ok(write_atomic(&path, &text, 0o600).map(drop)?)
    }

    fn move_in(&self, at_most: usize) -> Result<(), TransactionError> {
        for file in self.journal.files.keys().take(at_most) {
            let place = self.directory.path.join(file);
            let old = self.staging.join(OLD).join(file);
            make_above(&old)?;
            make_above(&place)?;
            match fs::rename(&place, &old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("replace", &place)(error)),
                _ => {}
            }
            fs::rename(self.staged().join(file), &place).map_err(io_error("write", &place))?;
        }
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let taken_back = if self.done { Ok(()) } else { self.directory.take_back(&self.staging, &self.journal) };
        match taken_back {
            // What can't be undone now is left to the next transaction.
            Err(error) => log::warn!("a broken-off installation couldn't be taken back: {error}"),
            Ok(()) => {
                if let Err(error) = fs::remove_dir_all(&self.staging) {
                    log::debug!("{} stays behind: {error}", self.staging.display());
                }
            }
        }
    }
}

fn make_above(path: &Path) -> Result<(), TransactionError> {
    let Some(above) = path.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(io_error("make the directory", above))
}

#[cfg(test)]
mod tests {
    use super::super::lock::Entry;
    use super::*;

    fn lock(files: &[(&str, &str)]) -> Lock {
        let sha256 = files.iter().map(|(file, text)| ((*file).to_owned(), sha256(text.as_bytes()))).collect();
        let (name, version, file, origin) = ("x".into(), "1.0.0".into(), "libx.so".into(), "/o".into());
        Lock { plugins: vec![Entry { name, version, file, origin, sha256 }] }
    }

    /// All files with their content, but for those that are always there.
    fn files(dir: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut todo = vec![dir.to_owned()];
        while let Some(at) = todo.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                match path.is_dir() {
                    true => todo.push(path),
                    false if name == GUARD || name == super::super::lock::LOCK_FILE => {}
                    false => drop(found.insert(name, fs::read_to_string(&path).unwrap())),
                }
            }
        }
        found
    }

    fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    const FIRST: [(&str, &str); 3] = [("libx.so", "one"), ("pins/go.mod", "one"), ("x.toml", "one")];
    const SECOND: [(&str, &str); 3] = [("libx.so", "two"), ("x.toml", "two"), ("zz/go.mod", "two")];

    fn install(dir: &Path, files: &[(&str, &str)]) {
        let mut directory = Directory::open(dir).unwrap();
        let mut transaction = directory.begin().unwrap();
        files.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
        transaction.commit(lock(files)).unwrap();
    }

    #[test]
    fn what_is_broken_off_leaves_all_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(dir.path()).unwrap();
        let mut transaction = directory.begin().unwrap();
        transaction.stage("pins/go.mod", b"text").unwrap();
        transaction.scratch().unwrap();
        drop(transaction);
        assert_eq!(files(dir.path()), expected(&[]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the guard alone stays");
        // A file stands where a directory should be: the files before it are taken back.
        fs::write(dir.path().join("zz"), "in the way").unwrap();
        let mut transaction = directory.begin().unwrap();
        let files_of_it = [("libx.so", "one"), ("pins/go.mod", "one"), ("zz/go.mod", "one")];
        files_of_it.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
        assert!(transaction.commit(lock(&files_of_it)).is_err());
        assert_eq!(files(dir.path()), expected(&[("zz", "in the way")]));
        assert_eq!(directory.lock, Lock::default());
    }

    #[test]
    fn what_was_killed_at_any_step_is_taken_back_by_the_next() {
        for steps in 0..=SECOND.len() {
            let dir = tempfile::tempdir().unwrap();
            install(dir.path(), &FIRST);
            assert_eq!(files(dir.path()), expected(&FIRST));
            let mut directory = Directory::open(dir.path()).unwrap();
            let mut transaction = directory.begin().unwrap();
            SECOND.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
            transaction.write_journal().unwrap();
            transaction.move_in(steps).unwrap();
            // As after SIGKILL: there is no clean-up, but the kernel releases the lock.
            std::mem::forget(transaction);
            drop(directory);
            let next = Directory::open(dir.path()).unwrap();
            assert_eq!(files(dir.path()), expected(&FIRST), "killed after {steps} files");
            assert_eq!(next.lock, lock(&FIRST));
            assert!(!dir.path().join("zz").exists());
        }
    }

    #[test]
    fn what_was_killed_after_it_counted_stays() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), &FIRST);
        let mut directory = Directory::open(dir.path()).unwrap();
        let mut transaction = directory.begin().unwrap();
        SECOND.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
        transaction.write_journal().unwrap();
        transaction.move_in(usize::MAX).unwrap();
        lock(&SECOND).write(dir.path()).unwrap();
        std::mem::forget(transaction);
        drop(directory);
        let next = Directory::open(dir.path()).unwrap();
        assert_eq!(next.lock, lock(&SECOND));
        next.sweep(lock(&FIRST).plugins[0].sha256.keys()).unwrap();
        assert_eq!(files(dir.path()), expected(&SECOND));
        assert!(!dir.path().join("pins").exists());
    }

    #[test]
    fn two_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = dir.path();
                scope.spawn(move || {
                    let mut directory = Directory::open(path).unwrap();
                    let mut lock = directory.lock.clone();
                    let mut transaction = directory.begin().unwrap();
                    let (name, file) = (format!("p{number}"), format!("p{number}.toml"));
                    let hash = transaction.stage(&file, b"text").unwrap();
                    let sha256 = [(file.clone(), hash)].into();
                    lock.plugins.push(Entry { name, version: String::new(), file, origin: String::new(), sha256 });
                    transaction.commit(lock).unwrap();
                });
            }
        });
        let lock = Lock::read(dir.path()).unwrap().unwrap();
        assert_eq!(lock.plugins.len(), 8);
        assert_eq!(files(dir.path()).len(), 8);
    }
}
