//! The record of an uplink's changes on the host: a file in the cluster's directory, and the alias
//! of the host's end of the pair.

use super::links::peers;
use crate::cluster_dir::ClusterDir;
use crate::network::netlink::with_netlink;
use crate::write::write_atomic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

/// What to revert on the host when the cluster ends. A file in the cluster's directory.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UplinkRecord {
    /// The host's end of the pair.
    pub(super) link: String,
    /// Distinguishes this end from a later one with the same name: the cluster's ID, a space, and
    /// nanoseconds since the epoch.
    pub(super) token: String,
    /// Links of the host for which forwarding was switched on.
    pub(super) forwarding: Vec<String>,
}

pub(super) fn record_path(root: &ClusterDir) -> PathBuf {
    root.run().join("uplink.json")
}

impl UplinkRecord {
    /// Finds the record of a cluster with one of these IDs: in its directory, or on the host's end
    /// of the pair if the file is missing, damaged or another cluster's. `None` if there is nothing
    /// to revert.
    pub(super) fn find(root: &ClusterDir, ids: &BTreeSet<String>) -> Option<Self> {
        let path = record_path(root);
        let damage = match fs::read(&path).map(|text| serde_json::from_slice::<Self>(&text)) {
            Ok(Ok(record)) if record.is_of(ids) => return Some(record),
            // The directory is a copy of another cluster's directory. That cluster may be running.
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        let links = with_netlink(async |handle| Ok(peers(&handle, "").await)).unwrap_or_default();
        let record = Self::among(&links, ids);
        match (&record, damage) {
            (Some(record), Some(damage)) => {
                log::warn!("`{}` can't be read ({damage}); using the record on link `{}`", path.display(), record.link)
            }
            (None, Some(damage)) => log::warn!(
                "`{}` can't be read ({damage}): `sysctl -a --pattern forwarding` shows whether this host still \
                 forwards between its links, which the cluster may have switched on",
                path.display()
            ),
            (_, None) => {}
        }
        record
    }

    /// Finds the record of a cluster with one of these IDs on these links, which are given with
    /// their aliases.
    fn among(links: &[(String, String)], ids: &BTreeSet<String>) -> Option<Self> {
        links.iter().filter_map(|(link, alias)| Self::of_link(link, alias)).find(|record| record.is_of(ids))
    }

    /// Parses the alias of a link. `None` if it isn't an uplink's.
    fn of_link(link: &str, alias: &str) -> Option<Self> {
        let (token, _) = alias.split_once(" forwarding=")?;
        let forwarding = recorded_forwarding(alias).map(str::to_owned).collect();
        Some(Self { link: link.to_owned(), token: token.to_owned(), forwarding })
    }

    /// Whether the token has one of these IDs. An older version wrote the cluster's name instead of
    /// the ID.
    fn is_of(&self, ids: &BTreeSet<String>) -> bool {
        self.token.split_once(' ').is_some_and(|(id, _)| ids.contains(id))
    }

    pub(super) fn write(&self, root: &ClusterDir) -> io::Result<()> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        write_atomic(&record_path(root), &text, 0o600)
    }

    /// The alias of the link, which other clusters read.
    pub(super) fn alias(&self) -> String {
        format!("{} forwarding={}", self.token, self.forwarding.join(","))
    }
}

/// The links in an alias for which forwarding was switched on.
pub(super) fn recorded_forwarding(alias: &str) -> impl Iterator<Item = &str> {
    let list = alias.split_once("forwarding=").map(|(_, list)| list).unwrap_or_default();
    list.split(',').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn record(id: &str) -> UplinkRecord {
        UplinkRecord { link: "kubernix-0".into(), token: format!("{id} 12"), forwarding: vec!["eth0".into()] }
    }

    #[test]
    fn a_record_of_another_cluster_is_ignored() {
        let base = tempfile::tempdir().unwrap();
        // As the keeper and the init see the directory's name.
        let root = ClusterDir::at(base.path().join("7"));
        fs::create_dir_all(root.run()).unwrap();
        assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), None, "there is none");
        record(ID).write(&root).unwrap();
        assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), Some(record(ID)));
        assert_eq!(UplinkRecord::find(&root, &ids(&[OTHER, ID])), Some(record(ID)));
        assert_eq!(
            UplinkRecord::find(&root, &ids(&[OTHER, "7"])),
            None,
            "a copied directory has the original's record"
        );
        // No link has these IDs.
        for damaged in ["", "{ \"link\": \"kube", "[]"] {
            fs::write(record_path(&root), damaged).unwrap();
            assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), None, "{damaged}");
        }
    }

    #[test]
    fn a_lost_record_is_read_from_the_alias() {
        let link = |name: &str, alias: String| (name.to_owned(), alias);
        let links = [
            link("kubernix-0", record(OTHER).alias()),
            link("kubernix-1", String::new()),
            link("kubernix-2", "a user's own".into()),
            link("kubernix-3", record(ID).alias()),
        ];
        assert_eq!(
            UplinkRecord::among(&links, &ids(&[ID])),
            Some(UplinkRecord { link: "kubernix-3".into(), ..record(ID) })
        );
        assert_eq!(UplinkRecord::among(&links, &ids(&[OTHER])), Some(record(OTHER)));
        assert_eq!(UplinkRecord::among(&links, &ids(&["0123456789abcde", "7", ""])), None);
        // By its name, for a cluster that an older version booted.
        let old = [link("kubernix-4", record("one").alias())];
        assert_eq!(
            UplinkRecord::among(&old, &ids(&["one"])),
            Some(UplinkRecord { link: "kubernix-4".into(), ..record("one") })
        );
        assert_eq!(UplinkRecord::among(&old, &ids(&["one-more", ID])), None);
    }

    #[test]
    fn an_alias_lists_the_forwarding_links() {
        let forwarding = vec!["eth0".to_owned(), "wlan0".to_owned()];
        let record = UplinkRecord { link: "kubernix-0".into(), token: format!("{ID} 12"), forwarding };
        assert_eq!(recorded_forwarding(&record.alias()).collect::<Vec<_>>(), ["eth0", "wlan0"]);
        assert_eq!(recorded_forwarding("0123456789abcdef 12 forwarding=").count(), 0);
        assert_eq!(recorded_forwarding("a user's own").count(), 0);
    }
}
