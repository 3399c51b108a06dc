//! What a snapshot says of itself, and what it may hold at all.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The version of the form. Raised when an older KuberNix would misread a newer snapshot.
pub const FORMAT: u32 = 1;
/// The first entry's name.
pub(super) const NAME: &str = "manifest.json";
/// The folder of a snapshot in which the datastore's directories are.
pub const DATASTORE: &str = "datastore";

/// The component whose data a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datastore {
    /// Its name.
    pub component: String,
    /// Its version.
    pub version: String,
}

/// What is known of a cluster before its files are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form's version, see [`FORMAT`].
    pub format: u32,
    /// The version of KuberNix that saved it.
    pub kubernix: String,
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's name that its CAs carry.
    pub authority: String,
    /// When it was saved.
    pub saved: Timestamp,
    /// The range of all its addresses.
    pub cidr: Ipv4Net,
    /// What its objects are in.
    pub datastore: Datastore,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the snapshot.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// As of chmod(2).
    pub mode: u32,
    /// Of its content, hexadecimal.
    pub sha256: String,
}

/// The first entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of which cluster, when, by whom.
    #[serde(flatten)]
    pub head: Head,
    /// All other entries, in this order.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// What all files hold, in bytes.
    pub fn size(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Whether it names what a cluster needs, and nothing that has no place in one.
    ///
    /// # Errors
    /// What it shouldn't name, or should.
    pub(super) fn check(&self) -> Result<(), String> {
        for name in [&self.head.cluster, &self.head.authority] {
            crate::settings::parse_name(name)?;
        }
        let mut seen = BTreeSet::new();
        for entry in &self.entries {
            if !has_a_place(&entry.path, &self.head.datastore.component) {
                return Err(format!("`{}` is no file of a cluster", entry.path));
            }
            if !seen.insert(entry.path.as_str()) {
                return Err(format!("`{}` is there twice", entry.path));
            }
        }
        if !seen.contains(super::SETTINGS) {
            return Err(format!("it has no `{}`", super::SETTINGS));
        }
        match seen.iter().any(|path| path.starts_with(DATASTORE)) {
            true => Ok(()),
            false => Err(format!("it has nothing of the datastore `{}`", self.head.datastore.component)),
        }
    }
}

/// Whether a file of this path belongs into a snapshot of a cluster whose datastore is this component.
fn has_a_place(path: &str, datastore: &str) -> bool {
    let parts: Option<Vec<&str>> = Path::new(path)
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let parts = parts.unwrap_or_default();
    // As it would be written back, so that no two names mean one file.
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
    fn only_files_of_a_cluster_have_a_place() {
        for path in [
            "kubernix.toml",
            "applied.json",
            "allotted.json",
            "pki/ca.crt",
            "pki/nodes/node-0/kubelet.key",
            "datastore/control/store/data/x",
            "datastore/nodes/node-0/store/x",
        ] {
            assert!(has_a_place(path, "store"), "{path}");
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
            assert!(!has_a_place(path, "store"), "{path}");
        }
        assert!(!has_a_place("datastore/control/../x", ".."));
    }
}
