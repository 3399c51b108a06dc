//! Maps process IDs of a sandbox to those of the host.

use crate::proc_stat::numbers;
use crate::sandbox::SandboxIds;
use std::collections::BTreeMap;
use std::fs;

/// The process ID on the host of every process that the sandbox's init started on any node, by the
/// ID that the init sees.
pub(super) fn by_inner(ids: SandboxIds) -> BTreeMap<i32, i32> {
    // `NSpid` lists a process's IDs from the host's namespace inwards. The last one of the init is
    // in the sandbox's namespace, so that column has the sandbox's ID of every other process.
    let depth = field(ids.init.pid, "NSpid:").map_or(0, |all| all.split_whitespace().count());
    let parent = |pid: i32| field(pid, "PPid:")?.trim().parse::<i32>().ok();
    let parents: BTreeMap<i32, i32> = numbers("/proc").filter_map(|pid| Some((pid, parent(pid)?))).collect();
    // Children of the init, and their children: some processes have a supervisor in between.
    let is_own = |pid: i32| {
        let above = parents.get(&pid).copied();
        [above, above.and_then(|above| parents.get(&above).copied())].contains(&Some(ids.init.pid))
    };
    let own = parents.keys().copied().filter(|pid| is_own(*pid));
    own.filter_map(|pid| {
        Some((field(pid, "NSpid:")?.split_whitespace().nth(depth.checked_sub(1)?)?.parse().ok()?, pid))
    })
    .collect()
}

/// Resident memory, in KiB. 0 for a process that has ended.
pub(super) fn resident_kib(pid: i32) -> u64 {
    let text = field(pid, "VmRSS:").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
