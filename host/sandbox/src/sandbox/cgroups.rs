//! The cluster's cgroups: `kubernix/ID` below the root of every hierarchy that is mounted, v1,
//! hybrid or v2.
//!
//! A cluster that an older version booted has its name in the place of the ID. Only groups of that
//! name are made and removed; the hierarchies and other groups belong to others.

use super::controllers;
use crate::HostLock;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The group that all clusters of this program lie in.
const PARENT: &str = "kubernix";
/// The group of our own and the control plane's processes. In v2, groups with children have no
/// processes of their own.
const LEAF: &str = "system";

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The unified hierarchy of cgroup v2.
    pub unified: bool,
    /// The v1 mount's options, among them its controllers.
    pub options: BTreeSet<String>,
}

/// The mounted hierarchies, by a mountinfo file (proc_pid_mountinfo(5)).
pub fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let unified = match right.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options = right.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Hierarchy { mount: left.split(' ').nth(4)?.into(), unified, options })
    };
    mountinfo.lines().filter_map(parse).collect()
}

/// The hierarchies of this mount namespace.
pub fn mounted() -> Vec<Hierarchy> {
    hierarchies(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// `v1`, `hybrid` or `v2`: as systemd and the kubelet tell them apart.
pub fn version(hierarchies: &[Hierarchy]) -> &'static str {
    let v1 = hierarchies.iter().any(|h| !h.unified && !h.options.iter().any(|o| o.starts_with("name=")));
    match (v1, hierarchies.iter().any(|h| h.unified)) {
        (false, _) => "v2",
        (true, true) => "hybrid",
        (true, false) => "v1",
    }
}

/// The cluster's group below a hierarchy's root: `/kubernix/ID`.
pub fn path(cluster: &str) -> String {
    format!("/{PARENT}/{cluster}")
}

/// Makes the cluster's groups in these hierarchies, which are all that the calling process sees.
/// Takes the host's lock once.
///
/// # Errors
/// The kernel refuses: no privileges, or a read-only mount.
pub fn create(hierarchies: &[Hierarchy], cluster: &str, lock: &HostLock) -> io::Result<()> {
    let version = version(hierarchies);
    // Else another cluster would take away what this one just found in place.
    let _held = lock.take();
    hierarchies.iter().try_for_each(|hierarchy| hierarchy.create(cluster, version))
}

/// Removes the cluster's groups with all below them from these hierarchies; goes on past errors.
/// With the last cluster goes the parent, and what was enabled for clusters. Takes the host's lock
/// once.
///
/// # Errors
/// Groups are still in use after a second; all of them are named.
pub fn remove(hierarchies: &[Hierarchy], cluster: &str, lock: &HostLock) -> io::Result<()> {
    let mut errors = Vec::new();
    // Without the lock: they are this cluster's own, and it may take a second until nothing uses
    // them.
    let removed = hierarchies.iter().filter(|hierarchy| match remove_tree(&hierarchy.cluster(cluster)) {
        Ok(()) => true,
        Err(error) => {
            errors.push(error.to_string());
            false
        }
    });
    let removed: Vec<&Hierarchy> = removed.collect();
    if !removed.is_empty() {
        let held = lock.take();
        removed.into_iter().for_each(|hierarchy| hierarchy.remove_parent(held.is_some()));
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

    /// Whether the cluster has a group here.
    pub fn has(&self, cluster: &str) -> bool {
        self.cluster(cluster).exists()
    }

    /// Makes the cluster's group. The caller holds the host's lock.
    fn create(&self, cluster: &str, version: &str) -> io::Result<()> {
        for group in [self.parent(), self.cluster(cluster), self.cluster(cluster).join(LEAF)] {
            self.make(&group)?;
        }
        // In a hybrid set-up the controllers are v1's; enabling the few that sit here would take
        // them away from it.
        if self.unified && version == "v2" {
            controllers::enable_for(&self.parent(), &self.mount)?;
            controllers::enable(&self.parent())?;
            controllers::enable(&self.cluster(cluster))?;
        }
        Ok(())
    }

    /// Makes the group of a node below the cluster's. Returns the open file that processes of the
    /// node are moved by.
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

    /// Removes a node's group with all below it.
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

    /// Moves this process into the cluster's group; what it starts from then on is born there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn join(&self, cluster: &str) -> io::Result<()> {
        std::fs::write(self.cluster(cluster).join(LEAF).join("cgroup.procs"), "0")
    }

    /// Moves this process out again, so that the group can be removed.
    pub fn leave(&self) {
        let _ = std::fs::write(self.mount.join("cgroup.procs"), "0");
    }

    /// Lets what was frozen in the cluster's group go on: in v1 not even SIGKILL ends a process
    /// before that.
    pub fn thaw(&self, cluster: &str) {
        if !self.unified && self.options.contains("freezer") {
            thaw_tree(&self.cluster(cluster));
        }
    }

    /// Removes the group of all clusters where no cluster lives in it any more. Without the host's
    /// lock, what was enabled for clusters stays: one that begins now may need it.
    fn remove_parent(&self, is_locked: bool) {
        let unused = if self.unified { controllers::unused(&self.mount, &self.parent()) } else { BTreeSet::new() };
        // Other clusters may live here.
        let was_last = std::fs::remove_dir(self.parent()).is_ok();
        if was_last && is_locked {
            controllers::disable(&self.mount, &unused);
        }
    }
}

/// Copies a cpuset's setting down from the parent: v1 groups start empty, and take no process until
/// they aren't.
fn inherit(group: &Path, file: &str) -> io::Result<()> {
    let own = std::fs::read_to_string(group.join(file))?;
    if !own.trim().is_empty() {
        return Ok(());
    }
    let parent = group.parent().unwrap_or(group).join(file);
    std::fs::write(group.join(file), std::fs::read_to_string(parent)?.trim())
}

fn thaw_tree(group: &Path) {
    // From the top: what is below a frozen group stays frozen.
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
    // All of them, whatever becomes of one: what is still in use shows again at the parent.
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Err(error) = remove_tree(&entry.path())
        {
            log::debug!("{error}");
        }
    }
    // A process that was just killed leaves its group a moment later.
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

    /// As a directory, whose files the kernel would make.
    fn hierarchy(mount: &Path) -> Hierarchy {
        Hierarchy { mount: mount.to_owned(), unified: false, options: BTreeSet::from(["cpu".to_owned()]) }
    }

    #[test]
    fn groups_are_made_and_removed_in_all_hierarchies_and_the_parent_goes_with_the_last() {
        let base = tempfile::tempdir().unwrap();
        let lock = HostLock::new(File::open(base.path()).unwrap().into());
        let all = ["one", "two"].map(|name| hierarchy(&base.path().join(name)));
        all.iter().for_each(|hierarchy| std::fs::create_dir(&hierarchy.mount).unwrap());
        create(&all, "a", &lock).unwrap();
        create(&all, "b", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| hierarchy.cluster("a").join(LEAF).is_dir() && hierarchy.has("b")));
        remove(&all, "a", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| !hierarchy.has("a") && hierarchy.has("b")));
        // What can't be removed keeps nothing else from it.
        std::fs::write(all[0].cluster("b").join("file"), "").unwrap();
        assert!(remove(&all, "b", &lock).is_err());
        assert!(all[0].has("b") && !all[1].parent().exists());
        std::fs::remove_file(all[0].cluster("b").join("file")).unwrap();
        remove(&all, "b", &lock).unwrap();
        assert!(all.iter().all(|hierarchy| !hierarchy.parent().exists()));
    }

    #[test]
    fn versions_are_told_apart() {
        let all = hierarchies(HYBRID);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].mount, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(version(&all), "hybrid");
        assert_eq!(version(&all[..2]), "v1");
        assert_eq!(version(&all[2..]), "v2");
        assert_eq!(version(&all[1..]), "v2", "a named hierarchy beside v2 has no controllers");
    }
}
