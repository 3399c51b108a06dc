//! Where a directory really is: without links, `.` and `..`, whether it is there yet or not; and what its file system has left.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The path without links, `.` and `..`. What isn't there yet is taken as it reads; a path that can't be told at all stays as
/// it is, and whoever uses it hears why.
pub(super) fn canonical(path: &Path) -> PathBuf {
    let Ok(path) = std::path::absolute(path) else { return path.to_owned() };
    let mut there = path.as_path();
    let mut missing: Vec<OsString> = Vec::new();
    let mut found = loop {
        if let Ok(found) = there.canonicalize() {
            break found;
        }
        match (there.parent(), there.components().next_back()) {
            (Some(parent), Some(last)) => {
                missing.push(last.as_os_str().to_owned());
                there = parent;
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

/// What is left for this user on the file system of a path, in bytes; `None` where that can't be told.
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
    fn links_and_dots_are_resolved_as_far_as_there_is_something() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("a/b")).unwrap();
        symlink("a/b", real.join("link")).unwrap();
        for (given, meant) in [
            ("link", "a/b"),
            ("link/../c", "a/c"),
            ("a/./b/../b", "a/b"),
            ("a/new/clusters", "a/new/clusters"),
            ("link/new/../other", "a/b/other"),
            ("new/../../x", "../x"),
        ] {
            let meant = match meant.strip_prefix("../") {
                Some(above) => real.parent().unwrap().join(above),
                None => real.join(meant),
            };
            assert_eq!(canonical(&real.join(given)), meant, "{given}");
        }
        assert_eq!(canonical(Path::new("/nonexistent/../run")), Path::new("/run"));
    }
}
