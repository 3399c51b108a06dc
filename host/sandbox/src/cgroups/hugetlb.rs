//! Moves the hugetlb controller to cgroup v1 on hosts whose other controllers are v1.
//!
//! On a hybrid host it belongs to the unified hierarchy, where runc doesn't find it ("cannot set
//! hugetlb limit"). The sandbox mounts it as v1, invisible to the host. The hierarchy outlives the
//! mount as long as it has groups, so the clean-up mounts it again.

use super::Hierarchy;
use crate::HostLock;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// A directory that exists on every host with cgroups.
const ANYWHERE: &str = "/sys/fs/cgroup";

/// Whether the other controllers are v1, and hugetlb is in the unified hierarchy or in a v1
/// hierarchy that isn't mounted on the host, because another cluster moved it.
pub fn is_stray(hierarchies: &[Hierarchy], proc_cgroups: &str) -> bool {
    let v1 = |name: &str| hierarchies.iter().any(|h| !h.unified && h.options.contains(name));
    v1("memory") && !v1("hugetlb") && proc_cgroups.lines().any(|line| line.starts_with("hugetlb\t"))
}

/// Whether the controller has to be moved on this host.
pub fn is_needed(hierarchies: &[Hierarchy]) -> bool {
    is_stray(hierarchies, &std::fs::read_to_string("/proc/cgroups").unwrap_or_default())
}

/// Mounts the controller as v1 on an existing directory of this mount namespace.
///
/// # Errors
/// The kernel refuses, for example because a group in the unified hierarchy uses it.
pub fn mount_at(directory: &Path) -> io::Result<Hierarchy> {
    mount(Some("cgroup"), directory, Some("cgroup"), MsFlags::empty(), Some("hugetlb"))?;
    Ok(Hierarchy { mount: directory.to_owned(), unified: false, options: BTreeSet::from(["hugetlb".to_owned()]) })
}

/// Removes the cluster's groups from the controller, outside of the sandbox. Moves the calling
/// thread, or a single-threaded process, into a new mount namespace.
///
/// # Errors
/// The kernel refuses the mount, or a group is still in use.
pub fn clean(cluster: &str, lock: &HostLock) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    super::remove(&[mount_at(Path::new(ANYWHERE))?], cluster, lock)
}

#[cfg(test)]
mod tests {
    use super::super::hierarchies;
    use super::*;

    #[test]
    fn only_a_controller_without_a_v1_mount_is_moved() {
        let v1 = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let hugetlb = "32 30 0:28 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb\n";
        let v2 = "33 30 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let known = "#subsys_name\thierarchy\nmemory\t5\t1\t1\nhugetlb\t0\t1\t1\n";
        assert!(is_stray(&hierarchies(v1), known));
        assert!(!is_stray(&hierarchies(v1), "memory\t5\t1\t1\n"), "the kernel doesn't have it");
        assert!(!is_stray(&hierarchies(&format!("{v1}{hugetlb}")), known), "it is v1 already");
        assert!(!is_stray(&hierarchies(v2), known), "all controllers are v2");
    }
}
