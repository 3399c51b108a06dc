//! Unpacks untrusted archives: only files and directories, only below the target directory, and
//! only up to a size.
//!
//! This module must not know what is in the files, nor where archives come from.

use super::lock::is_below;
use flate2::read::MultiGzDecoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tar::EntryType;

/// The largest total size of an archive's files, in bytes.
const MAX_SIZE: u64 = 512 << 20;
/// The largest number of entries of an archive.
const MAX_ENTRIES: usize = 4096;

/// Why an archive isn't unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It isn't an archive.
    #[error("it is neither a .tar nor a .tar.gz")]
    Unknown,
    /// It is truncated or damaged.
    #[error("it is damaged: {0}")]
    Damaged(io::Error),
    /// Its content is too large.
    #[error("it unpacks to more than {} MiB", MAX_SIZE >> 20)]
    TooLarge,
    /// It has too many entries.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// An entry leads out of the directory.
    #[error("its entry `{}` leads out of the directory", .0.display())]
    Outside(PathBuf),
    /// An entry is neither a file nor a directory.
    #[error("its entry `{}` is a {kind}: only files and directories are unpacked", path.display())]
    Kind {
        /// The entry.
        path: PathBuf,
        /// The kind of entry.
        kind: &'static str,
    },
    /// Two entries have the same name.
    #[error("its entry `{}` exists twice", .0.display())]
    Twice(PathBuf),
    /// A file can't be written.
    #[error("can't write `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
}

/// Unpacks a `.tar` or `.tar.gz` into an empty directory. Returns the directory of its files: if
/// all of them are in one directory, such as `NAME-VERSION/`, that one.
///
/// # Errors
/// It isn't an archive, or has something that the archive of a plugin never has.
pub fn unpack(bytes: &[u8], into: &Path) -> Result<PathBuf, ArchiveError> {
    unpack_within(bytes, into, MAX_SIZE)
}

fn unpack_within(bytes: &[u8], into: &Path, limit: u64) -> Result<PathBuf, ArchiveError> {
    // The limit includes the headers, which could be endless as well.
    let limit = limit + (MAX_ENTRIES as u64) * 1024;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        unpack_tar(MultiGzDecoder::new(bytes).take(limit), into)?;
    } else if bytes.get(257..262) == Some(b"ustar") {
        unpack_tar(bytes.take(limit), into)?;
    } else {
        return Err(ArchiveError::Unknown);
    }
    let mut entries = fs::read_dir(into).map_err(ArchiveError::Damaged)?.flatten();
    match (entries.next(), entries.next()) {
        (Some(only), None) if only.path().is_dir() => Ok(only.path()),
        _ => Ok(into.to_owned()),
    }
}

fn unpack_tar<R: Read>(reader: io::Take<R>, into: &Path) -> Result<(), ArchiveError> {
    let mut archive = tar::Archive::new(reader);
    let unpacked = unpack_entries(&mut archive, into);
    // An archive that was cut off by the limit looks damaged.
    match archive.into_inner().limit() {
        0 => Err(ArchiveError::TooLarge),
        _ => unpacked,
    }
}

fn unpack_entries<R: Read>(archive: &mut tar::Archive<R>, into: &Path) -> Result<(), ArchiveError> {
    for (number, entry) in archive.entries().map_err(ArchiveError::Damaged)?.enumerate() {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        if number >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let path = entry.path().map_err(ArchiveError::Damaged)?.into_owned();
        let kind = match entry.header().entry_type() {
            EntryType::Regular => "",
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Symlink | EntryType::Link => "link",
            EntryType::Char | EntryType::Block => "device",
            EntryType::Fifo => "pipe",
            _ => "special file",
        };
        if !kind.is_empty() {
            return Err(ArchiveError::Kind { path, kind });
        }
        let inner = path.strip_prefix(".").unwrap_or(&path);
        if !is_below(inner) {
            return Err(ArchiveError::Outside(path));
        }
        let target = into.join(inner);
        let mut file = match create_new(&target) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(ArchiveError::Twice(path)),
            Err(cause) => return Err(ArchiveError::Write { path: target, cause }),
        };
        io::copy(&mut entry, &mut file).map_err(ArchiveError::Damaged)?;
    }
    Ok(())
}

fn create_new(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    /// A tar archive. Names are written as they are, including those that the crate would reject.
    pub fn tar(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o777);
            let is_file = *kind == EntryType::Regular;
            header.set_size(if is_file { content.len() as u64 } else { 0 });
            if !is_file && !content.is_empty() {
                header.set_link_name(content).unwrap();
            }
            header.set_cksum();
            builder.append(&header, if is_file { content.as_bytes() } else { b"" }).unwrap();
        }
        builder.into_inner().unwrap()
    }

    pub fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn both_formats_are_unpacked_and_a_single_directory_is_entered() {
        let entries =
            [("./x-1.0/", EntryType::Directory, ""), ("./x-1.0/x.toml", FILE, "a"), ("x-1.0/p/go.mod", FILE, "b")];
        for bytes in [tar(&entries), gzip(&tar(&entries))] {
            let dir = tempfile::tempdir().unwrap();
            let top = unpack(&bytes, dir.path()).unwrap();
            assert_eq!(top, dir.path().join("x-1.0"));
            assert_eq!(fs::read_to_string(top.join("x.toml")).unwrap(), "a");
            assert_eq!(fs::read_to_string(top.join("p/go.mod")).unwrap(), "b");
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(unpack(&tar(&[("x.toml", FILE, "a"), ("p/y", FILE, "b")]), dir.path()).unwrap(), dir.path());
    }

    #[test]
    fn hostile_archives_are_rejected_with_the_reason() {
        let damaged = gzip(&tar(&[("x", FILE, &"random".repeat(1000))]));
        let mut liar = tar(&[("x", FILE, "")]);
        liar[124..135].copy_from_slice(b"77777777777");
        let many: Vec<_> = (0..=MAX_ENTRIES).map(|_| ("d/", EntryType::Directory, "")).collect();
        for (bytes, part) in [
            (tar(&[("../x", FILE, "a")]), "`../x` leads out of the directory"),
            (tar(&[("/etc/x", FILE, "a")]), "`/etc/x` leads out"),
            (tar(&[("a/../../x", FILE, "a")]), "leads out"),
            (tar(&[("x", EntryType::Symlink, "/etc/passwd")]), "`x` is a link"),
            (tar(&[("x", EntryType::Link, "/etc/passwd")]), "`x` is a link"),
            (tar(&[("x", EntryType::Char, "")]), "`x` is a device"),
            (tar(&[("x", EntryType::Fifo, "")]), "`x` is a pipe"),
            (tar(&[("x", EntryType::Continuous, "")]), "`x` is a special file"),
            (tar(&[("x", FILE, "a"), ("./x", FILE, "b")]), "`./x` exists twice"),
            (tar(&many), "more than 4096 entries"),
            (damaged[..damaged.len() / 2].to_vec(), "it is damaged"),
            (liar, "it is damaged"),
            (b"PK\x03\x04".to_vec(), "neither a .tar nor a .tar.gz"),
            (Vec::new(), "neither a .tar nor a .tar.gz"),
        ] {
            let outer = tempfile::tempdir().unwrap();
            let dir = outer.path().join("in");
            fs::create_dir(&dir).unwrap();
            let error = unpack(&bytes, &dir).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
            assert!(!outer.path().join("x").exists());
        }
    }

    #[test]
    fn unpacking_stops_at_the_size_limit() {
        let dir = tempfile::tempdir().unwrap();
        let bomb = gzip(&tar(&[("x", FILE, &"0".repeat(8 << 20))]));
        assert!(bomb.len() < 100 << 10);
        assert!(matches!(unpack_within(&bomb, dir.path(), 1 << 20), Err(ArchiveError::TooLarge)));
        assert!(fs::metadata(dir.path().join("x")).unwrap().len() <= 6 << 20);
    }
}
