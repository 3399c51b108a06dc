//! Writes files atomically: a reader sees the old content or the new one, never a part of either.
//!
//! | function | after a crash of the process | after a power loss |
//! |---|---|---|
//! | [`write_atomic`] | old or new | old, new, or **empty**: only for files that the next boot writes again |
//! | [`write_durable`] | old or new | new, once it has returned; else old or new |

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} `{}`: {cause}", path.display())]
pub struct FileError {
    /// The operation: `write`, `change the mode of`.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub cause: io::Error,
}

impl FileError {
    fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { action, path: path.to_owned(), cause }
    }
}

/// The prefix of the names of temporary files.
const TEMPORARY: &str = ".kubernix-tmp-";

/// Writes a file by rename, unless it has this content already. `mode` (as of chmod(2)) holds in
/// either case, whatever the umask. Returns `true` if the content changed. The directory must
/// exist.
///
/// Nothing is synced. A power loss may leave an empty file, so state that must survive one is
/// written by [`write_durable`].
///
/// # Errors
/// The file can't be written. The old file still exists then.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<bool, FileError> {
    if is_unchanged(path, content, mode)? {
        return Ok(false);
    }
    let staged = Staged::write(path, content, mode)?;
    staged.rename()?;
    Ok(true)
}

/// Like [`write_atomic`], but returns only when the disk has the file and its name: both the file
/// and its directory are synced. A file that has this content already is synced as well.
///
/// It costs a commit of the file system's journal, some milliseconds. To write several files at
/// once, use its parts: [`Staged`] and [`sync`].
///
/// # Errors
/// The file can't be written or synced. The old file still exists then, or the new one if only the
/// directory can't be synced.
pub fn write_durable(path: &Path, content: &[u8], mode: u32) -> Result<bool, FileError> {
    let changed = !is_unchanged(path, content, mode)?;
    if changed {
        let staged = Staged::write(path, content, mode)?;
        staged.sync()?;
        staged.rename()?;
    } else {
        sync(path, path)?;
    }
    sync(directory(path), path)?;
    Ok(changed)
}

/// Whether a regular file has this content already. If so, its mode is corrected. A file that can't
/// be read counts as changed.
pub fn is_unchanged(path: &Path, content: &[u8], mode: u32) -> Result<bool, FileError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(FileError::new("write", path, cause)),
    };
    let same = found.is_file() && found.len() == content.len() as u64 && fs::read(path).is_ok_and(|old| old == content);
    if same && found.mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|cause| FileError::new("change the mode of", path, cause))?;
    }
    Ok(same)
}

/// A file's new content under a temporary name beside it. Removed when dropped before the rename.
pub struct Staged<'a> {
    path: &'a Path,
    file: File,
    temporary: Option<PathBuf>,
}

impl<'a> Staged<'a> {
    /// Writes the temporary file.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(path: &'a Path, content: &[u8], mode: u32) -> Result<Self, FileError> {
        let failed = |cause| FileError::new("write", path, cause);
        let temporary = temporary_name(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let mut staged = Self { path, file: file.map_err(failed)?, temporary: Some(temporary) };
        staged.file.write_all(content).map_err(failed)?;
        staged.file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        Ok(staged)
    }

    /// Waits until the disk has the content.
    ///
    /// # Errors
    /// The file can't be synced.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(|cause| FileError::new("write", self.path, cause))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The file can't be replaced.
    pub fn rename(mut self) -> Result<(), FileError> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        fs::rename(temporary, self.path).map_err(|cause| FileError::new("write", self.path, cause))?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // The caller reports the error that prevented the write.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Syncs a file or directory. An error names the file to write, not its directory.
pub fn sync(place: &Path, written: &Path) -> Result<(), FileError> {
    let synced = File::open(place).and_then(|file| file.sync_all());
    synced.map_err(|cause: io::Error| FileError::new("write", written, cause))
}

/// The directory that a file is in.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// A path beside the file that no other thread or process uses.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = OsString::from(format!("{TEMPORARY}{}-", std::process::id()));
    name.push(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    path.with_file_name(name)
}

/// Whether this is the name of a temporary file, which is incomplete.
pub fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}
