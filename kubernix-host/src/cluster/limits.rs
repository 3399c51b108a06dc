//! Limits of the host that many nodes reach. They are only checked: the administrator of the host
//! changes them.

use std::fs;

/// inotify instances of a node's kubelet and runtime, as counted with CRI-O.
const PER_NODE: u64 = 10;
/// inotify instances of the control plane, and of other processes of the same user on the host.
const BASELINE: u64 = 20;
/// inotify(7): the limit of instances for each user.
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";

/// A warning, if this host's limits are too low for so many nodes.
pub(super) fn too_low(nodes: u32) -> Option<String> {
    let limit = fs::read_to_string(INSTANCES).ok()?.trim().parse().ok()?;
    inotify(nodes, limit)
}

fn inotify(nodes: u32, limit: u64) -> Option<String> {
    let needed = u64::from(nodes) * PER_NODE + BASELINE;
    (needed > limit).then(|| {
        format!(
            "{nodes} nodes hold about {needed} inotify instances, and this host allows {limit}: \
             if some don't become Ready, run `sysctl -w fs.inotify.max_user_instances={}`",
            needed.next_power_of_two().max(1024)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_gives_a_warning_with_the_command_that_raises_it() {
        assert_eq!(inotify(10, 128), None);
        let warning = inotify(20, 128).unwrap();
        assert!(warning.contains("20 nodes hold about 220"), "{warning}");
        assert!(warning.contains("max_user_instances=1024"), "{warning}");
        assert!(inotify(200, 1024).unwrap().ends_with("max_user_instances=2048`"));
    }
}
