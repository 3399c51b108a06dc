//! Copies of the plugins that a running cluster uses. A plugin can then be built again or removed
//! without affecting the process that has loaded it.

use super::gather::PluginError;
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

/// The directory of the copies, below a directory that exists until the cluster stops.
pub const DIRECTORY: &str = "plugins";

/// A plugin that a cluster uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its source.
    pub source: Source,
    /// The cluster's own copy.
    pub copy: PathBuf,
    /// Its version.
    pub version: String,
}

/// Copies the files of these components into a directory of the cluster.
///
/// # Errors
/// A file can't be read or written.
pub fn take(components: &Components, directory: &Path) -> io::Result<Vec<Snapshot>> {
    let mut all = Vec::new();
    for component in components {
        let Some(path) = component.source.path() else { continue };
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let is_manifests = matches!(component.source, Source::Manifests { .. });
        let (content, extension) = if is_manifests {
            (manifests::component(path).map_err(io::Error::other)?.into_bytes(), "toml".into())
        } else {
            (fs::read(path)?, path.extension().unwrap_or_default().to_string_lossy())
        };
        // The name has the component, because files of different directories may have the same
        // name. It has the hash, because a file that a running cluster has mapped must not change.
        let copy = directory.join(format!("{}-{}.{extension}", component.name(), &sha256(&content)[..12]));
        // An existing copy isn't written again: a library whose file was replaced can't be loaded
        // again.
        if !fs::read(&copy).is_ok_and(|old| old == content) {
            write_atomic(&copy, &content, 0o600).map_err(io::Error::other)?;
        }
        all.push(Snapshot { source: component.source.clone(), copy, version: component.version.clone() });
    }
    Ok(all)
}

/// Removes the copies of a stopped cluster.
///
/// # Errors
/// A copy can't be removed.
pub fn clear(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Loads the copies.
///
/// # Errors
/// A copy can't be loaded. The error names its file.
pub fn load(snapshots: &[Snapshot]) -> Result<Vec<Arc<Registered>>, PluginError> {
    let one = |snapshot: &Snapshot| {
        let handle = match snapshot.source {
            Source::Toml { .. } | Source::Manifests { .. } => abi::component(declared::read(&snapshot.copy)?),
            _ => loader::load(&snapshot.copy)?.handle,
        };
        let registered = Registered::new(handle, snapshot.version.clone(), snapshot.source.clone());
        registered.map(Arc::new).map_err(PluginError::Component)
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
    fn equal_names_and_new_contents_get_separate_copies() {
        let base = tempfile::tempdir().unwrap();
        let (a, b) = (base.path().join("a/x.toml"), base.path().join("b/x.toml"));
        let run = base.path().join("run");
        let first = take(&[component(&a, "one"), component(&b, "two")], &run).unwrap();
        let names: Vec<String> = load(&first).unwrap().iter().map(|one| one.name().to_owned()).collect();
        assert_eq!(names, ["one", "two"]);
        let inode = |snapshots: &[Snapshot]| fs::metadata(&snapshots[0].copy).unwrap().ino();
        let again = take(&[component(&a, "one")], &run).unwrap();
        assert_eq!((&again[0], inode(&again)), (&first[0], inode(&first)), "an equal copy isn't written again");
        let changed = component(&a, "one");
        fs::write(&a, fs::read_to_string(&a).unwrap() + "# changed\n").unwrap();
        let second = take(&[changed], &run).unwrap();
        assert_ne!(second[0].copy, first[0].copy);
        assert!(first[0].copy.exists(), "a running cluster keeps its copy");
        clear(&run).unwrap();
        clear(&run).unwrap();
        assert!(!run.exists());
    }
}
