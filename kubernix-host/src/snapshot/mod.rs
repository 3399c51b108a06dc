//! Writes and reads snapshots: one file with everything that is needed to restore a cluster.
//!
//! A snapshot is a `.tar.gz` whose first entry, `manifest.json`, lists all other entries with
//! hashes. When a snapshot is read, its entries are checked against the manifest, and the manifest
//! against the paths that a snapshot may have, before any content is used. This module must not
//! know any component by name, nor how a cluster is booted or its processes are paused.
//!
//! ```text
//! manifest.json
//! kubernix.toml                          the settings as applied
//! allotted.json                          the nodes and ports of the cluster
//! applied.json                           the objects that were applied to the API for components
//! pki/...                                all certificates and keys
//! datastore/control/COMPONENT/...        the datastore's directories, with their paths below the root directory
//! datastore/nodes/NODE/COMPONENT/...
//! ```

mod copy;
mod error;
mod list;
mod manifest;
mod pack;
mod read;
mod stage;
#[cfg(test)]
mod tests;

pub use copy::CopyError;
use copy::{directory as copy_directory, file as copy_file};
pub use error::{Error, Rejection};
pub use list::{Listed, list};
pub use manifest::{DATASTORE, Datastore, Entry, FORMAT, Head, Manifest};
pub use pack::{Written, target, write};
pub use read::{manifest, unpack, verify};
pub use stage::{Staging, stage};

/// The name of the settings' file.
pub const SETTINGS: &str = "kubernix.toml";
/// Further files of a cluster. Each of them may be missing.
const RECORDS: [&str; 2] = ["allotted.json", "applied.json"];
/// The default extension of file names.
pub const ENDING: &str = ".tar.gz";
