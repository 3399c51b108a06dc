//! Versioned JSON files of a root directory. A file is read completely or rejected.

use super::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The fields that files of all versions have.
#[derive(Deserialize)]
struct Header {
    format: u32,
    #[serde(default)]
    kubernix: Option<String>,
}

/// Reads a file whose `format` is `known` or less. `None` if the file doesn't exist. `way_out` is
/// appended to the reason why a file is damaged.
///
/// # Errors
/// It can't be read, it is damaged ([`Error::Damaged`]), or a newer version wrote it
/// ([`Error::NewerFormat`], of the directory).
pub(super) fn read<T: DeserializeOwned>(path: &Path, known: u32, way_out: &str) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io("read", path, cause)),
    };
    let damaged = |error: serde_json::Error| {
        let reason = if text.is_empty() { "it is empty".to_owned() } else { error.to_string() };
        Error::Damaged { path: path.to_owned(), reason: reason + way_out }
    };
    let Header { format, kubernix } = serde_json::from_slice(&text).map_err(damaged)?;
    if format > known {
        let version = kubernix.unwrap_or_else(|| "of a newer version".into());
        let path = path.parent().unwrap_or(path).to_owned();
        return Err(Error::NewerFormat { path, format, known, version });
    }
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// The text of the file at `path`, with a line for each value.
///
/// # Errors
/// The value has no JSON form, such as a map whose keys aren't texts.
pub(super) fn text(path: &Path, value: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::io("write", path, error.into()))?;
    Ok(text + "\n")
}
