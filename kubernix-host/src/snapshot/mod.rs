//! Snapshots: what makes a cluster the same again, in one file that can be kept elsewhere.
//!
//! A `.tar.gz` whose first entry, `manifest.json`, says what else is in it, with hashes. What is read is held against that and
//! against what a snapshot may hold at all, before anything of it counts. This module knows files and their names; it must
//! not know any component by name, nor how a cluster is booted, or its processes are made to stand still.
//!
//! ```text
//! manifest.json
//! kubernix.toml                          the settings as applied
//! allotted.json                          the nodes that the cluster was given
//! applied.json                           what was applied to the API for components
//! pki/...                                all of it
//! datastore/control/COMPONENT/...        the datastore's directories, as they lie below the root directory
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
pub use error::Error;
pub use list::{Listed, list};
pub use manifest::{DATASTORE, Datastore, Entry, FORMAT, Head, Manifest};
pub use pack::{Written, target, write};
pub use read::{manifest, unpack, verify};
pub use stage::{Staging, stage};

/// The name of the settings' file.
pub const SETTINGS: &str = "kubernix.toml";
/// Records that a cluster keeps beside them, each where there is one.
const RECORDS: [&str; 2] = ["allotted.json", "applied.json"];
/// What file names end with where nobody chose another.
pub const ENDING: &str = ".tar.gz";
