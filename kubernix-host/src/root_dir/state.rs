//! `state.json`: the version that made a root directory, and the properties of the cluster that
//! can't change.

use super::{ClusterId, Error, json, write_durable};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of the directory's layout. Raised when an older KuberNix would misread a newer
/// directory.
pub const FORMAT: u32 = 1;
/// The advice for a damaged file.
const WAY_OUT: &str = "; restore it from a backup or a snapshot, or remove the cluster with `kubernix down`";

/// The content of `state.json` or `removing.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The layout's version, see [`FORMAT`].
    pub format: u32,
    /// The version of KuberNix that made the directory.
    pub kubernix: String,
    /// The time of its creation.
    pub created: Timestamp,
    /// The cluster's ID. `None` for a directory that an older version made, and for a copy of
    /// another cluster's: the next boot gives it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ClusterId>,
    /// The inode of the directory that got the ID: a copy has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// The cluster's name: the directory's name if it is known, otherwise the recorded one.
    pub name: String,
    /// The cluster's CIDR. `None` until its settings are saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Ipv4Net>,
    /// The name in its CA certificates, if it differs: the cluster was renamed, or restored from
    /// another cluster's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The cluster's removal has begun, by the file's name.
    #[serde(skip)]
    pub removing: bool,
    /// The directory was renamed, but files in it may still have the old name. Always false if the
    /// removal has begun.
    #[serde(skip)]
    pub renamed: bool,
}

impl State {
    /// The state of a new cluster, which gets its ID when the directory is created.
    pub fn new(name: String) -> Self {
        let kubernix = env!("CARGO_PKG_VERSION").into();
        let (created, id, inode, cidr, authority) = (Timestamp::now(), None, None, None, None);
        Self { format: FORMAT, kubernix, created, id, inode, name, cidr, authority, removing: false, renamed: false }
    }

    /// The name in its CA certificates.
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or(&self.name)
    }

    /// The name of its cgroups: its ID, or its name if an older version booted it last.
    pub fn cgroup(&self) -> &str {
        self.id.as_ref().map_or(&self.name, ClusterId::as_str)
    }

    /// The state for a directory of this name and inode. The directory's name overrides the
    /// recorded one: a rename is done once the directory has its new name. Another inode than the
    /// recorded one means a copy, which has no ID.
    pub(super) fn in_directory(mut self, label: Option<String>, inode: u64, removing: bool) -> Self {
        self.removing = removing;
        if let Some(label) = label.filter(|label| *label != self.name) {
            let authority = self.authority().to_owned();
            self.authority = Some(authority).filter(|authority| *authority != label);
            self.name = label;
            self.renamed = !removing;
        }
        if self.inode.is_some_and(|known| known != inode) {
            (self.id, self.inode) = (None, None);
        }
        self
    }

    /// `None` if the file doesn't exist.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        json::read(path, FORMAT, WAY_OUT)
    }

    /// Durable: a directory without this file isn't removed.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        write_durable(path, json::text(path, self)?.as_bytes(), 0o600).map(drop)
    }
}
