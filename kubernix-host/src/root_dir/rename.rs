//! Renames a root directory. The directory's name is the cluster's name, so the cluster has its new
//! name after the rename.

use super::{Error, Root, write};
use crate::ClusterDir;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::{self, ErrorKind};
use std::path::Path;

impl Root {
    /// Renames the directory within its base. The caller updates the name in files afterwards, then
    /// calls [`Root::complete_rename`].
    ///
    /// # Errors
    /// The name is in use ([`Error::Exists`]), or the directory can't be renamed.
    pub fn rename(&self, name: &str) -> Result<Self, Error> {
        let renamed = Self(ClusterDir::at(self.base().join(name)));
        rename_exclusive(self.path(), renamed.path()).map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => Error::Exists { path: renamed.path().to_owned() },
            _ => Error::io("rename", self.path(), cause),
        })?;
        // The rename is done, even if the sync fails.
        if let Err(error) = write::sync(self.base(), self.base()) {
            log::warn!("{error}");
        }
        Ok(renamed)
    }

    /// Records that all files in the directory have the present name.
    ///
    /// # Errors
    /// It isn't a cluster's, or can't be written.
    pub fn complete_rename(&self) -> Result<(), Error> {
        let state = self.open_existing()?;
        if state.renamed { state.write(&self.state_file()) } else { Ok(()) }
    }
}

/// Renames a file, unless the new name is in use.
fn rename_exclusive(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems don't support NOREPLACE. A directory that is created between check and
        // rename is only replaced if it is empty.
        Err(rustix::io::Errno::INVAL) if to.symlink_metadata().is_err() => std::fs::rename(from, to),
        Err(rustix::io::Errno::INVAL) => Err(ErrorKind::AlreadyExists.into()),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root_dir::tests::cluster;
    use std::fs;

    #[test]
    fn a_renamed_cluster_keeps_its_id_and_the_name_in_its_cas() {
        let (base, root) = cluster();
        let made = root.open_existing().unwrap();
        let renamed = root.rename("two").unwrap();
        assert_eq!(renamed, Root::new(base.path(), "two"));
        assert!(matches!(root.open_existing(), Err(Error::Missing { .. })));
        for settled in [false, true] {
            let state = renamed.open_existing().unwrap();
            assert_eq!((state.name.as_str(), state.authority(), &state.id), ("two", "one", &made.id));
            assert_eq!(state.renamed, !settled);
            renamed.complete_rename().unwrap();
        }
        let again = renamed.rename("one").unwrap().open_existing().unwrap();
        assert_eq!((again.name.as_str(), again.authority.as_deref(), &again.id), ("one", None, &made.id));
    }

    #[test]
    fn a_name_in_use_is_rejected() {
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
    fn a_copied_directory_gets_a_new_id_and_a_moved_one_keeps_its_id() {
        let (base, root) = cluster();
        let id = root.open_existing().unwrap().id.unwrap();
        assert_eq!(root.ensure_id().unwrap().id, Some(id.clone()));
        let copy = Root::new(base.path(), "copy");
        fs::create_dir(copy.path()).unwrap();
        fs::copy(root.path().join("state.json"), copy.path().join("state.json")).unwrap();
        let found = copy.open_existing().unwrap();
        assert_eq!((found.id.as_ref(), found.cgroup(), found.authority()), (None, "copy", "one"));
        let own = copy.ensure_id().unwrap();
        assert!(own.id.is_some() && own.id != Some(id.clone()) && own.cgroup() != "copy");
        assert_eq!(copy.open_existing().unwrap().id, own.id);
        fs::rename(root.path(), base.path().join("moved")).unwrap();
        assert_eq!(Root::new(base.path(), "moved").ensure_id().unwrap().id, Some(id));
    }

    #[test]
    fn a_directory_of_an_older_version_gets_an_id_once() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        fs::create_dir(root.path()).unwrap();
        let older = r#"{ "format": 1, "kubernix": "1.0.0", "created": "2026-01-01T00:00:00Z", "name": "one" }"#;
        fs::write(root.path().join("state.json"), older).unwrap();
        assert_eq!(root.open_existing().unwrap().cgroup(), "one", "the name of its cgroups");
        let id = root.ensure_id().unwrap().id;
        assert!(id.is_some());
        assert_eq!(root.ensure_id().unwrap().id, id);
    }
}
