//! Files that KuberNix writes and users may edit. An edited file is kept.
//!
//! The ledger has the hashes of the content that KuberNix wrote. A file with any other content was
//! edited. Hashes are recorded before the file is written, so that a crash in between never makes a
//! file look edited.
//!
//! Nothing is synced: each boot writes these files again. A power loss may leave an empty file,
//! which never counts as edited, or a damaged ledger, which [`repair`] replaces.

use super::{Error, json, write_atomic, write_durable};
use crate::digits::sha256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The result of writing a managed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// The file didn't exist.
    Created,
    /// The file had this content already.
    Unchanged,
    /// The file had older content that KuberNix wrote.
    Updated,
    /// The file was edited, and isn't changed.
    KeptEdited,
}

/// The written files. Each path (relative, if below the ledger's directory) has the SHA-256 of its
/// last content, preceded by that of the content before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    files: BTreeMap<String, Vec<String>>,
}

/// Writes a file by rename, unless it was edited since KuberNix wrote it last. `ledger`: the JSON
/// file with the hashes of written files. The directories of both must exist. Two threads must not
/// use the same ledger at once.
///
/// A file that is empty or has only zeros was truncated by a power loss, and is written again. With
/// a damaged ledger, every file that differs counts as edited.
///
/// # Errors
/// A file can't be read or written.
pub fn write_managed(path: &Path, content: &[u8], mode: u32, ledger: &Path) -> Result<Written, Error> {
    let mut torn = false;
    let current = match fs::read(path) {
        Ok(bytes) => {
            torn = bytes.iter().all(|byte| *byte == 0);
            Some(sha256(&bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(cause) => return Err(Error::io("read", path, cause)),
    };
    let wanted = sha256(content);
    let mut notes = read(ledger).or_else(|error| match error {
        // The next boot reports and replaces it. A component must not fail because of it.
        Error::Damaged { .. } => {
            log::warn!("{error}");
            Ok(Ledger::default())
        }
        error => Err(error),
    })?;
    let home = ledger.parent().unwrap_or(Path::new("/"));
    let key = path.strip_prefix(home).unwrap_or(path).to_string_lossy().into_owned();
    let known = notes.files.entry(key).or_default();
    let written = match &current {
        None => Written::Created,
        Some(current) if *current == wanted => Written::Unchanged,
        Some(current) if torn || known.contains(current) => Written::Updated,
        Some(_) => return Ok(Written::KeptEdited),
    };
    let noted: Vec<String> = current.filter(|current| *current != wanted).into_iter().chain([wanted]).collect();
    // An unchanged file keeps its older hash as well, or each second boot would rewrite the ledger.
    if known.last() != noted.last() || written == Written::Updated {
        *known = noted;
        write_atomic(ledger, json::text(ledger, &notes)?.as_bytes(), 0o600)?;
    }
    // A user may replace the file by a link to the same content: the link is kept.
    if written != Written::Unchanged || !path.is_symlink() {
        write_atomic(path, content, mode)?;
    }
    Ok(written)
}

/// The paths of all files that the ledger has.
///
/// # Errors
/// The ledger can't be read.
pub fn files(ledger: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let home = ledger.parent().unwrap_or(Path::new("/"));
    Ok(read(ledger)?.files.keys().map(|file| home.join(file)).collect())
}

/// Replaces the ledger by an empty one if it is damaged or missing. Returns a warning, if the
/// cluster was booted before.
///
/// # Errors
/// It can't be read or written.
pub(super) fn repair(ledger: &Path, was_booted: bool) -> Result<Option<String>, Error> {
    let what = match read(ledger) {
        Ok(_) if ledger.exists() => return Ok(None),
        Ok(_) => format!("`{}` is missing", ledger.display()),
        Err(Error::Damaged { path, .. }) => format!("`{}` is damaged", path.display()),
        Err(error) => return Err(error),
    };
    write_durable(ledger, b"{ \"files\": {} }\n", 0o600)?;
    Ok(was_booted.then(|| {
        format!(
            "{what} and is replaced. A configuration file that differs from what this boot writes counts as edited \
             and is kept; remove it if you didn't edit it"
        )
    }))
}

fn read(ledger: &Path) -> Result<Ledger, Error> {
    match fs::read(ledger) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            path: ledger.to_owned(),
            reason: format!("{error}; the next boot replaces it"),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ledger::default()),
        Err(cause) => Err(Error::io("read", ledger, cause)),
    }
}
