//! The root directory in snapshots: which files are a cluster's data, and how a directory is filled
//! so that it is a cluster's only once it is complete.

use super::{Error, Root, State, managed, remove, write};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The suffixes of the files that a process leaves: its start parameters, and its log.
const TRACES: [&str; 2] = [".run.json", ".log"];
/// Not a valid cluster name, so it can be a directory beside clusters.
const SNAPSHOTS: &str = ".snapshots";

/// The default directory for snapshots of the clusters below a base directory.
pub fn snapshots(base: &Path) -> PathBuf {
    super::paths::canonical(base).join(SNAPSHOTS)
}

impl Root {
    /// The directory in which a snapshot is assembled.
    pub fn staging(&self) -> PathBuf {
        self.run().join("snapshot")
    }

    /// The existing directories of a component, of the control plane and of nodes.
    ///
    /// # Errors
    /// The nodes' directories can't be listed.
    pub fn component_directories(&self, component: &str) -> Result<Vec<PathBuf>, Error> {
        let mut found = vec![self.control(component)];
        found.extend(self.node_directories()?.iter().map(|node| node.join(component)));
        found.retain(|directory| directory.is_dir());
        found.sort();
        Ok(found)
    }

    /// Whether a component has data in one of its directories: files that a boot doesn't create
    /// again.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn has_component_data(&self, component: &str) -> Result<bool, Error> {
        for directory in self.component_directories(component)? {
            let boot_files = match self.boot_files(&directory) {
                // Every file counts as data then. At worst, an unneeded key is requested.
                Err(Error::Damaged { .. }) => BTreeSet::new(),
                found => found?,
            };
            if has_file(&directory, &boot_files)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The nodes that have a directory, because they ran before.
    ///
    /// # Errors
    /// The directory of the nodes can't be read.
    pub fn node_names(&self) -> Result<BTreeSet<String>, Error> {
        let directories = self.node_directories()?;
        Ok(directories.iter().filter_map(|node| Some(node.file_name()?.to_string_lossy().into_owned())).collect())
    }

    /// The files in an instance's directory that each boot creates again: the files of its plan,
    /// and logs and start parameters of its processes.
    ///
    /// # Errors
    /// The ledger of written files, or the directory, can't be read.
    pub fn boot_files(&self, directory: &Path) -> Result<BTreeSet<PathBuf>, Error> {
        let mut found = managed::files(&self.managed_file())?;
        for entry in fs::read_dir(directory).map_err(|cause| Error::io("read", directory, cause))?.flatten() {
            let name = entry.file_name();
            if let Some(process) = name.to_str().and_then(|name| name.strip_suffix(TRACES[0])) {
                found.extend(TRACES.map(|ending| directory.join(format!("{process}{ending}"))));
            }
        }
        Ok(found)
    }

    /// Prepares a directory for filling and gives it an ID. It was created by
    /// [`Root::create_directory`], or left by an interrupted removal. Until [`Root::complete_fill`]
    /// it has the mark of a begun removal, so that no command uses a partly filled directory. The
    /// caller holds the lock.
    ///
    /// # Errors
    /// It is a cluster's, or can't be written.
    pub fn begin_fill(&self, state: &State) -> Result<(), Error> {
        let removing = match self.open_existing() {
            Err(Error::Missing { .. }) => false,
            Ok(state) if state.removing => true,
            Ok(_) => return Err(Error::Exists { path: self.path().to_owned() }),
            Err(error) => return Err(error),
        };
        self.empty_and_restrict(removing)?;
        self.with_id(state.clone())?.write(&self.removing_file())
    }

    /// Marks the filled directory as a cluster's.
    ///
    /// # Errors
    /// The mark of a begun removal can't be replaced.
    pub fn complete_fill(&self) -> Result<(), Error> {
        fs::rename(self.removing_file(), self.state_file())
            .map_err(|cause| Error::io("rename", &self.removing_file(), cause))?;
        write::sync(self.path(), &self.state_file())
    }

    /// Removes all files but the settings and the cluster's own plugins, and creates a new cluster
    /// of the same name there. If interrupted, the directory has the mark of a begun removal. The
    /// caller holds the lock.
    ///
    /// # Errors
    /// It isn't a cluster's directory, or a file can't be removed.
    pub fn clear(&self) -> Result<(), Error> {
        self.open_existing()?;
        self.mark_removing()?;
        let settings = self.settings_file();
        let settings = settings.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        remove::empty(self.path(), &[super::REMOVING_FILE, super::PLUGINS, settings])?;
        self.with_id(State::new(self.name()))?.write(&self.removing_file())?;
        self.complete_fill()
    }
}

/// Whether a directory tree has a file that isn't in `except`.
fn has_file(directory: &Path, except: &BTreeSet<PathBuf>) -> Result<bool, Error> {
    let unreadable = |cause| Error::io("read", directory, cause);
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let found = if entry.file_type().map_err(unreadable)?.is_dir() {
            has_file(&entry.path(), except)?
        } else {
            !except.contains(&entry.path())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root_dir::tests::cluster;
    use crate::root_dir::write_managed;
    use std::os::unix::fs::PermissionsExt;

    fn written(root: &Root, name: &str) -> PathBuf {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        path
    }

    #[test]
    fn a_directory_is_a_clusters_only_once_it_is_filled() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        root.create_directory().unwrap();
        let state = State { authority: Some("other".into()), ..State::new("one".into()) };
        root.begin_fill(&state).unwrap();
        written(&root, "pki/ca.crt");
        let found = root.open_existing().unwrap();
        assert!(found.removing);
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o7777, 0o700);
        // Interrupted here, the next attempt begins with an empty directory.
        root.begin_fill(&state).unwrap();
        assert!(!root.path().join("pki").exists());
        written(&root, "pki/ca.crt");
        root.complete_fill().unwrap();
        let found = root.open_existing().unwrap();
        assert!(!found.removing && root.path().join("pki/ca.crt").exists());
        assert_eq!((found.authority(), State::new("one".into()).authority()), ("other", "one"));
        assert!(matches!(root.begin_fill(&state), Err(Error::Exists { .. })));
        assert!(root.path().join("pki/ca.crt").exists());
    }

    #[test]
    fn clear_keeps_only_settings_and_plugins() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        assert!(matches!(root.clear(), Err(Error::Missing { .. })));
        root.create().unwrap();
        for name in ["kubernix.toml", "plugins/x.toml", "control/store/data", "pki/ca.crt", "run/boot.json"] {
            written(&root, name);
        }
        root.clear().unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kubernix.toml", "plugins", "state.json"]);
        assert!(root.path().join("plugins/x.toml").exists() && !root.open_existing().unwrap().removing);
    }

    #[test]
    fn boot_files_are_plan_files_logs_and_start_parameters() {
        let (_base, root) = cluster();
        let data = written(&root, "control/store/data/state");
        let traces = ["store.run.json", "store.log"].map(|name| written(&root, &format!("control/store/{name}")));
        let other = written(&root, "control/store/journal.log");
        let config = root.control("store").join("store.conf");
        write_managed(&config, b"x", 0o600, &root.managed_file()).unwrap();
        let found = root.boot_files(&root.control("store")).unwrap();
        assert!(traces.iter().chain([&config]).all(|path| found.contains(path)), "{found:?}");
        assert!(!found.contains(&data) && !found.contains(&other), "{found:?}");
        written(&root, "nodes/node-0/store/x");
        written(&root, "nodes/node-1/other/x");
        assert_eq!(
            root.component_directories("store").unwrap(),
            [root.control("store"), root.node_component("node-0", "store")]
        );
        assert_eq!(root.component_directories("nothing").unwrap(), [""; 0].map(PathBuf::from));
    }
}
