//! Records which order ended a cluster, for commands that inspect it or wait for it.

use crate::cluster_dir::ClusterDir;
use crate::write::write_atomic;
use std::path::PathBuf;

/// The order that ended a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `kubernix stop`, or a signal to the keeper.
    Stop,
    /// `kubernix down`.
    Down,
    /// A failed or interrupted boot.
    Boot,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Stop, Self::Down, Self::Boot];

    /// The name of the command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Down => "down",
            Self::Boot => "boot",
        }
    }

    fn path(root: &ClusterDir) -> PathBuf {
        root.run().join("ending")
    }

    /// Records it. Errors are only logged, because a full disk must not prevent the end.
    pub fn note(self, root: &ClusterDir) {
        // By rename, so that a reader never sees a part of it.
        if let Err(error) = write_atomic(&Self::path(root), self.word().as_bytes(), 0o600) {
            log::debug!("{error}");
        }
    }

    /// The record since the last boot began. A missing directory, or one that is being removed,
    /// counts as [`Ending::Down`].
    pub fn read(root: &ClusterDir) -> Option<Self> {
        if root.is_removed() {
            return Some(Self::Down);
        }
        let path = Self::path(root);
        let word = match std::fs::read_to_string(&path) {
            Ok(word) => word,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                log::warn!("`{}` can't be read, so it is unknown what ended the cluster: {error}", path.display());
                return None;
            }
        };
        let known = Self::ALL.into_iter().find(|ending| ending.word() == word);
        if known.is_none() {
            log::warn!(
                "`{}` is damaged, so it is unknown what ended the cluster; the next boot removes it",
                path.display()
            );
        }
        known
    }

    /// Removes the record when a boot begins. The caller holds the lock.
    pub fn forget(root: &ClusterDir) {
        // Usually there is none.
        let _ = std::fs::remove_file(Self::path(root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_counts_until_a_boot_begins() {
        let base = tempfile::tempdir().unwrap();
        let root = ClusterDir::at(base.path().join("one"));
        std::fs::create_dir(root.path()).unwrap();
        std::fs::write(root.path().join(crate::cluster_dir::STATE_FILE), "").unwrap();
        std::fs::create_dir(root.run()).unwrap();
        assert_eq!(Ending::read(&root), None);
        Ending::Stop.note(&root);
        Ending::Down.note(&root);
        assert_eq!(Ending::read(&root), Some(Ending::Down));
        for damaged in [&b""[..], b"do", b"\xff\0", b"suspend"] {
            std::fs::write(Ending::path(&root), damaged).unwrap();
            assert_eq!(Ending::read(&root), None);
        }
        Ending::forget(&root);
        assert_eq!(Ending::read(&root), None);
        std::fs::remove_dir_all(root.path()).unwrap();
        assert_eq!(Ending::read(&root), Some(Ending::Down), "the directory is gone");
    }
}
