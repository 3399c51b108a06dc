//! Facts about the host, which components read through their context.

use crate::cgroups;
use crate::network::Egress;
use crate::own_thread;
use crate::root_dir::ClusterId;
use kubernix_core::facts;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// CAP_SYS_RESOURCE's bit: capabilities(7), linux/capability.h.
const CAP_SYS_RESOURCE: u32 = 24;

/// The facts of this host. `scratch`: a directory on the file system of the clusters.
pub(super) fn detect(id: &ClusterId, scratch: &Path, outside: &Egress) -> BTreeMap<String, String> {
    let version = cgroups::version(&cgroups::mounted());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let ways = [outside.default_route.is_some(), outside.resolver.exists()];
    facts(id, version, try_overlay(scratch).is_ok(), has_capability(CAP_SYS_RESOURCE), cpus, ways)
}

/// The facts of a typical host: a dry run must give the same plan on every host.
pub(super) fn assumed(id: &ClusterId) -> BTreeMap<String, String> {
    facts(id, "v2", true, true, 2, [true, true])
}

fn facts(
    id: &ClusterId,
    cgroups: &str,
    overlay: bool,
    lower_oom: bool,
    cpus: usize,
    [uplink, resolver]: [bool; 2],
) -> BTreeMap<String, String> {
    let own = for_id(id).into_iter();
    let all = [
        (facts::CGROUP_VERSION.to_owned(), cgroups.to_owned()),
        // The sandbox has no connection to the host's systemd. It doesn't need one: it owns its
        // cgroup subtree.
        (facts::CGROUP_DRIVER.to_owned(), "cgroupfs".to_owned()),
        (facts::OVERLAY.to_owned(), overlay.to_string()),
        (facts::LOWER_OOM_SCORE.to_owned(), lower_oom.to_string()),
        (facts::ROOTLESS.to_owned(), "false".to_owned()),
        (facts::CPUS.to_owned(), cpus.to_string()),
        (facts::UPLINK.to_owned(), uplink.to_string()),
        (facts::DNS_RESOLVER.to_owned(), resolver.to_string()),
    ];
    own.chain(all).collect()
}

/// The facts that depend only on the cluster's ID.
pub(super) fn for_id(id: &ClusterId) -> BTreeMap<String, String> {
    BTreeMap::from([
        (facts::CLUSTER_ID.to_owned(), id.to_string()),
        (facts::CGROUP_ROOT.to_owned(), cgroups::path(id.as_str())),
    ])
}

fn has_capability(bit: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & (1 << bit) != 0)
}

/// Mounts an overlay of two directories below `scratch`, in a mount namespace of one thread.
/// Removes the directories.
fn try_overlay(scratch: &Path) -> io::Result<()> {
    let directory = scratch.join("overlay-check");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| directory.join(name));
    for one in [&lower, &upper, &work, &merged] {
        fs::create_dir_all(one)?;
    }
    let work_in_thread = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        Ok(mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?)
    };
    let tried = own_thread::run(work_in_thread).flatten();
    let removed = fs::remove_dir_all(&directory);
    tried.and(removed)
}
