//! Plugins of a running cluster: copies of their own, so that whoever builds or removes a plugin meanwhile doesn't pull the
//! library from under the cluster's first process.

use super::registry::{Registered, Source};
use super::{Components, declared, loader};
use crate::root::write_atomic;
use kubernix_core::abi;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        let copy = directory.join(path.file_name().unwrap_or_default());
        let content = fs::read(path)?;
        // A library that is mapped by a running cluster must not change, so a new content is a new file.
        write_atomic(&copy, &content, 0o600).map_err(io::Error::other)?;
        all.push(Snapshot { source: component.source.clone(), copy, version: component.version.clone() });
    }
    Ok(all)
}

/// Loads the copies.
///
/// # Errors
/// One of them doesn't load any more; the error names its file.
pub fn load(snapshots: &[Snapshot]) -> Result<Vec<Arc<Registered>>, String> {
    let one = |snapshot: &Snapshot| {
        let handle = match snapshot.source {
            Source::Toml { .. } => abi::component(declared::read(&snapshot.copy).map_err(|error| error.to_string())?),
            _ => loader::load(&snapshot.copy).map_err(|error| error.to_string())?.handle,
        };
        let registered = Registered::new(handle, snapshot.version.clone(), snapshot.source.clone());
        registered.map(Arc::new).map_err(|error| error.frames().join(": "))
    };
    snapshots.iter().map(one).collect()
}
