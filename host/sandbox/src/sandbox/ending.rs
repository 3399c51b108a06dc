//! The cause of a cluster's end, in a file for commands that look at the cluster or wait for it.

use crate::cluster_dir::ClusterDir;
use crate::write::write_atomic;
use std::path::PathBuf;

/// The cause of a cluster's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `kubernix stop`, or a signal to the keeper.
    Stop,
    /// `kubernix down`.
    Down,
    /// A boot that failed or was interrupted.
    Boot,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Stop, Self::Down, Self::Boot];

    /// The word for it, which is the command's.
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

    /// Writes it down. Only a note: the end itself must not depend on a disk that may be full.
    pub fn note(self, root: &ClusterDir) {
        // By rename, so that a reader never sees half of it.
        if let Err(error) = write_atomic(&Self::path(root), self.word().as_bytes(), 0o600) {
            log::debug!("{error}");
        }
    }

    /// What was noted since the last boot began. A cluster that is being removed, or gone, was
    /// taken down.
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

    /// Forgets it: a boot begins. The caller holds the lock.
    pub fn forget(root: &ClusterDir) {
        // There is none at most times.
        let _ = std::fs::remove_file(Self::path(root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_until_a_boot_begins() {
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
        assert_eq!(Ending::read(&root), Some(Ending::Down), "one that is gone");
    }
}
