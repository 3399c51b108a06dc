//! Writes files atomically, with the errors of root directories: see [`kubernix_toolchain::files`].

use super::Error;
use std::path::Path;

pub use kubernix_toolchain::files::is_temporary;
pub(super) use kubernix_toolchain::files::{Staged, directory, is_unchanged};

/// As [`kubernix_toolchain::files::write_atomic`].
///
/// # Errors
/// The file can't be written; the error has the path and the cause. The old file isn't changed
/// then.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<bool, Error> {
    Ok(kubernix_toolchain::files::write_atomic(path, content, mode)?)
}

/// As [`kubernix_toolchain::files::write_durable`].
///
/// # Errors
/// The file can't be written or synced; the error has the path and the cause.
pub fn write_durable(path: &Path, content: &[u8], mode: u32) -> Result<bool, Error> {
    Ok(kubernix_toolchain::files::write_durable(path, content, mode)?)
}

/// Syncs a file or directory. An error names the file that is written, not its directory.
pub(super) fn sync(place: &Path, written: &Path) -> Result<(), Error> {
    Ok(kubernix_toolchain::files::sync(place, written)?)
}
