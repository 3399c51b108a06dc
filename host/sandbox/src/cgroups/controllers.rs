//! Controllers of cgroup v2: enabled for clusters at the top of the hierarchy, and disabled again
//! with the last cluster.
//!
//! The controllers that were enabled are recorded as an extended attribute of the clusters' parent
//! group. It exists as long as there is a cluster, even if all processes are killed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The name of the attribute. Needs Linux 5.7.
const ATTRIBUTE: &str = "user.kubernix.enabled";
/// Writable files of a group that aren't settings.
const NO_SETTINGS: &[&str] = &[".pressure", ".peak", ".reclaim"];

/// Names of controllers.
type Names = BTreeSet<String>;

fn names(file: &Path) -> io::Result<Names> {
    Ok(fs::read_to_string(file)?.split_whitespace().map(str::to_owned).collect())
}

/// The controllers that are enabled for a group's children.
fn enabled(group: &Path) -> io::Result<Names> {
    names(&group.join("cgroup.subtree_control"))
}

fn switch(group: &Path, sign: char, controller: &str) {
    // A controller may not be usable (with real-time processes outside of the root group): the
    // kubelet reports that. One that can't be disabled is in use.
    if let Err(error) = fs::write(group.join("cgroup.subtree_control"), format!("{sign}{controller}")) {
        log::debug!("cgroup controller {sign}{controller} in {}: {error}", group.display());
    }
}

/// Enables all available controllers for a group's children.
///
/// # Errors
/// The group can't be read.
pub fn enable(group: &Path) -> io::Result<()> {
    let missing = &names(&group.join("cgroup.controllers"))? - &enabled(group)?;
    missing.iter().for_each(|controller| switch(group, '+', controller));
    Ok(())
}

/// Like [`enable`] for the top of the hierarchy. Records the newly enabled controllers on its child
/// `clusters`.
///
/// # Errors
/// A group can't be read.
pub fn enable_for(clusters: &Path, top: &Path) -> io::Result<()> {
    let (before, known) = (enabled(top)?, recorded(clusters));
    // Recorded before it is done: if the process is killed in between, the record has too much
    // rather than too little.
    record(clusters, &(&known | &(&names(&top.join("cgroup.controllers"))? - &before)));
    enable(top)?;
    record(clusters, &(&known | &(&enabled(top)? - &before)));
    Ok(())
}

/// Disables controllers at the top of the hierarchy.
pub fn disable(top: &Path, controllers: &Names) {
    controllers.iter().for_each(|controller| switch(top, '-', controller));
}

fn record(clusters: &Path, controllers: &Names) {
    let text = controllers.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if let Err(error) = xattr::set(clusters, ATTRIBUTE, text.as_bytes()) {
        let path = clusters.display();
        log::warn!("can't record the enabled cgroup controllers on {path}, so they stay enabled: {error}");
    }
}

fn recorded(clusters: &Path) -> Names {
    let text = xattr::get(clusters, ATTRIBUTE).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&text).split_whitespace().map(str::to_owned).collect()
}

/// The recorded controllers that nothing else uses: no other child of the top enables them for its
/// children or has a setting that differs from that of `clusters`, which has only defaults.
pub fn unused(top: &Path, clusters: &Path) -> Names {
    let children: Vec<PathBuf> = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let others = || children.iter().filter(|path| path.is_dir() && *path != clusters);
    let is_used = |controller: &String| {
        others()
            .any(|group| enabled(group).is_ok_and(|on| on.contains(controller)) || sets(group, clusters, controller))
    };
    recorded(clusters).into_iter().filter(|controller| !is_used(controller)).collect()
}

/// Whether a group has a setting of a controller that differs from that of `fresh`.
fn sets(group: &Path, fresh: &Path, controller: &str) -> bool {
    let is_setting = |name: &str| {
        let own = name.strip_prefix(controller).is_some_and(|rest| rest.starts_with('.'));
        own && !NO_SETTINGS.iter().any(|ending| name.ends_with(ending))
    };
    fs::read_dir(group).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let writable = entry.metadata().is_ok_and(|found| found.permissions().mode() & 0o200 != 0);
        let differs = || match (fs::read(entry.path()), fs::read(fresh.join(&name))) {
            (Ok(own), Ok(fresh)) => own != fresh,
            _ => false,
        };
        writable && is_setting(&name.to_string_lossy()) && differs()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A top with `clusters` and one other group, as plain files.
    fn hierarchy(files: &[(&str, &str)]) -> TempDir {
        let top = tempfile::tempdir().unwrap();
        for group in ["clusters", "other"] {
            fs::create_dir(top.path().join(group)).unwrap();
        }
        for (file, text) in files {
            fs::write(top.path().join(file), text).unwrap();
        }
        top
    }

    fn set(names: &[&str]) -> Names {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn newly_enabled_controllers_are_added_to_the_record() {
        let top = hierarchy(&[("cgroup.controllers", "cpu io memory"), ("cgroup.subtree_control", "memory")]);
        let clusters = top.path().join("clusters");
        record(&clusters, &set(&["pids"]));
        if recorded(&clusters).is_empty() {
            kubernix_testkit::report_skip(
                "sandbox::controllers::newly_enabled_controllers_are_added_to_the_record",
                "no extended attributes here",
            );
            return;
        }
        enable_for(&clusters, top.path()).unwrap();
        // The kernel would list both. A plain file contains the last write.
        let wrote = fs::read_to_string(top.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(wrote, "+io");
        assert_eq!(recorded(&clusters), set(&["+io", "pids"]));
    }

    #[test]
    fn controllers_that_other_groups_use_stay_enabled() {
        let top = hierarchy(&[
            ("other/cgroup.subtree_control", "memory"),
            ("other/cpu.weight", "200\n"),
            ("clusters/cpu.weight", "100\n"),
            ("other/cpu.pressure", "some avg10=1.00"),
            ("clusters/cpu.pressure", "some avg10=0.00"),
            ("other/cpuset.cpus", "\n"),
            ("clusters/cpuset.cpus", "\n"),
            ("other/io.pressure", "1"),
            ("clusters/io.pressure", "2"),
            ("clusters/pids.max", "max\n"),
        ]);
        let clusters = top.path().join("clusters");
        record(&clusters, &set(&["cpu", "cpuset", "io", "memory", "pids"]));
        if recorded(&clusters).is_empty() {
            kubernix_testkit::report_skip(
                "sandbox::controllers::controllers_that_other_groups_use_stay_enabled",
                "no extended attributes here",
            );
            return;
        }
        assert_eq!(unused(top.path(), &clusters), set(&["cpuset", "io", "pids"]));
        fs::write(top.path().join("other/cpu.weight"), "100\n").unwrap();
        fs::write(top.path().join("other/cgroup.subtree_control"), "").unwrap();
        assert_eq!(unused(top.path(), &clusters), set(&["cpu", "cpuset", "io", "memory", "pids"]));
    }
}
