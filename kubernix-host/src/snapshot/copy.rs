//! Copies files and directories of a paused process as fast as possible. Holes stay holes, and file
//! systems that can share blocks between files do so.

use nix::errno::Errno;
use nix::fcntl::copy_file_range;
use nix::unistd::{Whence, lseek};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How much is copied between two checks of the deadline, in bytes.
const PIECE: u64 = 8 << 20;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is neither a file nor a directory.
    #[error("`{}` is a {kind}: only files and directories can be in a snapshot", path.display())]
    Kind {
        /// Its path.
        path: PathBuf,
        /// Its kind: `symbolic link`, `special file`.
        kind: &'static str,
    },
    /// The deadline passed.
    #[error("copying takes too long")]
    TooLong,
    /// A file operation failed.
    #[error("can't copy `{}`: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

impl CopyError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}

/// Copies a directory recursively. Leaves out sockets and paths for which `is_excluded` returns
/// `true`. Creates the target with mode 0700.
///
/// # Errors
/// See [`CopyError`]. Files that were copied already stay.
pub fn directory(
    from: &Path,
    to: &Path,
    is_excluded: &dyn Fn(&Path) -> bool,
    deadline: Option<Instant>,
) -> Result<(), CopyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(CopyError::io(to))?;
    for entry in fs::read_dir(from).map_err(CopyError::io(from))? {
        let entry = entry.map_err(CopyError::io(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if is_excluded(&path) {
            continue;
        }
        let kind = entry.file_type().map_err(CopyError::io(&path))?;
        if kind.is_dir() {
            directory(&path, &target, is_excluded, deadline)?;
        } else if kind.is_file() {
            file(&path, &target, deadline)?;
        } else if kind.is_symlink() {
            return Err(CopyError::Kind { path, kind: "symbolic link" });
        } else if !std::os::unix::fs::FileTypeExt::is_socket(&kind) {
            return Err(CopyError::Kind { path, kind: "special file" });
        }
    }
    Ok(())
}

/// Copies a file into a new one of the same mode.
///
/// # Errors
/// See [`CopyError`].
pub fn file(from: &Path, to: &Path, deadline: Option<Instant>) -> Result<(), CopyError> {
    let copy_error = || CopyError::io(from);
    let source = File::open(from).map_err(copy_error())?;
    let found = source.metadata().map_err(copy_error())?;
    let target = OpenOptions::new().write(true).create_new(true).mode(found.mode() & 0o7777).open(to);
    let target = target.map_err(CopyError::io(to))?;
    let mut at = 0;
    while let Some((begin, end)) = next_data(&source, at, found.size()).map_err(copy_error())? {
        at = begin;
        while at < end {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(CopyError::TooLong);
            }
            let copied = copy_piece(&source, &target, at, PIECE.min(end - at)).map_err(copy_error())?;
            if copied == 0 {
                // The file was truncated meanwhile.
                break;
            }
            at += copied;
        }
        at = at.max(end);
    }
    target.set_len(found.size()).map_err(copy_error())
}

/// The next range of data in a file, from `at` on; `None` if only a hole follows.
fn next_data(file: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let seek = |from: u64, whence| lseek(file, from.cast_signed(), whence).map(i64::cast_unsigned);
    let begin = match seek(at, Whence::SeekData) {
        Ok(begin) => begin,
        Err(Errno::ENXIO) => return Ok(None),
        // The file system doesn't support holes.
        Err(_) => return Ok(Some((at, size))),
    };
    let end = seek(begin, Whence::SeekHole).unwrap_or(size);
    Ok((begin < size).then_some((begin, end.clamp(begin + 1, size))))
}

/// Copies at most `length` bytes to the same offset of another file; returns their number.
fn copy_piece(from: &File, to: &File, at: u64, length: u64) -> io::Result<u64> {
    let (mut off_in, mut off_out) = (at.cast_signed(), at.cast_signed());
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match copy_file_range(from, Some(&mut off_in), to, Some(&mut off_out), length) {
        Ok(copied) => Ok(copied as u64),
        // The files are on different file systems, or the file system doesn't support the call.
        Err(Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            let mut buffer = vec![0; length.min(1 << 20)];
            let read = from.read_at(&mut buffer, at)?;
            to.write_all_at(&buffer[..read], at)?;
            Ok(read as u64)
        }
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    #[test]
    fn content_modes_and_holes_are_copied_and_sockets_and_excluded_files_are_not() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(from.join("deep/er/file"), "content").unwrap();
        fs::write(from.join("deep/x.log"), "noise").unwrap();
        let _socket = UnixListener::bind(from.join("s.sock")).unwrap();
        let sparse = OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(from.join("sparse"));
        let sparse = sparse.unwrap();
        sparse.write_all_at(b"in the middle", 32 << 20).unwrap();
        sparse.set_len(64 << 20).unwrap();
        sparse.sync_all().unwrap();
        directory(&from, &to, &|path| path.extension().is_some_and(|ending| ending == "log"), None).unwrap();
        assert_eq!(fs::read(to.join("deep/er/file")).unwrap(), b"content");
        assert_eq!(fs::read(to.join("sparse")).unwrap(), fs::read(from.join("sparse")).unwrap());
        let found = fs::metadata(to.join("sparse")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.size()), (0o640, 64 << 20));
        assert!(found.blocks() <= sparse.metadata().unwrap().blocks(), "{} blocks", found.blocks());
        assert!(!to.join("s.sock").exists() && !to.join("deep/x.log").exists());
        // At an offset, without `copy_file_range` on some file systems.
        let (plain, source) = (place.path().join("plain"), File::open(from.join("deep/er/file")).unwrap());
        let target = File::create_new(&plain).unwrap();
        source.read_at(&mut [0], 0).unwrap();
        assert_eq!(copy_piece(&source, &target, 3, 100).unwrap(), 4);
        assert_eq!(fs::read(&plain).unwrap(), b"\0\0\0tent");
    }

    #[test]
    fn links_are_rejected_and_the_deadline_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a"), "x").unwrap();
        let past = Instant::now() - Duration::from_millis(1);
        assert!(matches!(directory(&from, &to, &|_| false, Some(past)), Err(CopyError::TooLong)));
        symlink("/etc", from.join("link")).unwrap();
        let error = directory(&from, &place.path().join("other"), &|_| false, None).unwrap_err().to_string();
        assert!(error.contains("from/link` is a symbolic link"), "{error}");
    }
}
