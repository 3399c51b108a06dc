//! `cluster.json`: the state of a cluster that is in force, committed by one durable write and one rename.
//!
//! It holds the settings, the nodes and what the init boots from. Its owner writes it and nothing else
//! does: the command that boots while it holds the cluster's lock, the init from then on. The files
//! `kubernix.toml`, `allotted.json` and `kubernix.env` are views of it, for people, shells and
//! snapshots; they are written after it.

use super::{Allotment, Error, Root, json, write_durable};
use crate::digits::sha256;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the file's form. Raised when an older KuberNix would misread a newer file.
const FORMAT: u32 = 1;

/// The state of a cluster that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFile {
    /// The version of the file's form.
    pub format: u32,
    /// The version of KuberNix that wrote it.
    pub kubernix: String,
    /// Counts the states: a change is made from one of them and refused if that isn't the last.
    pub revision: u64,
    /// The settings as applied, in the form of `kubernix.toml`.
    pub settings: String,
    /// SHA-256 of the settings before, hexadecimal: tells a view that is one state behind from one that
    /// a person edited.
    #[serde(default)]
    pub settings_before: String,
    /// The nodes and ports that the cluster was given.
    pub allotment: Allotment,
    /// What the init boots from.
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

    /// Where it lies.
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

    /// Puts this state in force: either it is on the disk afterwards, or the one before still is.
    ///
    /// # Errors
    /// It can't be written.
    pub fn commit(&self, root: &Root) -> Result<(), Error> {
        let path = Self::path(root);
        write_durable(&path, json::text(&path, self)?.as_bytes(), 0o600).map(drop)
    }

    /// Whether a text of `kubernix.toml` is that of this state, or of the one before, whose view wasn't
    /// replaced yet.
    pub fn has_view(&self, text: &str) -> bool {
        text == self.settings || sha256(text.as_bytes()) == self.settings_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::tests::cluster;
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_state_is_read_as_it_was_committed_and_the_next_one_replaces_it() {
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
    fn a_view_that_is_one_state_behind_is_told_from_an_edited_one() {
        let first = ClusterFile::first("a = 1\n".into(), Allotment::default(), json!({}));
        let next = first.next("a = 2\n".into(), Allotment::default(), json!({}));
        assert!(next.has_view("a = 2\n") && next.has_view("a = 1\n") && !next.has_view("a = 3\n"));
        assert!(!first.has_view(""));
    }

    #[test]
    fn what_is_no_state_of_this_version_is_an_error_and_never_a_default() {
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
