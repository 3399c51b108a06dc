//! The names of all that lies in the places where Kubernetes and container runtimes write by habit.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The places.
const PLACES: &[&str] = &["/var/lib", "/run", "/var/log", "/etc/cni", "/opt/cni", "/etc/kubernetes", "/etc/containers"];
/// In there, what other programs of a machine change all the time.
const RESTLESS: &[&str] = &["/run/systemd", "/run/udev", "/run/user", "/var/log/journal", "/var/lib/systemd"];

/// The names, without what lies on other file systems or is a test's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(BTreeSet<PathBuf>);

impl Listing {
    /// What lies there now.
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

    /// What came and what went until a later look.
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
        // Of the entry itself, never of what a link leads to.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.dev() == device) {
            list(&path, device, found);
        }
        found.insert(path);
    }
}
