//! A root directory as its sandbox sees it: at one path, whatever the cluster is called and wherever it lies on the host.
//!
//! Plans, configuration files and processes have paths of the inside. The host translates where it opens them or shows them.

use super::{INSIDE, Root};
use crate::ClusterDir;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

impl Root {
    /// The root directory as its sandbox sees it.
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
    /// There is no `/proc`.
    pub fn on_host(directory: &impl AsFd) -> io::Result<Self> {
        ClusterDir::on_host(directory).map(Self)
    }

    /// The cluster's name by the directory's; `None` where the path doesn't tell.
    pub(super) fn label(&self) -> Option<String> {
        let tells = self.path() != Path::new(INSIDE) && !self.path().starts_with("/proc");
        tells.then(|| self.name())
    }

    /// A path of the host as the sandbox sees it. What isn't in the root directory is the same in both.
    pub fn to_inside(&self, path: &Path) -> PathBuf {
        moved(path, self.path(), Path::new(INSIDE))
    }

    /// A path of the sandbox as the host sees it.
    pub fn to_outside(&self, path: &Path) -> PathBuf {
        moved(path, Path::new(INSIDE), self.path())
    }

    /// A text with paths of the sandbox, as a message or an URL has them, with those of the host.
    pub fn text_to_outside(&self, text: &str) -> String {
        let outside = self.path().to_string_lossy();
        let mut pieces = text.split(INSIDE);
        let mut moved = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            // Another directory whose name begins like this one's.
            let goes_on = piece.starts_with(|next: char| next.is_alphanumeric() || "-_.".contains(next));
            let ends_sentence = piece == "." || piece.starts_with(". ") || piece.starts_with(".\n");
            moved += if goes_on && !ends_sentence { INSIDE } else { &outside };
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
    fn paths_of_the_root_directory_are_translated_both_ways_and_no_others() {
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
    fn texts_get_the_hosts_paths() {
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
    fn an_open_directory_is_found_under_any_name() {
        let (base, root) = crate::root::tests::cluster();
        let state = root.open_existing().unwrap();
        let open = File::open(root.path()).unwrap();
        let held = Root::of_descriptor(&open);
        assert_eq!(held.open_existing().unwrap(), state);
        let renamed = Root::new(base.path(), "other");
        fs::rename(root.path(), renamed.path()).unwrap();
        assert_eq!(held.open_existing().unwrap(), state, "what it was made as");
        fs::write(held.path().join("file"), "x").unwrap();
        assert!(renamed.path().join("file").exists());
        assert_eq!(Root::on_host(&open).unwrap(), renamed);
    }
}
