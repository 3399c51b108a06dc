//! Writes small files atomically: the state of a running cluster, which may be lost in a power
//! failure.
//!
//! Must not know the contents.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The prefix of temporary files. The next boot removes the ones that remain.
const TEMPORARY: &str = ".kubernix-tmp-";

/// Writes a file by rename: a reader sees either the old or the new content. `mode` (see chmod(2))
/// applies regardless of the umask. Nothing is synced. The directory must exist.
///
/// # Errors
/// The file can't be written; the message has the path and the cause. The old file is unchanged.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace(path, content, mode)
        .map_err(|cause| io::Error::new(cause.kind(), format!("can't write `{}`: {cause}", path.display())))
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    // libc's rename(2), which the fault suite can make fail. The temporary file is removed on
    // an error.
    let mut temporary = file.into_temp_path();
    std::fs::rename(&temporary, path)?;
    temporary.disable_cleanup(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_is_replaced_with_its_mode() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("note");
        write_atomic(&path, b"one", 0o700).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1, "no temporary file remains");
        let error = write_atomic(&base.path().join("missing/note"), b"", 0o600).unwrap_err().to_string();
        assert!(error.contains("missing/note`: "), "{error}");
    }
}
