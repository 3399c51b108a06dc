//! Reads snapshots that somebody else may have made, or half of them: nothing counts before all of it is what the manifest
//! says, and nothing leads out of the directory that it is unpacked into.

use super::manifest::{DATASTORE, NAME};
use super::pack::Hash;
use super::{Entry, Error, FORMAT, Manifest};
use crate::root::free_bytes;
use flate2::bufread::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// A manifest of more bytes is none.
const LARGEST_MANIFEST: u64 = 32 << 20;
/// More bytes than this behind the last entry are no padding.
const PADDING: u64 = 1 << 20;
/// How much is read at a time, and left out where all of it is zero.
const BLOCK: usize = 64 << 10;

type Stream = GzDecoder<BufReader<File>>;

/// Reads what a snapshot says of itself, and no more of it.
///
/// # Errors
/// It is none, of a newer version, or damaged in that part.
pub fn manifest(path: &Path) -> Result<Manifest, Error> {
    let mut archive = open(path)?;
    let mut entries = archive.entries().map_err(damaged(path))?.raw(true);
    first(path, &mut entries)
}

/// Reads all of a snapshot, and says whether it is whole.
///
/// # Errors
/// What is wrong with it.
pub fn verify(path: &Path) -> Result<Manifest, Error> {
    walk(path, |_| Ok(()), &mut |_, content| io::copy(content, &mut io::sink()).map(drop))
}

/// Unpacks a snapshot, whose manifest was read before, into a directory: files get the places that they have in a cluster's
/// root directory. `goes_on` is asked now and then.
///
/// # Errors
/// It isn't whole, there is no space, or it can't be written; what was unpacked so far stays. `None` where it was to go on no more.
pub fn unpack(path: &Path, expected: &Manifest, into: &Path, goes_on: &dyn Fn() -> bool) -> Result<Option<()>, Error> {
    let mut ended = false;
    let mut unwritten = None;
    // Of all that is unpacked: their entries must be as durable as the files.
    let mut directories = BTreeSet::from([into.to_owned()]);
    let begin = |manifest: &Manifest| {
        if manifest != expected {
            return Err(Error::Damaged { path: path.to_owned(), why: "it was changed just now".into() });
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
        if !goes_on() {
            ended = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let inner = Path::new(&entry.path);
        let target = into.join(inner.strip_prefix(DATASTORE).unwrap_or(inner));
        let above = target.ancestors().skip(1).take_while(|above| *above != into);
        directories.extend(above.map(Path::to_owned));
        let mut file = create(&target).map_err(|cause| noted(&mut unwritten, &target, cause))?;
        copy(content, &mut file, |cause| noted(&mut unwritten, &target, cause))?;
        let finished = file
            .set_len(entry.size)
            .and_then(|()| file.set_permissions(Permissions::from_mode(entry.mode & 0o777)))
            .and_then(|()| file.sync_all());
        finished.map_err(|cause| noted(&mut unwritten, &target, cause))
    });
    match (ended, unwritten) {
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

/// Keeps why a file can't be written, and ends the reading.
fn noted(unwritten: &mut Option<(PathBuf, io::Error)>, target: &Path, cause: io::Error) -> io::Error {
    *unwritten = Some((target.to_owned(), cause));
    io::ErrorKind::BrokenPipe.into()
}

fn create(target: &Path) -> io::Result<File> {
    if let Some(parent) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)
}

/// Copies to the end; blocks of zeros become holes.
fn copy(from: &mut dyn Read, to: &mut File, mut failed: impl FnMut(io::Error) -> io::Error) -> io::Result<()> {
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
        written.map_err(&mut failed)?;
    }
}

fn damaged(path: &Path) -> impl Fn(io::Error) -> Error {
    move |cause| Error::Damaged { path: path.to_owned(), why: cause.to_string() }
}

fn open(path: &Path) -> Result<Archive<Stream>, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let nothing = |why: &str| Error::NotASnapshot { path: path.to_owned(), why: why.into() };
    if !file.metadata().map_err(Error::io("read", path))?.is_file() {
        return Err(nothing("it is no file"));
    }
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(Error::io("read", path))?;
    match magic[..] {
        [0x1f, 0x8b] => {}
        [] => return Err(nothing("it is empty")),
        _ => return Err(nothing("it is no .tar.gz")),
    }
    file.rewind().map_err(Error::io("read", path))?;
    Ok(Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// What can be read of any format.
#[derive(Deserialize)]
struct Header {
    format: u32,
    #[serde(default)]
    kubernix: Option<String>,
}

/// The manifest, which is the first entry.
fn first(path: &Path, entries: &mut tar::Entries<'_, Stream>) -> Result<Manifest, Error> {
    let nothing = |why: String| Error::NotASnapshot { path: path.to_owned(), why };
    let Some(entry) = entries.next() else { return Err(nothing("nothing is in it".into())) };
    let entry = entry.map_err(damaged(path))?;
    let is_file = entry.header().entry_type() == EntryType::Regular;
    if !is_file || *entry.path_bytes() != *NAME.as_bytes() {
        return Err(nothing(format!("its first entry is not `{NAME}`")));
    }
    if entry.size() > LARGEST_MANIFEST {
        return Err(nothing(format!("its `{NAME}` has {} bytes", entry.size())));
    }
    let mut text = Vec::new();
    let whole = entry.size();
    entry.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(damaged(path))?;
    if text.len() as u64 != whole {
        return Err(damaged(path)(io::ErrorKind::UnexpectedEof.into()));
    }
    let unreadable = |error: serde_json::Error| nothing(format!("its `{NAME}` can't be understood: {error}"));
    let header: Header = serde_json::from_slice(&text).map_err(unreadable)?;
    if header.format > FORMAT {
        let version = header.kubernix.unwrap_or_else(|| "of a newer version".into());
        return Err(Error::Newer { path: path.to_owned(), format: header.format, known: FORMAT, version });
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(unreadable)?;
    manifest.check().map_err(|why| Error::Hostile { path: path.to_owned(), why })?;
    Ok(manifest)
}

/// Reads a snapshot to its end. `begin` sees the manifest, `take` each file's content; each has to be what the manifest says.
fn walk(
    path: &Path,
    begin: impl FnOnce(&Manifest) -> Result<(), Error>,
    take: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, Error> {
    let mut archive = open(path)?;
    let mut entries = archive.entries().map_err(damaged(path))?.raw(true);
    let manifest = first(path, &mut entries)?;
    begin(&manifest)?;
    let hostile = |why: String| Error::Hostile { path: path.to_owned(), why };
    for entry in &manifest.entries {
        let broken = |why: &str| damaged(path)(io::Error::other(format!("its entry `{}` {why}", entry.path)));
        let found = entries.next().ok_or_else(|| broken("is missing"))?.map_err(damaged(path))?;
        if found.header().entry_type() != EntryType::Regular {
            return Err(hostile(format!("its entry `{}` is no plain file", entry.path)));
        }
        if *found.path_bytes() != *entry.path.as_bytes() || found.size() != entry.size {
            return Err(broken("is not the one that its manifest lists"));
        }
        let mut content = Hashed { from: found.take(entry.size), hash: Hash::default(), size: 0 };
        take(entry, &mut content).map_err(damaged(path))?;
        if content.size != entry.size {
            return Err(broken("is cut off"));
        }
        if content.hash.hex() != entry.sha256 {
            return Err(broken("has another content than when it was saved"));
        }
    }
    if entries.next().transpose().map_err(damaged(path))?.is_some() {
        return Err(hostile("it holds more than its manifest lists".into()));
    }
    end(archive.into_inner()).map_err(damaged(path))?;
    Ok(manifest)
}

/// Reads what is behind the last entry: padding, and the checksum of the whole.
fn end(mut stream: Stream) -> io::Result<()> {
    let mut rest = Vec::new();
    (&mut stream).take(PADDING).read_to_end(&mut rest)?;
    let behind = stream.into_inner().read(&mut [0])?;
    if rest.len() as u64 == PADDING || rest.iter().any(|byte| *byte != 0) || behind != 0 {
        return Err(io::Error::other("something is behind its end"));
    }
    Ok(())
}

/// Hashes what is read through it.
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
