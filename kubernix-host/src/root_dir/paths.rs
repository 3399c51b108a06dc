//! Resolves paths that may not exist yet, and measures the free space of a file system.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The path without links, `.` and `..`. Components that don't exist yet are kept as they are. A
/// path that can't be resolved is returned unchanged: its use will report the error.
pub(super) fn canonical(path: &Path) -> PathBuf {
    let Ok(path) = std::path::absolute(path) else { return path.to_owned() };
    let mut existing = path.as_path();
    let mut missing: Vec<OsString> = Vec::new();
    let mut found = loop {
        if let Ok(found) = existing.canonicalize() {
            break found;
        }
        match (existing.parent(), existing.components().next_back()) {
            (Some(parent), Some(last)) => {
                missing.push(last.as_os_str().to_owned());
                existing = parent;
            }
            _ => return path,
        }
    };
    for name in missing.iter().rev() {
        match Path::new(name).components().next() {
            Some(Component::ParentDir) => {
                found.pop();
            }
            _ => found.push(name),
        }
    }
    found
}

/// The free space for this user on the file system of a path, in bytes. `None` if it can't be
/// determined.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let fs = nix::sys::statvfs::statvfs(path).ok()?;
    Some(fs.blocks_available() * fs.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_dots_are_resolved_in_existing_and_missing_components() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("a/b")).unwrap();
        symlink("a/b", real.join("link")).unwrap();
        for (given, expected) in [
            ("link", "a/b"),
            ("link/../c", "a/c"),
            ("a/./b/../b", "a/b"),
            ("a/new/clusters", "a/new/clusters"),
            ("link/new/../other", "a/b/other"),
            ("new/../../x", "../x"),
        ] {
            let expected = match expected.strip_prefix("../") {
                Some(above) => real.parent().unwrap().join(above),
                None => real.join(expected),
            };
            assert_eq!(canonical(&real.join(given)), expected, "{given}");
        }
        assert_eq!(canonical(Path::new("/nonexistent/../run")), Path::new("/run"));
    }
}
