//! Paths.

use super::ValueError;
use std::path::{Path, PathBuf};

/// The absolute form of a path that is relative to a directory; `~/` is the home directory. The
/// path must be UTF-8, because components and `kubernix.toml` have paths as text.
pub(in crate::settings) fn absolute(path: &Path, directory: &Path, home: Option<&Path>) -> Result<PathBuf, ValueError> {
    if path.as_os_str().is_empty() {
        return Err(ValueError::EmptyPath);
    }
    let whole = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => directory.join(path),
    };
    let whole = std::path::absolute(&whole).map_err(|cause| ValueError::Path { path: path.to_owned(), cause })?;
    if whole.to_str().is_none() {
        return Err(ValueError::NotUtf8(path.into()));
    }
    Ok(whole)
}

/// As [`absolute`], for the text of a `binary` parameter.
pub(in crate::settings) fn absolute_text(
    text: &str,
    directory: &Path,
    home: Option<&Path>,
) -> Result<String, ValueError> {
    Ok(absolute(Path::new(text), directory, home)?.to_string_lossy().into_owned())
}

/// Parses paths that are separated by colons, as in PATH.
pub(in crate::settings) fn parse_paths(text: &str) -> Vec<PathBuf> {
    std::env::split_paths(text).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// Formats paths as [`parse_paths`] reads them.
pub(in crate::settings) fn show_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":")
}
