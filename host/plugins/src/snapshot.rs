//! Plugins of a running cluster: copies, so that building or removing a plugin
//! meanwhile doesn't pull the library from under the cluster's first process.

use super::registry::{Registered, Source};
use super::{Components, declared, loader, manifests};
use kubernix_core::abi;
use kubernix_toolchain::files::write_atomic;
use kubernix_toolchain::text::digits::sha256;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the copies lie, below what belongs to one life of a cluster.
pub const DIRECTORY: &str = "plugins";

/// A plugin that a cluster uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where it came from.
    pub source: Source,
    /// The cluster's own copy.
    pub copy: PathBuf,
    /// Its version.
    pub version: String,
}

/// Copies the files of these components into a directory of the cluster's.
///
/// # Errors
/// A file can't be read or written.
pub fn take(components: &Components, directory: &Path) -> io::Result<Vec<Snapshot>> {
    let mut all = Vec::new();
    for component in components {
        let Some(path) = component.source.path() else { continue };
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let is_manifests = matches!(component.source, Source::Manifests { .. });
        let (content, ending) = match is_manifests {
            true => (manifests::component(path)?.into_bytes(), "toml".into()),
            false => (fs::read(path)?, path.extension().unwrap_or_default().to_string_lossy()),
        };
        // By component, as files of different directories may have one name; and by content, as
        // what a running cluster has mapped must not change.
        let copy = directory.join(format!("{}-{}.{ending}", component.name(), &sha256(&content)[..12]));
        // Nor the file: a library whose file was replaced isn't loaded again.
        if !fs::read(&copy).is_ok_and(|there| there == content) {
            write_atomic(&copy, &content, 0o600).map_err(io::Error::other)?;
        }
        all.push(Snapshot { source: component.source.clone(), copy, version: component.version.clone() });
    }
    Ok(all)
}

/// Removes the copies of a cluster that doesn't run.
///
/// # Errors
/// One can't be removed.
pub fn clear(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Loads the copies.
///
/// # Errors
/// One of them doesn't load any more; the error names its file.
pub fn load(snapshots: &[Snapshot]) -> Result<Vec<Arc<Registered>>, String> {
    let one = |snapshot: &Snapshot| {
        let handle = match snapshot.source {
            Source::Toml { .. } | Source::Manifests { .. } => {
                abi::component(declared::read(&snapshot.copy).map_err(|error| error.to_string())?)
            }
            _ => loader::load(&snapshot.copy).map_err(|error| error.to_string())?.handle,
        };
        let registered = Registered::new(handle, snapshot.version.clone(), snapshot.source.clone());
        registered.map(Arc::new).map_err(|error| error.frames().join(": "))
    };
    snapshots.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn component(file: &Path, name: &str) -> Arc<Registered> {
        let text = format!(
            "[component]\nname = \"{name}\"\nversion = \"1.0.0\"\ndescription = \"x\"\nphase = \"Addon\"\nprovides = \
             [\"{name}\"]\n[[provide]]\nrole = \"{name}\"\nprobe = {{ kind = \"started\" }}\n"
        );
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let declared = abi::component(declared::read(file).unwrap());
        Arc::new(Registered::new(declared, "1.0.0", Source::Toml { path: file.to_owned() }).unwrap())
    }

    #[test]
    fn files_of_one_name_and_new_contents_have_copies_of_their_own() {
        let base = tempfile::tempdir().unwrap();
        let (a, b) = (base.path().join("a/x.toml"), base.path().join("b/x.toml"));
        let run = base.path().join("run");
        let first = take(&[component(&a, "one"), component(&b, "two")], &run).unwrap();
        let names: Vec<String> = load(&first).unwrap().iter().map(|one| one.name().to_owned()).collect();
        assert_eq!(names, ["one", "two"]);
        let inode = |snapshots: &[Snapshot]| fs::metadata(&snapshots[0].copy).unwrap().ino();
        let again = take(&[component(&a, "one")], &run).unwrap();
        assert_eq!((&again[0], inode(&again)), (&first[0], inode(&first)), "the same file, and not one like it");
        let changed = component(&a, "one");
        fs::write(&a, fs::read_to_string(&a).unwrap() + "# changed\n").unwrap();
        let second = take(&[changed], &run).unwrap();
        assert_ne!(second[0].copy, first[0].copy);
        assert!(first[0].copy.exists(), "what runs keeps its copy");
        clear(&run).unwrap();
        clear(&run).unwrap();
        assert!(!run.exists());
    }
}
