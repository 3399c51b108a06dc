//! Process IDs of a sandbox as the host sees them.

use crate::proc_stat::numbers;
use crate::sandbox::SandboxIds;
use std::collections::BTreeMap;
use std::fs;

/// Of every process that the sandbox's init started, on whatever node: its ID inside, as the init sees it, and on the host.
pub(super) fn by_inner(ids: SandboxIds) -> BTreeMap<i32, i32> {
    // From the host's to the innermost: the init's own number is its last, and the same one is the sandbox's for all others.
    let depth = field(ids.init.pid, "NSpid:").map_or(0, |all| all.split_whitespace().count());
    let parent = |pid: i32| field(pid, "PPid:")?.trim().parse::<i32>().ok();
    let parents: BTreeMap<i32, i32> = numbers("/proc").filter_map(|pid| Some((pid, parent(pid)?))).collect();
    // Its children, and those that have somebody in between who watches over them.
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

/// Resident memory, in KiB; 0 for a process that is gone.
pub(super) fn resident_kib(pid: i32) -> u64 {
    let text = field(pid, "VmRSS:").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
