//! A cluster that goes to a file and comes from one: what of its directory is its own, and how a directory is filled that
//! isn't a cluster's before all of it is there.

use super::{Error, Root, State, managed, remove, write};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the traces of a process end with: how it was started, and what it wrote.
const TRACES: [&str; 2] = [".run.json", ".log"];
/// No cluster can be called so, so it can lie among them.
const SNAPSHOTS: &str = ".snapshots";

/// Where snapshots of the clusters below a base directory go, if nobody says otherwise.
pub fn snapshots(base: &Path) -> PathBuf {
    super::place::canonical(base).join(SNAPSHOTS)
}

impl Root {
    /// Where a snapshot is put together.
    pub fn staging(&self) -> PathBuf {
        self.run().join("snapshot")
    }

    /// The directories that a component has, of the control plane or of nodes.
    ///
    /// # Errors
    /// The nodes' directories can't be listed.
    pub fn directories_of(&self, component: &str) -> Result<Vec<PathBuf>, Error> {
        let mut found = vec![self.control(component)];
        found.extend(self.node_directories()?.iter().map(|node| node.join(component)));
        found.retain(|directory| directory.is_dir());
        found.sort();
        Ok(found)
    }

    /// Whether a component has files of its own in one of its directories: not those that each boot makes again.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn has_data_of(&self, component: &str) -> Result<bool, Error> {
        for directory in self.directories_of(component)? {
            let made_again = match self.of_a_boot(&directory) {
                // Every file counts then, which at worst asks for a key that isn't needed.
                Err(Error::Damaged { .. }) => BTreeSet::new(),
                found => found?,
            };
            if has_file(&directory, &made_again)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The nodes that have a directory: they ran before.
    ///
    /// # Errors
    /// The directory of the nodes can't be read.
    pub fn node_names(&self) -> Result<BTreeSet<String>, Error> {
        let directories = self.node_directories()?;
        Ok(directories.iter().filter_map(|node| Some(node.file_name()?.to_string_lossy().into_owned())).collect())
    }

    /// The files in an instance's directory that each boot makes again: those that were written for its plan, and what its
    /// processes left in passing.
    ///
    /// # Errors
    /// The ledger of written files, or the directory, can't be read.
    pub fn of_a_boot(&self, directory: &Path) -> Result<BTreeSet<PathBuf>, Error> {
        let mut found = managed::files(&self.managed_file())?;
        for entry in fs::read_dir(directory).map_err(|cause| Error::io("read", directory, cause))?.flatten() {
            let name = entry.file_name();
            if let Some(process) = name.to_str().and_then(|name| name.strip_suffix(TRACES[0])) {
                found.extend(TRACES.map(|ending| directory.join(format!("{process}{ending}"))));
            }
        }
        Ok(found)
    }

    /// Begins to fill a directory that [`Root::make`] made, or that a broken-off removal left, and gives it an ID: until
    /// [`Root::complete`] it counts as one whose removal has begun, so that no command takes a
    /// directory that is only half filled for a cluster. The caller holds the lock.
    ///
    /// # Errors
    /// It is a cluster's, or can't be written.
    pub fn begin(&self, state: &State) -> Result<(), Error> {
        let removing = match self.open_existing() {
            Err(Error::Missing { .. }) => false,
            Ok(there) if there.removing => true,
            Ok(_) => return Err(Error::Exists { path: self.path().to_owned() }),
            Err(error) => return Err(error),
        };
        self.empty_and_close(removing)?;
        self.identified(state.clone())?.write(&self.removing_file())
    }

    /// From now on the directory is a cluster's.
    ///
    /// # Errors
    /// The mark can't be taken away.
    pub fn complete(&self) -> Result<(), Error> {
        fs::rename(self.removing_file(), self.state_file())
            .map_err(|cause| Error::io("rename", &self.removing_file(), cause))?;
        write::sync(self.path(), &self.state_file())
    }

    /// Empties a cluster's directory of all but its settings and its own plugins, and makes it a new cluster's of the same name.
    /// Broken off, it is one whose removal has begun. The caller holds the lock.
    ///
    /// # Errors
    /// It isn't a cluster's directory, or something can't be removed.
    pub fn start_over(&self) -> Result<(), Error> {
        self.open_existing()?;
        self.mark_removing()?;
        let settings = self.spec_file();
        let settings = settings.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        remove::empty(self.path(), &[super::REMOVING_FILE, super::PLUGINS, settings])?;
        self.identified(State::new(self.name()))?.write(&self.removing_file())?;
        self.complete()
    }
}

/// Whether there is a file below a directory that is none of these.
fn has_file(directory: &Path, except: &BTreeSet<PathBuf>) -> Result<bool, Error> {
    let unreadable = |cause| Error::io("read", directory, cause);
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let found = match entry.file_type().map_err(unreadable)?.is_dir() {
            true => has_file(&entry.path(), except)?,
            false => !except.contains(&entry.path()),
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
    use crate::root::tests::cluster;
    use crate::root::write_managed;
    use std::os::unix::fs::PermissionsExt;

    fn written(root: &Root, name: &str) -> PathBuf {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        path
    }

    #[test]
    fn a_directory_that_is_being_filled_is_no_cluster_before_all_is_there() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        root.make().unwrap();
        let state = State { authority: Some("other".into()), ..State::new("one".into()) };
        root.begin(&state).unwrap();
        written(&root, "pki/ca.crt");
        let found = root.open_existing().unwrap();
        assert!(found.removing);
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o7777, 0o700);
        // Broken off here, the next one begins with nothing.
        root.begin(&state).unwrap();
        assert!(!root.path().join("pki").exists());
        written(&root, "pki/ca.crt");
        root.complete().unwrap();
        let found = root.open_existing().unwrap();
        assert!(!found.removing && root.path().join("pki/ca.crt").exists());
        assert_eq!((found.authority(), State::new("one".into()).authority()), ("other", "one"));
        assert!(matches!(root.begin(&state), Err(Error::Exists { .. })));
        assert!(root.path().join("pki/ca.crt").exists());
    }

    #[test]
    fn a_fresh_start_keeps_settings_and_plugins_alone() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        assert!(matches!(root.start_over(), Err(Error::Missing { .. })));
        root.create().unwrap();
        for name in ["kubernix.toml", "plugins/x.toml", "control/store/data", "pki/ca.crt", "run/boot.json"] {
            written(&root, name);
        }
        root.start_over().unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kubernix.toml", "plugins", "state.json"]);
        assert!(root.path().join("plugins/x.toml").exists() && !root.open_existing().unwrap().removing);
    }

    #[test]
    fn data_is_told_from_what_each_boot_makes_again() {
        let (_base, root) = cluster();
        let data = written(&root, "control/store/data/state");
        let traces = ["store.run.json", "store.log"].map(|name| written(&root, &format!("control/store/{name}")));
        let other = written(&root, "control/store/journal.log");
        let config = root.control("store").join("store.conf");
        write_managed(&config, b"x", 0o600, &root.managed_file()).unwrap();
        let found = root.of_a_boot(&root.control("store")).unwrap();
        assert!(traces.iter().chain([&config]).all(|path| found.contains(path)), "{found:?}");
        assert!(!found.contains(&data) && !found.contains(&other), "{found:?}");
        written(&root, "nodes/node-0/store/x");
        written(&root, "nodes/node-1/other/x");
        assert_eq!(
            root.directories_of("store").unwrap(),
            [root.control("store"), root.node_component("node-0", "store")]
        );
        assert_eq!(root.directories_of("nothing").unwrap(), [""; 0].map(PathBuf::from));
    }
}
