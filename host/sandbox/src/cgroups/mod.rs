//! The cluster's cgroups: `kubernix/ID` below the root of every mounted hierarchy, v1, hybrid or
//! v2.
//!
//! A cluster that an older version booted has its name instead of the ID. Only these groups are
//! created and removed.

mod controllers;
pub mod hugetlb;

use crate::HostLock;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The parent group of all clusters.
const PARENT: &str = "kubernix";
/// The group of the control plane and of KuberNix itself. In v2, a group with children can't have
/// processes.
const LEAF: &str = "system";

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The mount point.
    pub mount: PathBuf,
    /// Whether it is the unified hierarchy of cgroup v2.
    pub unified: bool,
    /// The options of a v1 mount, which include its controllers.
    pub options: BTreeSet<String>,
}

/// Parses the mounted hierarchies from a mountinfo file (proc_pid_mountinfo(5)).
pub fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    mountinfo.lines().filter_map(parse_hierarchy).collect()
}

fn parse_hierarchy(line: &str) -> Option<Hierarchy> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let unified = match right.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let options = right.nth(1)?.split(',').map(str::to_owned).collect();
    Some(Hierarchy { mount: left.split(' ').nth(4)?.into(), unified, options })
}

/// The hierarchies of this mount namespace.
pub fn mounted() -> Vec<Hierarchy> {
    hierarchies(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// `v1`, `hybrid` or `v2`, by the same rule as systemd and the kubelet.
pub fn version(hierarchies: &[Hierarchy]) -> &'static str {
    let v1 = hierarchies.iter().any(|h| !h.unified && !h.options.iter().any(|o| o.starts_with("name=")));
    match (v1, hierarchies.iter().any(|h| h.unified)) {
        (false, _) => "v2",
        (true, true) => "hybrid",
        (true, false) => "v1",
    }
}

/// The path of the cluster's group below the root of a hierarchy: `/kubernix/ID`.
pub fn path(cluster: &str) -> String {
    format!("/{PARENT}/{cluster}")
}

/// Creates the cluster's groups in these hierarchies: all that the calling process sees. Takes the
/// host's lock once.
///
/// # Errors
/// The kernel refuses: privileges are missing, or the mount is read-only.
pub fn create(hierarchies: &[Hierarchy], cluster: &str, lock: &HostLock) -> io::Result<()> {
    let version = version(hierarchies);
    // Without the lock, another cluster could remove the parent group meanwhile.
    let _guard = lock.take();
    hierarchies.iter().try_for_each(|hierarchy| hierarchy.create(cluster, version))
}

/// Removes the cluster's groups and everything below them from these hierarchies, and continues
/// after errors. The last cluster also removes the parent group, and disables the controllers that
/// were enabled for clusters. Takes the host's lock once.
///
/// # Errors
/// Names all groups that are still in use after a second.
pub fn remove(hierarchies: &[Hierarchy], cluster: &str, lock: &HostLock) -> io::Result<()> {
    let mut errors = Vec::new();
    // Without the lock, because the groups belong to this cluster, and it may take a second until
    // they are unused.
    let removed = hierarchies.iter().filter(|hierarchy| match remove_tree(&hierarchy.cluster(cluster)) {
        Ok(()) => true,
        Err(error) => {
            errors.push(error.to_string());
            false
        }
    });
    let removed: Vec<&Hierarchy> = removed.collect();
    if !removed.is_empty() {
        let guard = lock.take();
        removed.into_iter().for_each(|hierarchy| hierarchy.remove_parent(guard.is_some()));
    }
    if errors.is_empty() { Ok(()) } else { Err(io::Error::other(errors.join("; "))) }
}

impl Hierarchy {
    fn parent(&self) -> PathBuf {
        self.mount.join(PARENT)
    }

    fn cluster(&self, cluster: &str) -> PathBuf {
        self.parent().join(cluster)
    }

    /// Whether the cluster has a group in this hierarchy.
    pub fn has(&self, cluster: &str) -> bool {
        self.cluster(cluster).exists()
    }

    /// Creates the cluster's group. The caller holds the host's lock.
    fn create(&self, cluster: &str, version: &str) -> io::Result<()> {
        for group in [self.parent(), self.cluster(cluster), self.cluster(cluster).join(LEAF)] {
            self.make(&group)?;
        }
        // In the hybrid layout the controllers belong to v1. Enabling the few in the unified
        // hierarchy would make them unavailable there.
        if self.unified && version == "v2" {
            controllers::enable_for(&self.parent(), &self.mount)?;
            controllers::enable(&self.parent())?;
            controllers::enable(&self.cluster(cluster))?;
        }
        Ok(())
    }

    /// Creates the group of a node below the cluster's. Returns the open `cgroup.procs` that moves
    /// processes into it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn create_node(&self, cluster: &str, node: &str, version: &str) -> io::Result<File> {
        let group = self.cluster(cluster).join(node);
        for group in [&group, &group.join(LEAF)] {
            self.make(group)?;
        }
        if self.unified && version == "v2" {
            controllers::enable(&group)?;
        }
        File::options().write(true).open(group.join(LEAF).join("cgroup.procs"))
    }

    /// Removes a node's group and everything below it.
    ///
    /// # Errors
    /// A group is still in use after a second.
    pub fn remove_node(&self, cluster: &str, node: &str) -> io::Result<()> {
        remove_tree(&self.cluster(cluster).join(node))
    }

    fn make(&self, group: &Path) -> io::Result<()> {
        match std::fs::create_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if !self.unified && group.join(file).exists() {
                inherit(group, file)?;
            }
        }
        Ok(())
    }

    /// Moves this process into the cluster's group. Its future children start there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn join(&self, cluster: &str) -> io::Result<()> {
        std::fs::write(self.cluster(cluster).join(LEAF).join("cgroup.procs"), "0")
    }

    /// Moves this process to the root group, so that the cluster's group can be removed.
    pub fn leave(&self) {
        let _ = std::fs::write(self.mount.join("cgroup.procs"), "0");
    }

    /// Thaws frozen processes in the cluster's group. In v1, SIGKILL has no effect on a frozen
    /// process.
    pub fn thaw(&self, cluster: &str) {
        if !self.unified && self.options.contains("freezer") {
            thaw_tree(&self.cluster(cluster));
        }
    }

    /// Removes the parent group if it is empty. Without the host's lock, the controllers stay
    /// enabled, because a cluster that boots now may need them.
    fn remove_parent(&self, is_locked: bool) {
        let unused = if self.unified { controllers::unused(&self.mount, &self.parent()) } else { BTreeSet::new() };
        // Fails if another cluster exists.
        let was_last = std::fs::remove_dir(self.parent()).is_ok();
        if was_last && is_locked {
            controllers::disable(&self.mount, &unused);
        }
    }
}

/// Copies a cpuset setting from the parent. A v1 group starts with empty settings and accepts no
/// process until they are set.
fn inherit(group: &Path, file: &str) -> io::Result<()> {
    let own = std::fs::read_to_string(group.join(file))?;
    if !own.trim().is_empty() {
        return Ok(());
    }
    let parent = group.parent().unwrap_or(group).join(file);
    std::fs::write(group.join(file), std::fs::read_to_string(parent)?.trim())
}

fn thaw_tree(group: &Path) {
    // From the top, because a group below a frozen group stays frozen.
    if let Err(error) = std::fs::write(group.join("freezer.state"), "THAWED") {
        log::debug!("{}: {error}", group.display());
    }
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            thaw_tree(&entry.path());
        }
    }
}

fn remove_tree(group: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // Continues after errors: a child that is still in use keeps the parent in use.
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Err(error) = remove_tree(&entry.path())
        {
            log::debug!("{error}");
        }
    }
    // A killed process leaves its group with a short delay.
    for _ in 0..200 {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is still in use", group.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";

    /// A plain directory instead of a mounted hierarchy.
    fn hierarchy(mount: &Path) -> Hierarchy {
        Hierarchy { mount: mount.to_owned(), unified: false, options: BTreeSet::from(["cpu".to_owned()]) }
    }

    #[test]
    fn the_last_cluster_removes_the_parent_group_from_all_hierarchies() {
        let base = tempfile::tempdir().unwrap();
        let lock = HostLock::new(File::open(base.path()).unwrap().into());
        let all = ["one", "two"].map(|name| hierarchy(&base.path().join(name)));
        all.iter().for_each(|hierarchy| std::fs::create_dir(&hierarchy.mount).unwrap());
        create(&all, "a", &lock).unwrap();
        create(&all, "b", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| hierarchy.cluster("a").join(LEAF).is_dir() && hierarchy.has("b")));
        remove(&all, "a", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| !hierarchy.has("a") && hierarchy.has("b")));
        // A failed removal doesn't prevent the others.
        std::fs::write(all[0].cluster("b").join("file"), "").unwrap();
        assert!(remove(&all, "b", &lock).is_err());
        assert!(all[0].has("b") && !all[1].parent().exists());
        std::fs::remove_file(all[0].cluster("b").join("file")).unwrap();
        remove(&all, "b", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| !hierarchy.parent().exists()));
    }

    #[test]
    fn the_version_depends_on_the_hierarchies() {
        let all = hierarchies(HYBRID);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].mount, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(version(&all), "hybrid");
        assert_eq!(version(&all[..2]), "v1");
        assert_eq!(version(&all[2..]), "v2");
        assert_eq!(version(&all[1..]), "v2", "a named hierarchy beside v2 has no controllers");
    }
}
