//! Writing files whole: readers see the old content or the new one, never half of either.

use super::Error;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names of files that are not whole yet begin with this.
const TEMPORARY: &str = ".kubernix-tmp-";

/// Writes a file by rename, unless it has this content already. `mode` (as of chmod(2)) holds in either case, whatever the
/// umask. `true` if the content changed. The directory must exist.
///
/// # Errors
/// The file can't be written, by path and cause; what was there before is still there then.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == content.len() as u64 => {
            // One that can't be read is replaced.
            if fs::read(path).is_ok_and(|old| old == content) {
                if found.mode() & 0o7777 != mode {
                    let changed = fs::set_permissions(path, Permissions::from_mode(mode));
                    changed.map_err(|cause| Error::io("change the mode of", path, cause))?;
                }
                return Ok(false);
            }
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io("write", path, cause)),
    }
    replace(path, content, mode, false).map(|()| true)
}

/// Writes a file by rename in any case; durable: not before the disk has it.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32, durable: bool) -> Result<(), Error> {
    /// Two threads may write the same file: each needs a name of its own.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = OsString::from(format!("{TEMPORARY}{}-", std::process::id()));
    name.push(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(directory) if durable => File::open(directory)?.sync_all(),
            _ => Ok(()),
        }
    })();
    written.map_err(|cause| {
        // Best effort: the error to report is why it couldn't be written.
        let _ = fs::remove_file(&temporary);
        Error::io("write", path, cause)
    })
}

/// Whether a file of this name is one that a broken-off write left.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}
