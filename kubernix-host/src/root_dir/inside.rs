//! The path of a root directory inside its sandbox, which is the same for every cluster.
//!
//! Plans, configuration files and processes use paths of the sandbox. The host translates them
//! before it opens or shows them.

use super::{INSIDE, Root};
use crate::ClusterDir;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

impl Root {
    /// The root directory inside a sandbox.
    pub fn inside() -> Self {
        Self(ClusterDir::at(INSIDE))
    }

    /// As [`ClusterDir::of_descriptor`].
    pub fn of_descriptor(directory: &impl AsFd) -> Self {
        Self(ClusterDir::of_descriptor(directory))
    }

    /// As [`ClusterDir::on_host`].
    ///
    /// # Errors
    /// `/proc` isn't mounted.
    pub fn on_host(directory: &impl AsFd) -> io::Result<Self> {
        ClusterDir::on_host(directory).map(Self)
    }

    /// The cluster's name by its directory's name. `None` if the path is one of a sandbox or a
    /// descriptor.
    pub(super) fn label(&self) -> Option<String> {
        let has_name = self.path() != Path::new(INSIDE) && !self.path().starts_with("/proc");
        has_name.then(|| self.name())
    }

    /// The path in the sandbox for a path of the host. Paths outside the root directory are
    /// unchanged.
    pub fn to_inside(&self, path: &Path) -> PathBuf {
        moved(path, self.path(), Path::new(INSIDE))
    }

    /// The path on the host for a path of the sandbox. Paths outside the root directory are
    /// unchanged.
    pub fn to_outside(&self, path: &Path) -> PathBuf {
        moved(path, Path::new(INSIDE), self.path())
    }

    /// Replaces paths of the sandbox in a text, such as a message or a URL, by those of the host.
    pub fn text_to_outside(&self, text: &str) -> String {
        let outside = self.path().to_string_lossy();
        let mut pieces = text.split(INSIDE);
        let mut moved = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            // The name of another directory that begins with this one's.
            let is_longer_name = piece.starts_with(|next: char| next.is_alphanumeric() || "-_.".contains(next));
            let ends_sentence = piece == "." || piece.starts_with(". ") || piece.starts_with(".\n");
            moved += if is_longer_name && !ends_sentence { INSIDE } else { &outside };
            moved += piece;
        }
        moved
    }
}

fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(below) if below.as_os_str().is_empty() => to.to_owned(),
        Ok(below) => to.join(below),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn only_paths_of_the_root_directory_are_translated() {
        let root = Root::new("/clusters", "one");
        let inside = Root::inside();
        for (out, within) in [
            (root.path().to_owned(), inside.path().to_owned()),
            (root.pki().join("ca.crt"), inside.pki().join("ca.crt")),
            ("/clusters/one-more/x".into(), "/clusters/one-more/x".into()),
            ("/usr/bin/etcd".into(), "/usr/bin/etcd".into()),
        ] {
            assert_eq!(root.to_inside(&out), within);
            assert_eq!(root.to_outside(&within), out);
        }
    }

    #[test]
    fn paths_in_texts_are_translated() {
        let root = Root::new("/clusters", "one");
        for (within, out) in [
            ("unix:///var/lib/kubernix-cluster/a.sock", "unix:///clusters/one/a.sock"),
            ("see /var/lib/kubernix-cluster.", "see /clusters/one."),
            ("`/var/lib/kubernix-cluster` and /var/lib/kubernix-cluster/x", "`/clusters/one` and /clusters/one/x"),
            ("/var/lib/kubernix-cluster-2/x", "/var/lib/kubernix-cluster-2/x"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(root.text_to_outside(within), out);
        }
    }

    #[test]
    fn an_open_directory_is_usable_after_a_rename() {
        let (base, root) = crate::root_dir::tests::cluster();
        let state = root.open_existing().unwrap();
        let open = File::open(root.path()).unwrap();
        let opened = Root::of_descriptor(&open);
        assert_eq!(opened.open_existing().unwrap(), state);
        let renamed = Root::new(base.path(), "other");
        fs::rename(root.path(), renamed.path()).unwrap();
        assert_eq!(opened.open_existing().unwrap(), state, "the recorded name");
        fs::write(opened.path().join("file"), "x").unwrap();
        assert!(renamed.path().join("file").exists());
        assert_eq!(Root::on_host(&open).unwrap(), renamed);
    }
}
