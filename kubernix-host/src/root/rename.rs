//! A root directory under another name. The directory's name is the cluster's: it has the new one from the moment of the rename.

use super::{Error, Root, write};
use crate::ClusterDir;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::{self, ErrorKind};
use std::path::Path;

impl Root {
    /// Gives the directory another name beside its old one. What carries the name in it is brought up to that afterwards, and
    /// [`Root::settle_name`] says that it was.
    ///
    /// # Errors
    /// Something has that name already ([`Error::Exists`]), or the directory can't be renamed.
    pub fn rename(&self, name: &str) -> Result<Self, Error> {
        let renamed = Self(ClusterDir::at(self.base().join(name)));
        move_to_free(self.path(), renamed.path()).map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => Error::Exists { path: renamed.path().to_owned() },
            _ => Error::io("rename", self.path(), cause),
        })?;
        // A rename that the disk hasn't got yet is done all the same.
        if let Err(error) = write::sync(self.base(), self.base()) {
            log::warn!("{error}");
        }
        Ok(renamed)
    }

    /// Writes down that all in the directory has its present name.
    ///
    /// # Errors
    /// It isn't a cluster's, or can't be written.
    pub fn settle_name(&self) -> Result<(), Error> {
        let state = self.open_existing()?;
        if state.renamed { state.write(&self.state_file()) } else { Ok(()) }
    }
}

/// Renames to a name that nothing has.
fn move_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems can't hold both names at once. Between the look and the rename only an empty directory could be lost.
        Err(rustix::io::Errno::INVAL) if to.symlink_metadata().is_err() => std::fs::rename(from, to),
        Err(rustix::io::Errno::INVAL) => Err(ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::tests::cluster;
    use std::fs;

    #[test]
    fn a_renamed_cluster_is_the_same_one_and_keeps_what_its_cas_carry() {
        let (base, root) = cluster();
        let made = root.open_existing().unwrap();
        let renamed = root.rename("two").unwrap();
        assert_eq!(renamed, Root::new(base.path(), "two"));
        assert!(matches!(root.open_existing(), Err(Error::Missing { .. })));
        for settled in [false, true] {
            let state = renamed.open_existing().unwrap();
            assert_eq!((state.name.as_str(), state.authority(), &state.id), ("two", "one", &made.id));
            assert_eq!(state.renamed, !settled);
            renamed.settle_name().unwrap();
        }
        let again = renamed.rename("one").unwrap().open_existing().unwrap();
        assert_eq!((again.name.as_str(), again.authority.as_deref(), &again.id), ("one", None, &made.id));
    }

    #[test]
    fn a_name_that_something_has_is_refused() {
        let (base, root) = cluster();
        Root::new(base.path(), "cluster").create().unwrap();
        fs::create_dir(base.path().join("empty")).unwrap();
        fs::write(base.path().join("file"), "x").unwrap();
        for taken in ["cluster", "empty", "file", "one"] {
            assert!(matches!(root.rename(taken), Err(Error::Exists { .. })), "{taken}");
        }
        root.open_existing().unwrap();
    }

    #[test]
    fn a_copy_gets_an_id_of_its_own_and_a_moved_directory_keeps_its() {
        let (base, root) = cluster();
        let id = root.open_existing().unwrap().id.unwrap();
        assert_eq!(root.identify().unwrap().id, Some(id.clone()));
        let copy = Root::new(base.path(), "copy");
        fs::create_dir(copy.path()).unwrap();
        fs::copy(root.path().join("state.json"), copy.path().join("state.json")).unwrap();
        let found = copy.open_existing().unwrap();
        assert_eq!((found.id.as_ref(), found.cgroup(), found.authority()), (None, "copy", "one"));
        let own = copy.identify().unwrap();
        assert!(own.id.is_some() && own.id != Some(id.clone()) && own.cgroup() != "copy");
        assert_eq!(copy.open_existing().unwrap().id, own.id);
        fs::rename(root.path(), base.path().join("moved")).unwrap();
        assert_eq!(Root::new(base.path(), "moved").identify().unwrap().id, Some(id));
    }

    #[test]
    fn a_directory_of_an_older_version_gets_an_id_once() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        fs::create_dir(root.path()).unwrap();
        let older = r#"{ "format": 1, "kubernix": "1.0.0", "created": "2026-01-01T00:00:00Z", "name": "one" }"#;
        fs::write(root.path().join("state.json"), older).unwrap();
        assert_eq!(root.open_existing().unwrap().cgroup(), "one", "what its cgroups were called");
        let id = root.identify().unwrap().id;
        assert!(id.is_some());
        assert_eq!(root.identify().unwrap().id, id);
    }
}
