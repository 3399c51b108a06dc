//! Reads a tar file, or a directory with the same layout, in one pass: hashes every file and keeps
//! JSON files. Must not know of images.

use super::{Error, blobs};
use crate::digits::hex;
use flate2::read::MultiGzDecoder;
use flate2::write::MultiGzDecoder as GzWriter;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Component, Path};
use tar::EntryType;

/// Larger JSON files aren't kept: twice the limit of container tools for a manifest, in bytes.
const MAX_JSON: u64 = 8 << 20;
const CHUNK: usize = 128 << 10;
/// The first bytes of a gzip file.
pub(crate) const GZIP: &[u8] = &[0x1f, 0x8b];

/// Unsupported compressions of archives, with their first bytes.
const COMPRESSIONS: [(&[u8], &str); 3] =
    [(&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// A file of the archive.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub size: u64,
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// The hash of its unpacked content, if it is a gzip file.
    pub unpacked_sha256: Option<String>,
    /// Its content, if it looks like JSON.
    pub json: Option<Vec<u8>>,
}

/// The files of a tar file, by path without `./`.
#[derive(Debug, Default)]
pub(super) struct Contents {
    entries: HashMap<String, Entry>,
    links: HashMap<String, String>,
}

impl Contents {
    /// Reads a tar file (with or without gzip compression), or an OCI layout in a directory.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let not = |found: &str| Error::NotAnArchive { path: path.to_owned(), found: found.to_owned() };
        let file = File::open(path).map_err(Error::read(path))?;
        let metadata = file.metadata().map_err(Error::read(path))?;
        if metadata.is_dir() {
            return Self::read_layout(path);
        }
        if metadata.len() == 0 && metadata.is_file() {
            return Err(not("it is empty"));
        }
        let mut file = BufReader::with_capacity(CHUNK, file);
        let start = file.fill_buf().map_err(Error::read(path))?;
        if let Some((_, compression)) = COMPRESSIONS.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(not(&format!("it is compressed by {compression}, unpack it first")));
        }
        let mut contents = Self::default();
        let read = if start.starts_with(GZIP) { contents.scan(MultiGzDecoder::new(file)) } else { contents.scan(file) };
        match read {
            Ok(()) => Ok(contents),
            Err(_) if contents.entries.is_empty() && contents.links.is_empty() => Err(not("it is not a tar file")),
            Err(cause) => {
                Err(Error::Damaged { path: path.to_owned(), reason: format!("{cause}, copy or save it again") })
            }
        }
    }

    /// Reads an OCI layout in a directory.
    fn read_layout(path: &Path) -> Result<Self, Error> {
        if !path.join("index.json").is_file() {
            let found = "it is a directory without index.json, so not an OCI layout".to_owned();
            return Err(Error::NotAnArchive { path: path.to_owned(), found });
        }
        let mut contents = Self::default();
        let mut buffer = vec![0; CHUNK];
        let blobs = blobs::names(path).map_err(Error::read(&path.join(blobs::BELOW)))?;
        for name in blobs.into_iter().chain(["index.json".to_owned()]) {
            let file = path.join(&name);
            let read = File::open(&file).and_then(|mut opened| {
                let size = opened.metadata()?.len();
                digest(&mut opened, size, &mut buffer)
            });
            contents.entries.insert(name, read.map_err(Error::read(&file))?);
        }
        Ok(contents)
    }

    fn scan(&mut self, reader: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        for entry in tar::Archive::new(reader).entries()? {
            let mut entry = entry?;
            let path = normal(&entry.path()?);
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    let size = entry.size();
                    let found = digest(&mut entry, size, &mut buffer)?;
                    if found.size != size {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends inside `{path}`")));
                    }
                    self.entries.insert(path, found);
                }
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    if let Some(target) = entry.link_name()? {
                        // Symbolic links are relative to their directory, hard links to the
                        // archive's root.
                        let from = if kind == EntryType::Link { Path::new("") } else { Path::new(&path) };
                        let target = normal(&from.parent().unwrap_or(from).join(target));
                        self.links.insert(path, target);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The file of this path. Follows links.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        let mut path = normal(Path::new(path));
        // A longer chain of links is taken for a loop.
        for _ in 0..8 {
            match self.links.get(&path) {
                Some(target) => path = target.clone(),
                None => break,
            }
        }
        self.entries.get(&path)
    }
}

/// Hashes a file and, for a gzip file, its unpacked content.
fn digest(reader: &mut impl Read, size: u64, buffer: &mut [u8]) -> io::Result<Entry> {
    let (mut hash, mut found) = (Sha256::new(), Entry::default());
    let mut unpacked = None;
    loop {
        let length = reader.read(buffer)?;
        let chunk = &buffer[..length];
        if found.size == 0 {
            let json = size <= MAX_JSON && matches!(chunk.first(), Some(b'{' | b'['));
            found.json = json.then(|| Vec::with_capacity(size as usize));
            unpacked = chunk.starts_with(GZIP).then(|| GzWriter::new(HashWriter(Sha256::new())));
        }
        if length == 0 {
            break;
        }
        hash.update(chunk);
        if let Some(json) = &mut found.json {
            json.extend_from_slice(chunk);
        }
        // A damaged gzip file has no hash of its unpacked content. The caller decides whether it
        // needs one.
        if unpacked.as_mut().is_some_and(|writer| writer.write_all(chunk).is_err()) {
            unpacked = None;
        }
        found.size += length as u64;
    }
    found.sha256 = hex(&hash.finalize());
    found.unpacked_sha256 = unpacked.and_then(|writer| writer.finish().ok()).map(|writer| hex(&writer.0.finalize()));
    Ok(found)
}

/// Hashes the bytes that are written to it.
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A path without `.`, `..`, leading and trailing slashes.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}
