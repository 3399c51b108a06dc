//! Writes the blobs of an OCI layout: files named by the hash of their content. Blobs aren't kept
//! in memory.

use crate::digits::hex;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const CHUNK: usize = 256 << 10;
/// The directory of blobs in a layout.
pub(super) const BELOW: &str = "blobs/sha256";

/// The paths of a layout's blobs, relative to the layout.
pub(super) fn names(layout: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(layout.join(BELOW))?;
    entries.map(|entry| Ok(format!("{BELOW}/{}", entry?.file_name().to_string_lossy()))).collect()
}

/// The directory `blobs/sha256` of a layout.
pub(super) struct Blobs(pub PathBuf);

/// A blob that is being written. Its name is known at its end.
pub(super) struct Blob {
    file: BufWriter<File>,
    path: PathBuf,
    hash: Sha256,
    size: u64,
}

impl Blobs {
    pub fn new(layout: &Path) -> io::Result<Self> {
        let directory = layout.join(BELOW);
        fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    pub fn add(&self, media_type: MediaType, bytes: &[u8]) -> io::Result<Descriptor> {
        let mut blob = self.begin()?;
        blob.write_all(bytes)?;
        self.end(media_type, blob)
    }

    pub fn begin(&self) -> io::Result<Blob> {
        let path = self.0.join("unfinished");
        Ok(Blob { file: BufWriter::with_capacity(CHUNK, File::create(&path)?), path, hash: Sha256::new(), size: 0 })
    }

    pub fn end(&self, media_type: MediaType, mut blob: Blob) -> io::Result<Descriptor> {
        blob.flush()?;
        let digest = hex(&blob.hash.finalize());
        fs::rename(&blob.path, self.0.join(&digest))?;
        Ok(Descriptor::new(media_type, blob.size, Sha256Digest::from_str(&digest).map_err(io::Error::other)?))
    }
}

impl Write for Blob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
