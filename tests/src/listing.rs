//! Lists the files in the directories that Kubernetes and container runtimes use by default.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The directories.
const PLACES: &[&str] = &["/var/lib", "/run", "/var/log", "/etc/cni", "/opt/cni", "/etc/kubernetes", "/etc/containers"];
/// Directories below them that other programs of a machine change all the time.
const RESTLESS: &[&str] = &["/run/systemd", "/run/udev", "/run/user", "/var/log/journal", "/var/lib/systemd"];

/// The paths, without other file systems and the tests' own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(BTreeSet<PathBuf>);

impl Listing {
    /// Lists the files.
    pub fn take() -> Self {
        let mut found = BTreeSet::new();
        for place in PLACES.iter().map(Path::new).filter(|place| place.is_dir()) {
            let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
            if let Ok(device) = fs::metadata(&place).map(|meta| meta.dev()) {
                list(&place, device, &mut found);
            }
        }
        Self(found)
    }

    /// The paths added and removed until a later listing.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let gone = self.0.difference(&later.0).map(|path| format!("gone: {}", path.display()));
        gone.chain(later.0.difference(&self.0).map(|path| format!("new: {}", path.display()))).collect()
    }
}

fn list(directory: &Path, device: u64, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if RESTLESS.iter().any(|restless| path == Path::new(restless)) {
            continue;
        }
        // Metadata of the entry itself: links aren't followed.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.dev() == device) {
            list(&path, device, found);
        }
        found.insert(path);
    }
}
