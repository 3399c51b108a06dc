//! Writes a snapshot to a temporary file, and renames it when it is complete.

use super::manifest::NAME;
use super::{ENDING, Entry, Error, Head, Manifest, read};
use crate::digits;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// The path that a snapshot is written to. If `to` is a directory, the file name is the cluster's
/// name with the time. An existing snapshot will be replaced.
///
/// # Errors
/// The file exists and isn't a snapshot, or can't be read.
pub fn target(to: &Path, head: &Head) -> Result<PathBuf, Error> {
    let path = if to.is_dir() {
        to.join(format!("{}-{}{ENDING}", head.cluster, head.saved.strftime("%Y%m%dT%H%M%S%.3fZ")))
    } else {
        to.to_owned()
    };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path),
        Err(cause) => Err(Error::io("write", &path)(cause)),
        Ok(_) => match read::manifest(&path) {
            Ok(_) | Err(Error::Newer { .. }) => Ok(path),
            Err(error @ Error::Io { .. }) => Err(error),
            Err(_) => Err(Error::Occupied(path)),
        },
    }
}

/// The sizes of a written snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file's size, in bytes.
    pub size: u64,
    /// The size of its content, in bytes.
    pub content: u64,
}

/// Packs all files below `from` into a snapshot with mode 0600. The file is either complete or
/// unchanged. Stops and returns `None` as soon as `should_continue` returns `false`.
///
/// # Errors
/// A file can't be read or isn't a file of a cluster, or the snapshot can't be written.
pub fn write(from: &Path, head: Head, to: &Path, should_continue: &dyn Fn() -> bool) -> Result<Option<Written>, Error> {
    let mut paths = Vec::new();
    files(from, Path::new(""), &mut paths)?;
    paths.sort();
    let mut entries = Vec::new();
    for path in &paths {
        if !should_continue() {
            return Ok(None);
        }
        entries.push(describe(from, path)?);
    }
    let manifest = Manifest { head, entries };
    manifest.check().map_err(|why| Error::Hostile { path: to.to_owned(), why })?;
    let place = to.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write_error = || Error::io("write", to);
    let file = tempfile::Builder::new()
        .prefix(".kubernix-tmp-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(place)
        .map_err(write_error())?;
    if compress(from, &manifest, file.as_file(), should_continue)
        .or_else(none_if_cancelled)
        .map_err(write_error())?
        .is_none()
    {
        return Ok(None);
    }
    let size = file.as_file().metadata().map_err(write_error())?.size();
    file.persist(to).map_err(|error| write_error()(error.error))?;
    // Sync the directory as well, so that the new name is durable.
    File::open(place).and_then(|place| place.sync_all()).map_err(write_error())?;
    Ok(Some(Written { size, content: manifest.size() }))
}

/// A stream whose writes fail with `BrokenPipe` as soon as `should_continue` returns `false`.
struct Cancellable<'a, W> {
    stream: W,
    should_continue: &'a dyn Fn() -> bool,
}

impl<W: Write> Write for Cancellable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.should_continue)() {
            // Not `Interrupted`, after which writes are retried.
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// `Ok(None)` for the error of [`Cancellable`].
fn none_if_cancelled<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(None) } else { Err(error) }
}

fn compress(
    from: &Path,
    manifest: &Manifest,
    file: &File,
    should_continue: &dyn Fn() -> bool,
) -> io::Result<Option<()>> {
    let stream = GzEncoder::new(BufWriter::new(file), Compression::fast());
    let buffer = pack(from, manifest, Cancellable { stream, should_continue })?.stream.finish()?;
    buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all().map(Some)
}

fn pack<W: Write>(from: &Path, manifest: &Manifest, stream: W) -> io::Result<W> {
    let mut tar = Builder::new(stream);
    let text = serde_json::to_vec_pretty(manifest)?;
    let saved = manifest.head.saved.as_second().unsigned_abs();
    let mut append = |path: &str, size: u64, mode: u32, content: &mut dyn Read| {
        // Without the extensions for longer names and links, so that readers needn't support them.
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_path(path)?;
        header.set_size(size);
        header.set_mode(mode);
        header.set_mtime(saved);
        header.set_cksum();
        tar.append(&header, content)
    };
    append(NAME, text.len() as u64, 0o600, &mut text.as_slice())?;
    for entry in &manifest.entries {
        append(&entry.path, entry.size, entry.mode, &mut File::open(from.join(&entry.path))?.take(entry.size))?;
    }
    tar.into_inner()
}

fn files(from: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let directory = from.join(below);
    let read_error = || Error::io("read", &directory);
    for entry in fs::read_dir(&directory).map_err(read_error())? {
        let entry = entry.map_err(read_error())?;
        let path = below.join(entry.file_name());
        if entry.file_type().map_err(read_error())?.is_dir() {
            files(from, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn describe(from: &Path, path: &Path) -> Result<Entry, Error> {
    let whole = from.join(path);
    let read_error = || Error::io("read", &whole);
    let mut file = File::open(&whole).map_err(read_error())?;
    let found = file.metadata().map_err(read_error())?;
    let mut hash = Hash::default();
    let size = io::copy(&mut file, &mut hash).map_err(read_error())?;
    let path = path.to_string_lossy().into_owned();
    Ok(Entry { path, size, mode: found.mode() & 0o777, sha256: hash.hex() })
}

/// Computes the SHA-256 of the bytes that are written to it.
#[derive(Default)]
pub(super) struct Hash(Sha256);

impl Hash {
    /// The hash in hexadecimal.
    pub fn hex(self) -> String {
        digits::hex(&self.0.finalize())
    }
}

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
