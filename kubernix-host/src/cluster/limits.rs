//! Limits of the host that many nodes run into. They are the host's to raise, not ours.

use std::fs;

/// inotify instances that a node's kubelet and runtime hold, as counted with CRI-O.
const PER_NODE: u64 = 10;
/// Those that the control plane holds, and what else runs on a host as the same user.
const BESIDE: u64 = 20;
/// inotify(7): how many instances each user may have.
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";

/// What this host doesn't have enough of for so many nodes, in words.
pub(super) fn too_low(nodes: u32) -> Option<String> {
    let limit = fs::read_to_string(INSTANCES).ok()?.trim().parse().ok()?;
    inotify(nodes, limit)
}

fn inotify(nodes: u32, limit: u64) -> Option<String> {
    let needed = u64::from(nodes) * PER_NODE + BESIDE;
    (needed > limit).then(|| {
        format!(
            "{nodes} nodes hold about {needed} inotify instances, and this host allows {limit}: if some don't become Ready, \
             `sysctl -w fs.inotify.max_user_instances={}`",
            needed.next_power_of_two().max(1024)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_lacks_is_said_with_what_to_do() {
        assert_eq!(inotify(10, 128), None);
        let said = inotify(20, 128).unwrap();
        assert!(said.contains("20 nodes hold about 220") && said.contains("max_user_instances=1024"), "{said}");
        assert!(inotify(200, 1024).unwrap().ends_with("max_user_instances=2048`"));
    }
}
