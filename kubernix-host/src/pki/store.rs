//! Reads and writes the files of the PKI directory: mode 0600, in directories of mode 0700. Must
//! not parse certificates.

use super::Error;
use super::check::Misfit;
use crate::root_dir::Batch;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of all files.
const FILE_MODE: u32 = 0o600;
/// The mode of all directories.
const DIRECTORY_MODE: u32 = 0o700;

/// Creates a directory and its missing parents, and removes other users' permissions from it.
pub(super) fn directory(batch: &mut Batch, path: &Path) -> Result<(), Error> {
    batch.make_directory(path, DIRECTORY_MODE).map_err(Error::write)
}

/// Adds a file with a key or certificate to the batch.
pub(super) fn add(batch: &mut Batch, path: &Path, text: &str) {
    batch.add(path, text, FILE_MODE);
}

/// The text of a file; `None` if it doesn't exist. Bytes that aren't UTF-8 are replaced, so that
/// the text fails to parse as PEM. Removes other users' permissions from the file.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io("read", path)(cause)),
    };
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if metadata.mode() & 0o7777 != FILE_MODE {
        fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(Error::io("change the mode of", path))?;
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
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

    /// Both texts; `None` where neither file exists.
    pub fn read(&self) -> Result<Option<Pair>, Error> {
        match (read(&self.cert)?, read(&self.key)?) {
            (None, None) => Ok(None),
            (cert, key) => Ok(Some(Pair { cert, key })),
        }
    }

    /// Adds both files to the batch. The key comes first: if a crash leaves only the new key, the
    /// next check finds that it doesn't match the certificate.
    pub fn add(&self, batch: &mut Batch, cert: &str, key: &str) {
        add(batch, &self.key, key);
        add(batch, &self.cert, cert);
    }

    /// The file with the defect.
    pub fn file_of(&self, misfit: &Misfit) -> &Path {
        match misfit {
            Misfit::Key | Misfit::Absent | Misfit::Missing("key") | Misfit::Empty("key") => &self.key,
            _ => &self.cert,
        }
    }
}

/// The texts of a certificate and its key. One of them may be missing.
pub(super) struct Pair {
    cert: Option<String>,
    key: Option<String>,
}

impl Pair {
    /// The certificate and the key.
    pub fn texts(&self) -> Result<(&str, &str), Misfit> {
        Ok((text(self.cert.as_deref(), "certificate")?, text(self.key.as_deref(), "key")?))
    }
}

/// The text of a file that must exist and must not be empty.
pub(super) fn text<'a>(found: Option<&'a str>, what: &'static str) -> Result<&'a str, Misfit> {
    match found {
        None => Err(Misfit::Missing(what)),
        Some(text) if text.trim_matches(['\0', ' ', '\n']).is_empty() => Err(Misfit::Empty(what)),
        Some(text) => Ok(text),
    }
}
