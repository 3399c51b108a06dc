//! Files that KuberNix writes and people may edit: an edited one is kept.
//!
//! The ledger holds hashes of what KuberNix wrote; a file with any other content was edited. Hashes are noted before the
//! file is written, so that a crash in between never makes a file look edited.
//!
//! Nothing here is synced: each boot writes these files again. A power loss may leave an empty file, which
//! is never taken for an edit, or a damaged ledger, which [`mend`] begins anew.

use super::{Error, json, write_atomic, write_durable};
use crate::digits::sha256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What became of a managed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// It wasn't there.
    Created,
    /// It had this content already.
    Unchanged,
    /// It had older content of ours.
    Updated,
    /// Someone edited it: it is as it was.
    KeptEdited,
}

/// Of each file by path (below the ledger's directory: relative), SHA-256 of the last content and, first, the one before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    files: BTreeMap<String, Vec<String>>,
}

/// Writes a file by rename unless someone edited it since KuberNix wrote it last. `ledger` is the JSON file that remembers
/// what was written; both files' directories must exist. Not for two threads with the same ledger at once.
///
/// A file that is empty or holds only zeros was cut by a power loss, and is written again. With a damaged
/// ledger every file that differs counts as edited.
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
        // The next boot reports it and begins a new one. A component must not fail by it meanwhile.
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
    // Whoever replaced the file by a link to the same content keeps the link.
    if written != Written::Unchanged || !path.is_symlink() {
        write_atomic(path, content, mode)?;
    }
    Ok(written)
}

/// The paths of all files that were ever written so.
///
/// # Errors
/// The ledger can't be understood.
pub fn files(ledger: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let home = ledger.parent().unwrap_or(Path::new("/"));
    Ok(read(ledger)?.files.keys().map(|file| home.join(file)).collect())
}

/// Begins the ledger anew where it is damaged, or missing from a cluster that was booted before. Returns a
/// warning then.
///
/// # Errors
/// It can't be read or written.
pub(super) fn mend(ledger: &Path, was_booted: bool) -> Result<Option<String>, Error> {
    let what = match read(ledger) {
        Ok(_) if ledger.exists() => return Ok(None),
        Ok(_) => format!("`{}` is missing", ledger.display()),
        Err(Error::Damaged { path, .. }) => format!("`{}` is damaged", path.display()),
        Err(error) => return Err(error),
    };
    write_durable(ledger, b"{ \"files\": {} }\n", 0o600)?;
    Ok(was_booted.then(|| {
        format!(
            "{what}: it is begun anew. A configuration file that differs from what this boot writes counts as edited \
             and is kept; remove it if you didn't edit it"
        )
    }))
}

fn read(ledger: &Path) -> Result<Ledger, Error> {
    match fs::read(ledger) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
            path: ledger.to_owned(),
            reason: format!("{error}; the next boot begins it anew"),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ledger::default()),
        Err(cause) => Err(Error::io("read", ledger, cause)),
    }
}
