//! Reads and writes the files of the PKI directory: 0600, in directories that are 0700. Knows no certificates.

use super::Error;
use crate::root::write_atomic;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What all files are: their owner's alone.
const FILE_MODE: u32 = 0o600;
/// What all directories are.
const DIRECTORY_MODE: u32 = 0o700;

/// Makes a directory and those above it, and takes other users' rights to it away.
pub(super) fn directory(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(Error::io("create", path))?;
    let mode = fs::metadata(path).map_err(Error::io("read", path))?.mode();
    restrict(path, mode, DIRECTORY_MODE)
}

/// Writes a text that is a key or belongs to one, if it differs from the file's. `true` if it did.
pub(super) fn write(path: &Path, text: &str) -> Result<bool, Error> {
    write_atomic(path, text.as_bytes(), FILE_MODE).map_err(|cause| Error::Write { cause: cause.into() })
}

/// The text of a file, `None` where there is none. One that isn't UTF-8 gives a text that is no PEM either. Takes other
/// users' rights to it away.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io("read", path)(cause)),
    };
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    restrict(path, metadata.mode(), FILE_MODE)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn restrict(path: &Path, found: u32, wanted: u32) -> Result<(), Error> {
    if found & 0o7777 == wanted {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(wanted)).map_err(Error::io("change the mode of", path))
}

/// The two files of a certificate.
#[derive(Debug, Clone)]
pub(super) struct PairPaths {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl PairPaths {
    /// `STEM.crt` and `STEM.key`.
    pub fn new(dir: &Path, stem: &str) -> Self {
        Self { cert: dir.join(format!("{stem}.crt")), key: dir.join(format!("{stem}.key")) }
    }

    /// Both texts, of the certificate and the key; `None` where neither file exists.
    pub fn read(&self) -> Result<Option<(String, String)>, Error> {
        match (read(&self.cert)?, read(&self.key)?) {
            (None, None) => Ok(None),
            (cert, key) => Ok(Some((cert.unwrap_or_default(), key.unwrap_or_default()))),
        }
    }

    /// Writes both. The key first: where a crash leaves only that, it doesn't match and both are made anew.
    pub fn write(&self, cert: &str, key: &str) -> Result<(), Error> {
        write(&self.key, key)?;
        write(&self.cert, cert)?;
        Ok(())
    }
}
