//! The one controller that may have to move: hugetlb, on hosts whose other controllers are v1's.
//!
//! On a hybrid host it sits in the unified hierarchy, where runc doesn't find it ("cannot set
//! hugetlb limit"). A v1 mount of it that only the cluster sees fixes that. Such a hierarchy
//! outlives the mount as long as it has groups, so the clean-up mounts it again.

use super::cgroups::{self, Hierarchy};
use crate::HostLock;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// A directory that every host with cgroups has.
const ANYWHERE: &str = "/sys/fs/cgroup";

/// Whether the controller sits in the unified hierarchy of a host whose other controllers are v1's,
/// or was moved by another cluster already and isn't mounted on the host.
pub fn is_stray(hierarchies: &[Hierarchy], proc_cgroups: &str) -> bool {
    let v1 = |name: &str| hierarchies.iter().any(|h| !h.unified && h.options.contains(name));
    v1("memory") && !v1("hugetlb") && proc_cgroups.lines().any(|line| line.starts_with("hugetlb\t"))
}

/// Whether this host needs the move.
pub fn is_needed(hierarchies: &[Hierarchy]) -> bool {
    is_stray(hierarchies, &std::fs::read_to_string("/proc/cgroups").unwrap_or_default())
}

/// Mounts the controller as v1 at an existing directory of this mount namespace.
///
/// # Errors
/// The kernel refuses, for instance because groups in the unified hierarchy use it.
pub fn mount_at(directory: &Path) -> io::Result<Hierarchy> {
    mount(Some("cgroup"), directory, Some("cgroup"), MsFlags::empty(), Some("hugetlb"))?;
    Ok(Hierarchy { mount: directory.to_owned(), unified: false, options: BTreeSet::from(["hugetlb".to_owned()]) })
}

/// Removes the cluster's groups from it, from outside of the cluster. Takes the calling thread, or
/// the process of a single one, into a mount namespace of its own: it sees the host's mounts no
/// more afterwards.
///
/// # Errors
/// The kernel refuses the mount, or a group is still in use.
pub fn clean(cluster: &str, lock: &HostLock) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    cgroups::remove(&[mount_at(Path::new(ANYWHERE))?], cluster, lock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cgroups::hierarchies;

    #[test]
    fn only_a_stray_controller_is_moved() {
        let v1 = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let hugetlb = "32 30 0:28 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb\n";
        let v2 = "33 30 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let known = "#subsys_name\thierarchy\nmemory\t5\t1\t1\nhugetlb\t0\t1\t1\n";
        assert!(is_stray(&hierarchies(v1), known));
        assert!(!is_stray(&hierarchies(v1), "memory\t5\t1\t1\n"), "a kernel without it");
        assert!(!is_stray(&hierarchies(&format!("{v1}{hugetlb}")), known), "it is v1 already");
        assert!(!is_stray(&hierarchies(v2), known), "all are v2");
    }
}
