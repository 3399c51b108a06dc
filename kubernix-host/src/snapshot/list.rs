//! Lists the snapshots in a directory, and checks each of them.

use super::{ENDING, Error, Head, manifest, verify};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that is a snapshot or has the name of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its path.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Its description, if that can be read.
    #[serde(flatten)]
    pub head: Option<Head>,
    /// Why it can't be restored; `None` if it can.
    pub problem: Option<String>,
}

/// Reads and checks all snapshots of a directory completely, sorted by path. Leaves out other
/// files, unless they have the extension of snapshots.
///
/// # Errors
/// The directory can't be read.
pub fn list(directory: &Path) -> Result<Vec<Listed>, Error> {
    let read_error = || Error::io("read", directory);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(read_error())? {
        let path = entry.map_err(read_error())?.path();
        // Links are followed: a snapshot may be on another disk.
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_file() {
            found.extend(check(path, about.size()));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn check(path: PathBuf, size: u64) -> Option<Listed> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with('.') {
        return None;
    }
    let (head, problem) = match verify(&path) {
        Ok(manifest) => (Some(manifest.head), None),
        Err(Error::NotASnapshot { .. }) if !name.ends_with(ENDING) => return None,
        Err(error) => (manifest(&path).ok().map(|manifest| manifest.head), Some(error.to_string())),
    };
    Some(Listed { path, size, head, problem })
}
