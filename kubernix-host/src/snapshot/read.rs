//! Reads snapshots, which may be damaged or hostile: all content is checked against the manifest,
//! and no file is written outside the target directory.

use super::manifest::{DATASTORE, NAME};
use super::pack::Hash;
use super::{Entry, Error, FORMAT, Manifest, Rejection};
use crate::root_dir::free_bytes;
use flate2::bufread::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// The maximum size of a manifest, in bytes.
const MAX_MANIFEST: u64 = 32 << 20;
/// The maximum size of the padding after the last entry, in bytes.
const MAX_PADDING: u64 = 1 << 20;
/// The size of a read, in bytes. Blocks of zeros become holes.
const BLOCK: usize = 64 << 10;

type Stream = GzDecoder<BufReader<File>>;

/// Reads only the manifest of a snapshot.
///
/// # Errors
/// The file isn't a snapshot, is of a newer version, or its manifest is damaged.
pub fn manifest(path: &Path) -> Result<Manifest, Error> {
    let mut archive = open(path)?;
    let mut entries = archive.entries().map_err(damaged(path))?.raw(true);
    first(path, &mut entries)
}

/// Reads a snapshot completely and checks it.
///
/// # Errors
/// The file isn't a snapshot, is of a newer version, is damaged, or can't be restored.
pub fn verify(path: &Path) -> Result<Manifest, Error> {
    walk(path, |_| Ok(()), &mut |_, content| io::copy(content, &mut io::sink()).map(drop))
}

/// Unpacks a snapshot into a directory, to the paths of a cluster's root directory. `expected`: its
/// manifest, which was read before. Stops and returns `None` as soon as `should_continue` returns
/// `false`.
///
/// # Errors
/// The snapshot is damaged or was changed, there isn't enough space, or a file can't be written.
/// Files that were unpacked already stay.
pub fn unpack(
    path: &Path,
    expected: &Manifest,
    into: &Path,
    should_continue: &dyn Fn() -> bool,
) -> Result<Option<()>, Error> {
    let mut cancelled = false;
    let mut write_error = None;
    // The directories of all unpacked files, to sync their entries as well.
    let mut directories = BTreeSet::from([into.to_owned()]);
    let begin = |manifest: &Manifest| {
        if manifest != expected {
            return Err(Error::Damaged { path: path.to_owned(), why: "it was changed during the restore".into() });
        }
        match free_bytes(into) {
            Some(free) if free < manifest.size() => {
                let (path, place) = (path.to_owned(), into.to_owned());
                Err(Error::NoSpace { path, place, needed: manifest.size(), free })
            }
            _ => Ok(()),
        }
    };
    let result = walk(path, begin, &mut |entry, content| {
        if !should_continue() {
            cancelled = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let inner = Path::new(&entry.path);
        let target = into.join(inner.strip_prefix(DATASTORE).unwrap_or(inner));
        let above = target.ancestors().skip(1).take_while(|above| *above != into);
        directories.extend(above.map(Path::to_owned));
        let mut file = create(&target).map_err(|cause| record(&mut write_error, &target, cause))?;
        copy(content, &mut file, |cause| record(&mut write_error, &target, cause))?;
        let finished = file
            .set_len(entry.size)
            .and_then(|()| file.set_permissions(Permissions::from_mode(entry.mode & 0o777)))
            .and_then(|()| file.sync_all());
        finished.map_err(|cause| record(&mut write_error, &target, cause))
    });
    match (cancelled, write_error) {
        (true, _) => return Ok(None),
        (_, Some((target, cause))) => return Err(Error::Io { action: "write", path: target, cause }),
        _ => result?,
    };
    for directory in directories {
        let synced = File::open(&directory).and_then(|open| open.sync_all());
        synced.map_err(Error::io("write", &directory))?;
    }
    Ok(Some(()))
}

/// Stores why a file can't be written, and returns an error that ends the reading.
fn record(write_error: &mut Option<(PathBuf, io::Error)>, target: &Path, cause: io::Error) -> io::Error {
    *write_error = Some((target.to_owned(), cause));
    io::ErrorKind::BrokenPipe.into()
}

fn create(target: &Path) -> io::Result<File> {
    if let Some(parent) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)
}

/// Copies all content. Blocks of zeros become holes.
fn copy(from: &mut dyn Read, to: &mut File, mut write_error: impl FnMut(io::Error) -> io::Error) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let mut length = 0;
        while length < BLOCK {
            match from.read(&mut block[length..])? {
                0 => break,
                read => length += read,
            }
        }
        let written = match &block[..length] {
            [] => return Ok(()),
            zeros if zeros.iter().all(|byte| *byte == 0) => to.seek(SeekFrom::Current(length as i64)).map(drop),
            bytes => to.write_all(bytes),
        };
        written.map_err(&mut write_error)?;
    }
}

fn damaged(path: &Path) -> impl Fn(io::Error) -> Error {
    move |cause| Error::Damaged { path: path.to_owned(), why: cause.to_string() }
}

fn open(path: &Path) -> Result<Archive<Stream>, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let not_a_snapshot = |why: &str| Error::NotASnapshot { path: path.to_owned(), why: why.into() };
    if !file.metadata().map_err(Error::io("read", path))?.is_file() {
        return Err(not_a_snapshot("it is not a regular file"));
    }
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(Error::io("read", path))?;
    match magic[..] {
        [0x1f, 0x8b] => {}
        [] => return Err(not_a_snapshot("it is empty")),
        _ => return Err(not_a_snapshot("it is not a .tar.gz file")),
    }
    file.rewind().map_err(Error::io("read", path))?;
    Ok(Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// The fields of the manifest that every format has.
#[derive(Deserialize)]
struct Header {
    format: u32,
    #[serde(default)]
    kubernix: Option<String>,
}

/// Reads the manifest, which is the first entry.
fn first(path: &Path, entries: &mut tar::Entries<'_, Stream>) -> Result<Manifest, Error> {
    let not_a_snapshot = |why: String| Error::NotASnapshot { path: path.to_owned(), why };
    let Some(entry) = entries.next() else { return Err(not_a_snapshot("it has no entries".into())) };
    let entry = entry.map_err(damaged(path))?;
    let is_file = entry.header().entry_type() == EntryType::Regular;
    if !is_file || *entry.path_bytes() != *NAME.as_bytes() {
        return Err(not_a_snapshot(format!("its first entry is not `{NAME}`")));
    }
    if entry.size() > MAX_MANIFEST {
        return Err(not_a_snapshot(format!("its `{NAME}` is too large: {} bytes", entry.size())));
    }
    let mut text = Vec::new();
    let size = entry.size();
    entry.take(MAX_MANIFEST).read_to_end(&mut text).map_err(damaged(path))?;
    if text.len() as u64 != size {
        return Err(damaged(path)(io::ErrorKind::UnexpectedEof.into()));
    }
    let malformed = |error: serde_json::Error| not_a_snapshot(format!("its `{NAME}` is malformed: {error}"));
    let header: Header = serde_json::from_slice(&text).map_err(malformed)?;
    if header.format > FORMAT {
        let version = header.kubernix.unwrap_or_else(|| "of a newer version".into());
        return Err(Error::Newer { path: path.to_owned(), format: header.format, known: FORMAT, version });
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(malformed)?;
    manifest.check().map_err(|why| Error::Hostile { path: path.to_owned(), why })?;
    Ok(manifest)
}

/// Reads a snapshot completely. Calls `begin` with the manifest and `take` with each file's
/// content, and checks each file against the manifest.
fn walk(
    path: &Path,
    begin: impl FnOnce(&Manifest) -> Result<(), Error>,
    take: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, Error> {
    let mut archive = open(path)?;
    let mut entries = archive.entries().map_err(damaged(path))?.raw(true);
    let manifest = first(path, &mut entries)?;
    begin(&manifest)?;
    let hostile = |why: Rejection| Error::Hostile { path: path.to_owned(), why };
    for entry in &manifest.entries {
        let broken = |why: &str| damaged(path)(io::Error::other(format!("its entry `{}` {why}", entry.path)));
        let found = entries.next().ok_or_else(|| broken("is missing"))?.map_err(damaged(path))?;
        if found.header().entry_type() != EntryType::Regular {
            return Err(hostile(Rejection::NotAFile(entry.path.clone())));
        }
        if *found.path_bytes() != *entry.path.as_bytes() || found.size() != entry.size {
            return Err(broken("is not the one that its manifest lists"));
        }
        let mut content = Hashed { from: found.take(entry.size), hash: Hash::default(), size: 0 };
        take(entry, &mut content).map_err(damaged(path))?;
        if content.size != entry.size {
            return Err(broken("is incomplete"));
        }
        if content.hash.hex() != entry.sha256 {
            return Err(broken("has a wrong hash"));
        }
    }
    if entries.next().transpose().map_err(damaged(path))?.is_some() {
        return Err(hostile(Rejection::Unlisted));
    }
    end(archive.into_inner()).map_err(damaged(path))?;
    Ok(manifest)
}

/// Reads the padding after the last entry and the checksum of the stream. Nothing else may follow.
fn end(mut stream: Stream) -> io::Result<()> {
    let mut rest = Vec::new();
    (&mut stream).take(MAX_PADDING).read_to_end(&mut rest)?;
    let behind = stream.into_inner().read(&mut [0])?;
    if rest.len() as u64 == MAX_PADDING || rest.iter().any(|byte| *byte != 0) || behind != 0 {
        return Err(io::Error::other("there is data after its end"));
    }
    Ok(())
}

/// Hashes the bytes that are read through it.
struct Hashed<R> {
    from: R,
    hash: Hash,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.write_all(&buffer[..read])?;
        self.size += read as u64;
        Ok(read)
    }
}
