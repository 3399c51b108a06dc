//! Reverts an uplink's changes on the host.

use super::links::peers;
use super::record::{UplinkRecord, record_path};
use super::sysctl;
use crate::HostLock;
use crate::cluster_dir::ClusterDir;
use crate::network::netlink::{at, with_netlink};
use nix::net::if_::if_nametoindex;
use std::collections::BTreeSet;
use std::fs;

/// The changes on the host that an uplink has to revert.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostChanges(Option<UplinkRecord>);

/// Finds what a cluster's uplink changed on the host. The calling thread is in the host's network
/// namespace. `ids` are the IDs that the cluster has had. The record is in the cluster's directory,
/// or else on the host's end of the pair.
pub fn find_host_changes(root: &ClusterDir, ids: &BTreeSet<String>) -> HostChanges {
    HostChanges(UplinkRecord::find(root, ids))
}

/// Reverts what the uplink of the cluster with this ID changed on the host. The calling thread is
/// in the host's network namespace. Does nothing if there is nothing to revert.
pub fn revert_by_id(root: &ClusterDir, id: &str, lock: &HostLock) {
    revert(root, lock, find_host_changes(root, &BTreeSet::from([id.to_owned()])));
}

/// Reverts changes that were looked up before the sandbox ended.
pub fn revert(root: &ClusterDir, lock: &HostLock, changes: HostChanges) {
    let Some(record) = changes.0 else { return };
    // Each cluster reads the links of the others before it changes forwarding.
    let _guard = lock.take();
    let result = with_netlink(async |handle| {
        // The kernel removes the link with the sandbox. Another cluster's link may have its name by
        // now.
        let ours = peers(&handle, "").await.into_iter().any(|(name, alias)| {
            name == record.link && (alias.is_empty() || alias.starts_with(&format!("{} ", record.token)))
        });
        if ours && let Ok(index) = if_nametoindex(&*record.link) {
            handle.link().del(index).execute().await.map_err(at("removing the uplink"))?;
        }
        Ok(peers(&handle, "").await)
    });
    match result {
        Ok(others) if others.is_empty() => {
            for link in &record.forwarding {
                // Fails if the link is gone, which needs no change.
                let _ = fs::write(sysctl(link), "0");
            }
        }
        // Other clusters use forwarding, and have recorded it as well.
        Ok(_) => {}
        Err(error) => log::warn!("{error}"),
    }
    // If it stays, the next clean-up reads it again.
    let _ = fs::remove_file(record_path(root));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverting_without_a_record_does_nothing() {
        let base = tempfile::tempdir().unwrap();
        let lock = HostLock::new(fs::File::open(base.path()).unwrap().into());
        revert(&ClusterDir::at(base.path().join("one")), &lock, HostChanges::default());
    }
}
