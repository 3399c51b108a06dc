//! Writes many files durably at the price of a few syncs.
//!
//! One after the other, forty files would cost forty commits of the file system's journal. Here all
//! temporary files are written first and synced side by side, so that one commit serves many.

use super::Error;
use super::write::{Staged, directory, is_unchanged, sync};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

/// How many syncs wait for the disk at the same time.
const THREADS: usize = 16;

/// Files to be written together. They count only after [`commit`](Self::commit); if the batch is
/// dropped before that, no file was written.
#[derive(Debug, Default)]
pub struct Batch {
    files: Vec<Entry>,
    /// Directories that were made, whose names must reach the disk as well.
    made: Vec<PathBuf>,
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

impl Batch {
    /// Adds a file. `mode` is as of chmod(2), whatever the umask. The directory must exist at the
    /// commit. The last content of a path counts.
    pub fn add(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>, mode: u32) {
        let entry = Entry { path: path.into(), content: content.into(), mode };
        self.files.retain(|old| old.path != entry.path);
        self.files.push(entry);
    }

    /// Makes a directory and those above it at once, so that it can be used before the commit, which
    /// makes it durable. `mode` holds whatever the umask, also for one that was there.
    ///
    /// # Errors
    /// It can't be made, or something else is there.
    pub fn make_directory(&mut self, path: &Path, mode: u32) -> Result<(), Error> {
        let failed = |cause| Error::io("make the directory", path, cause);
        let found = match fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(failed(ErrorKind::NotADirectory.into())),
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let missing: Vec<_> = path.ancestors().take_while(|above| !above.exists()).collect();
                DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
                self.made.extend(missing.into_iter().map(Path::to_owned));
                fs::metadata(path).map_err(failed)?
            }
            Err(cause) => return Err(failed(cause)),
        };
        if found.mode() & 0o7777 != mode {
            fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|cause| Error::io("change the mode of", path, cause))?;
        }
        Ok(())
    }

    /// Writes all files whose content differs, and returns how many did. When it returns, the disk has
    /// them. They are put in place in the order in which they were added, after all of them were
    /// synced, so that a full disk changes nothing.
    ///
    /// # Errors
    /// A file can't be written or synced; the error has the path and the cause. Up to the first rename
    /// all old files are still there; a failure after that leaves some old and some new, each whole.
    pub fn commit(self) -> Result<usize, Error> {
        let mut staged = Vec::new();
        // Each with a path in it that an error can name.
        let mut directories: BTreeMap<&Path, &Path> =
            self.made.iter().map(|made| (directory(made), made.as_path())).collect();
        for Entry { path, content, mode } in &self.files {
            directories.entry(directory(path)).or_insert(path.as_path());
            if !is_unchanged(path, content, *mode)? {
                staged.push(Staged::write(path, content, *mode)?);
            }
        }
        side_by_side(&staged, Staged::sync)?;
        let written = staged.len();
        for file in staged {
            file.rename()?;
        }
        // Also where nothing changed: an earlier commit may have ended between rename and sync.
        let directories: Vec<_> = directories.into_iter().collect();
        side_by_side(&directories, |(directory, path)| sync(directory, path))?;
        Ok(written)
    }
}

/// Does this for all items in a few threads, and in this one where the system gives no thread. Returns
/// the first error in the order of the items.
fn side_by_side<T: Sync>(items: &[T], act: impl Fn(&T) -> Result<(), Error> + Sync) -> Result<(), Error> {
    let share = items.len().div_ceil(THREADS).max(1);
    let act_on_all = |share: &[T]| share.iter().try_for_each(&act);
    thread::scope(|scope| {
        let started: Vec<_> = items
            .chunks(share)
            .map(|share| (share, thread::Builder::new().spawn_scoped(scope, move || act_on_all(share))))
            .collect();
        let mut result = Ok(());
        for (share, thread) in started {
            let done = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => act_on_all(share),
            };
            result = result.and(done);
        }
        result
    })
}
