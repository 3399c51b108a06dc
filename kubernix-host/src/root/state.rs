//! `state.json`: which version made a root directory, and what of the cluster can't change.

use super::{ClusterId, Error, json, write_durable};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of the directory's layout. Raised when an older KuberNix would misread a newer directory.
pub const FORMAT: u32 = 1;
/// What helps where the file is damaged.
const WAY_OUT: &str = "; restore it from a backup or a snapshot, or remove the cluster with `kubernix down`";

/// What a root directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The layout's version, see [`FORMAT`].
    pub format: u32,
    /// The version of KuberNix that made the directory.
    pub kubernix: String,
    /// When it was made.
    pub created: Timestamp,
    /// The cluster's ID. `None` of a directory that an older version made, or that is a copy of another cluster's: it gets one of
    /// its own at the next boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ClusterId>,
    /// The inode of the directory that got the ID: a copy has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// The cluster's name: the directory's, wherever that is known.
    pub name: String,
    /// The cluster's CIDR, known once its settings were saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Ipv4Net>,
    /// The name that its CAs carry, where it is another one: it was renamed, or made from another cluster's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Its removal has begun: told by the file's name.
    #[serde(skip)]
    pub removing: bool,
    /// The directory was renamed, and what carries the name in it may not have been brought up to that. Never of one whose removal
    /// has begun.
    #[serde(skip)]
    pub renamed: bool,
}

impl State {
    /// Of a cluster of this name that is made now, and gets its ID with its directory.
    pub fn new(name: String) -> Self {
        let kubernix = env!("CARGO_PKG_VERSION").into();
        let (created, id, inode, cidr, authority) = (Timestamp::now(), None, None, None, None);
        Self { format: FORMAT, kubernix, created, id, inode, name, cidr, authority, removing: false, renamed: false }
    }

    /// The name that its CAs carry.
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or(&self.name)
    }

    /// What its cgroups are called: by its ID, or by its name where an older version booted it last.
    pub fn cgroup(&self) -> &str {
        self.id.as_ref().map_or(&self.name, ClusterId::as_str)
    }

    /// As it is in a directory of this name and inode, with its removal begun or not. The directory's name counts: a rename is done
    /// once the directory has its new name, whatever the file says. A copy has no ID.
    pub(super) fn seen_in(mut self, label: Option<String>, inode: u64, removing: bool) -> Self {
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

    /// `None` where there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        json::read(path, FORMAT, WAY_OUT)
    }

    /// Durable: without this file nobody would dare to remove the directory.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        write_durable(path, json::text(path, self)?.as_bytes(), 0o600).map(drop)
    }
}
