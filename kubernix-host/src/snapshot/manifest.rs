//! The manifest of a snapshot, and the check of its paths.

use super::Rejection;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The version of the format. Incremented if an older KuberNix would misread a newer snapshot.
pub const FORMAT: u32 = 1;
/// The first entry's name.
pub(super) const NAME: &str = "manifest.json";
/// The folder of the datastore's directories in a snapshot.
pub const DATASTORE: &str = "datastore";

/// The component whose data is in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datastore {
    /// Its name.
    pub component: String,
    /// Its version.
    pub version: String,
}

/// The description of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of the format, see [`FORMAT`].
    pub format: u32,
    /// The version of KuberNix that saved it.
    pub kubernix: String,
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's name in the common names of its CAs.
    pub authority: String,
    /// When it was saved.
    pub saved: Timestamp,
    /// The CIDR of all its addresses.
    pub cidr: Ipv4Net,
    /// Its datastore.
    pub datastore: Datastore,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the snapshot.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its permissions, see chmod(2).
    pub mode: u32,
    /// The SHA-256 of its content, hexadecimal.
    pub sha256: String,
}

/// The first entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The description of the snapshot.
    #[serde(flatten)]
    pub head: Head,
    /// All other entries, in this order.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// The size of all files, in bytes.
    pub fn size(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Checks that the manifest lists all files that a cluster needs, and only files of a cluster.
    ///
    /// # Errors
    /// A file is missing, unknown or listed twice, or a name is invalid.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        for name in [&self.head.cluster, &self.head.authority] {
            crate::settings::parse_name(name).map_err(|error| Rejection::Name(error.to_string()))?;
        }
        let mut seen = BTreeSet::new();
        for entry in &self.entries {
            if !is_of_cluster(&entry.path, &self.head.datastore.component) {
                return Err(Rejection::UnknownFile(entry.path.clone()));
            }
            if !seen.insert(entry.path.as_str()) {
                return Err(Rejection::Duplicate(entry.path.clone()));
            }
        }
        if !seen.contains(super::SETTINGS) {
            return Err(Rejection::MissingFile(super::SETTINGS));
        }
        if !seen.iter().any(|path| path.starts_with(DATASTORE)) {
            return Err(Rejection::NoData(self.head.datastore.component.clone()));
        }
        Ok(())
    }
}

/// Whether a snapshot may have a file of this path. `datastore`: the component of the cluster's
/// datastore.
fn is_of_cluster(path: &str, datastore: &str) -> bool {
    let parts: Option<Vec<&str>> = Path::new(path)
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let parts = parts.unwrap_or_default();
    // Only normalized paths, so that no two paths are the same file.
    if parts.join("/") != path {
        return false;
    }
    match parts[..] {
        [file] => file == super::SETTINGS || super::RECORDS.contains(&file),
        ["pki", _, ..] => true,
        [DATASTORE, "control", component, _, ..] | [DATASTORE, "nodes", _, component, _, ..] => component == datastore,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_cluster_are_accepted() {
        for path in [
            "kubernix.toml",
            "applied.json",
            "allotted.json",
            "pki/ca.crt",
            "pki/nodes/node-0/kubelet.key",
            "datastore/control/store/data/x",
            "datastore/nodes/node-0/store/x",
        ] {
            assert!(is_of_cluster(path, "store"), "{path}");
        }
        for path in [
            "",
            ".",
            "/",
            "state.json",
            "removing.json",
            "manifest.json",
            "kubernix.toml/x",
            "./kubernix.toml",
            "pki",
            "pki//ca.crt",
            "pki/./ca.crt",
            "pki/../state.json",
            "pki/../../../etc/passwd",
            "/etc/passwd",
            "../x",
            "datastore/control/store",
            "datastore/control/other/x",
            "datastore/control/../x",
            "datastore/control/store/../../x",
            "datastore/nodes/node-0/other/x",
            "nodes/node-0/store/x",
            "run/boot.json",
        ] {
            assert!(!is_of_cluster(path, "store"), "{path}");
        }
        assert!(!is_of_cluster("datastore/control/../x", ".."));
    }
}
