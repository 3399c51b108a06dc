//! `cluster.json`: the state in force of a cluster, committed by one durable write and one rename.
//!
//! It has the settings, the nodes and the input of the init. Only its owner writes it: the booting
//! command while it holds the cluster's lock, then the init. The files `kubernix.toml`,
//! `allotted.json` and `kubernix.env` are views of it, for users, shells and snapshots; they are
//! written after it.

use super::{Allotment, Error, Root, json, write_durable};
use crate::digits::sha256;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the file's format. Raised when an older KuberNix would misread a newer file.
const FORMAT: u32 = 1;

/// The state in force of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFile {
    /// The version of the file's format.
    pub format: u32,
    /// The version of KuberNix that wrote it.
    pub kubernix: String,
    /// The number of this state. A change is based on a revision, and is rejected if that isn't the
    /// latest.
    pub revision: u64,
    /// The settings as applied, in the form of `kubernix.toml`.
    pub settings: String,
    /// SHA-256 of the previous settings, hexadecimal. Distinguishes a view that is one revision
    /// behind from an edited one.
    #[serde(default)]
    pub settings_before: String,
    /// The nodes and ports of the cluster.
    pub allotment: Allotment,
    /// The input of the init.
    pub boot: serde_json::Value,
}

impl ClusterFile {
    /// The first state of a cluster.
    pub fn first(settings: String, allotment: Allotment, boot: serde_json::Value) -> Self {
        let kubernix = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, kubernix, revision: 1, settings, settings_before: String::new(), allotment, boot }
    }

    /// The state that follows this one.
    pub fn next(&self, settings: String, allotment: Allotment, boot: serde_json::Value) -> Self {
        let settings_before = sha256(self.settings.as_bytes());
        Self { revision: self.revision + 1, settings_before, ..Self::first(settings, allotment, boot) }
    }

    /// Its path.
    pub fn path(root: &Root) -> PathBuf {
        root.path().join("cluster.json")
    }

    /// Reads it; `None` for a cluster that was never booted.
    ///
    /// # Errors
    /// It can't be read, it is damaged ([`Error::Damaged`]), or a newer version wrote it
    /// ([`Error::NewerFormat`]).
    pub fn read(root: &Root) -> Result<Option<Self>, Error> {
        json::read(&Self::path(root), FORMAT, "")
    }

    /// Puts this state in force, durably.
    ///
    /// # Errors
    /// It can't be written. The previous state is still in force then.
    pub fn commit(&self, root: &Root) -> Result<(), Error> {
        let path = Self::path(root);
        write_durable(&path, json::text(&path, self)?.as_bytes(), 0o600).map(drop)
    }

    /// Whether a text of `kubernix.toml` is that of this state, or of the previous one, whose view
    /// wasn't replaced yet.
    pub fn has_view(&self, text: &str) -> bool {
        text == self.settings || sha256(text.as_bytes()) == self.settings_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root_dir::tests::cluster;
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_committed_state_is_read_back_and_replaced_by_the_next() {
        let (_base, root) = cluster();
        assert_eq!(ClusterFile::read(&root).unwrap(), None);
        let first = ClusterFile::first("a = 1\n".into(), Allotment::default(), json!({ "x": 1 }));
        first.commit(&root).unwrap();
        assert_eq!(ClusterFile::read(&root).unwrap().unwrap(), first);
        let next = first.next("a = 2\n".into(), Allotment::default(), json!({ "x": 2 }));
        next.commit(&root).unwrap();
        let read = ClusterFile::read(&root).unwrap().unwrap();
        assert_eq!((read.revision, &*read.settings), (2, "a = 2\n"));
    }

    #[test]
    fn a_view_that_is_one_revision_behind_is_distinguished_from_an_edited_one() {
        let first = ClusterFile::first("a = 1\n".into(), Allotment::default(), json!({}));
        let next = first.next("a = 2\n".into(), Allotment::default(), json!({}));
        assert!(next.has_view("a = 2\n") && next.has_view("a = 1\n") && !next.has_view("a = 3\n"));
        assert!(!first.has_view(""));
    }

    #[test]
    fn an_invalid_or_newer_file_is_an_error_and_never_a_default() {
        let (_base, root) = cluster();
        ClusterFile::first("a = 1\n".into(), Allotment::default(), json!({ "x": 1 })).commit(&root).unwrap();
        let whole = fs::read_to_string(ClusterFile::path(&root)).unwrap();
        let newer = whole.replace("\"format\": 1", "\"format\": 2");
        for text in ["", "garbage", &whole[..whole.len() / 2], "{}", "null"] {
            fs::write(ClusterFile::path(&root), text).unwrap();
            assert!(matches!(ClusterFile::read(&root), Err(Error::Damaged { .. })), "{text}");
        }
        fs::write(ClusterFile::path(&root), newer).unwrap();
        assert!(matches!(ClusterFile::read(&root), Err(Error::NewerFormat { .. })));
    }
}
