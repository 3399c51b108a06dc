//! Snapshots of the host: processes, mounts, links, netfilter rules, cgroups, kernel settings. Two
//! of them show what was added and removed.

use crate::command::{program, run};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Kernel settings that aren't namespaced and that Kubernetes writes, and the host's value of one
/// that each network namespace has.
const SYSCTLS: &[&str] = &[
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
    "net/netfilter/nf_conntrack_max",
];

/// A process, identified by its PID and start time: PIDs are reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its PID.
    pub pid: i32,
    started: u64,
    /// Its command line.
    pub command: String,
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before the last parenthesis may contain anything.
        let mut fields = stat.rsplit_once(") ")?.1.split_whitespace();
        if fields.next()?.starts_with(['Z', 'X']) {
            return None;
        }
        let started = fields.nth(18)?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Self { pid, started, command: String::from_utf8_lossy(&command).replace('\0', " ") })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }
}

/// All processes except zombies.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::of).collect()
}

/// A cluster's keeper and init with all descendants, those on nodes included.
pub fn processes_of(keeper: i32, init: i32) -> Vec<Process> {
    let own = |process: &Process| [keeper, init].contains(&process.pid) || descends(process.pid, init);
    processes().into_iter().filter(own).collect()
}

/// All processes with this directory in their command line, and their descendants.
pub fn processes_below(base: &Path) -> Vec<Process> {
    let (all, base) = (processes(), base.to_string_lossy());
    let roots: Vec<i32> = all.iter().filter(|one| one.command.contains(&*base)).map(|one| one.pid).collect();
    let own = |pid: i32| roots.iter().any(|root| *root == pid || descends(pid, *root));
    all.into_iter().filter(|process| own(process.pid)).collect()
}

/// Whether a process is a descendant of another.
pub fn descends(pid: i32, from: i32) -> bool {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()
    };
    std::iter::successors(Some(pid), |pid| parent(*pid)).skip(1).any(|above| above == from)
}

/// A snapshot of the host; empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    things: BTreeSet<String>,
}

impl Snapshot {
    /// Takes a snapshot. Of the processes, it has those of clusters with this name or below this
    /// directory.
    pub fn take(name: &str, base: &Path) -> Self {
        let mut things = Self::host().things;
        things.extend(own_processes(name, base));
        Self { things }
    }

    /// Takes a snapshot without processes, cgroups and uplinks: a running cluster must not change
    /// anything in it.
    pub fn outside() -> Self {
        let mut things = Self::host().things;
        let own = ["cgroup ", "link kubernix-", "rule kubernix-", "sysctl net/ipv4/conf/"];
        things.retain(|thing| !own.iter().any(|own| thing.starts_with(own)));
        Self { things }
    }

    fn host() -> Self {
        // Of the calling thread, as tests have threads in namespaces of their own.
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
        // From the network namespace of the calling thread: a mounted sysfs may show another one.
        let links = nix::net::if_::if_nameindex().expect("a list of links");
        let links: Vec<String> = links.iter().map(|link| link.name().to_string_lossy().into_owned()).collect();
        let forwarding: Vec<String> = links.iter().map(|link| format!("net/ipv4/conf/{link}/forwarding")).collect();
        let rules = run(program("nft").args(["--stateless", "list", "ruleset"])).ok().stdout;
        let sysctl = |path: &str| {
            let value = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
            Some(format!("sysctl {path} = {}", value.trim()))
        };
        let things = mounts.lines().map(|line| format!("mount {line}"));
        let things = things.chain(links.iter().map(|link| format!("link {link}")));
        let mut table = String::new();
        let things = things.chain(rules.lines().map(|line| {
            if let Some(begins) = line.strip_prefix("table ") {
                table = begins.split_whitespace().nth(1).unwrap_or_default().to_owned();
            }
            format!("rule {table}: {}", line.trim())
        }));
        let sysctls = SYSCTLS.iter().copied().chain(forwarding.iter().map(String::as_str));
        let things = things.chain(sysctls.filter_map(sysctl));
        Self { things: things.chain(cgroups()).collect() }
    }

    /// The differences to a later snapshot: a line for each added or removed thing.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let gone = self.things.difference(&later.things).map(|thing| format!("gone: {thing}"));
        gone.chain(later.things.difference(&self.things).map(|thing| format!("new: {thing}"))).collect()
    }
}

/// The mount point of the cluster's directory in each sandbox.
const INSIDE: &str = "/var/lib/kubernix-cluster";

/// Processes with the directory in their command line, those that have a directory below it mounted
/// as their cluster's, and their descendants.
fn own_processes(name: &str, base: &Path) -> Vec<String> {
    // The directory's own name is unique. A mount may show only a part of the path; on a file
    // system of its own it shows none.
    let place = base.components().map(|part| part.as_os_str().to_string_lossy()).find(|part| part.starts_with("kxt-"));
    let sees = |pid: i32| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let of_cluster = mounts.lines().filter(|line| line.split(' ').nth(4) == Some(INSIDE));
        let mut roots = of_cluster.filter_map(|line| line.split(' ').nth(3));
        roots.any(|root| root.contains(name) || place.as_ref().is_some_and(|place| root.contains(&**place)))
    };
    let own = |process: &Process| process.command.contains(&*base.to_string_lossy()) || sees(process.pid);
    let (mut own, others): (Vec<Process>, Vec<Process>) = processes().into_iter().partition(own);
    let started = |process: &Process| own.iter().any(|above| descends(process.pid, above.pid));
    let started: Vec<Process> = others.into_iter().filter(started).collect();
    own.extend(started);
    own.into_iter().map(|process| format!("process {} {}", process.pid, process.command)).collect()
}

/// The cgroups named `kubernix` and below them, and named v1 hierarchies that aren't mounted.
fn cgroups() -> Vec<String> {
    let info = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_cgroup = |line: &&str| line.contains(" - cgroup ") || line.contains(" - cgroup2 ");
    let mounts: Vec<PathBuf> =
        info.lines().filter(is_cgroup).filter_map(|line| Some(line.split(' ').nth(4)?.into())).collect();
    let mut found = Vec::new();
    for mount in mounts {
        below(&mount.join("kubernix"), &mut found);
    }
    let known = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    for line in known.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(name), Some(hierarchy)) = (fields.next(), fields.next()) else { continue };
        let shown = info.lines().any(|line| line.contains(" - cgroup ") && line.rsplit(',').any(|o| o == name));
        if hierarchy != "0" && !shown {
            found.push(format!("cgroup hierarchy of {name} that is mounted nowhere"));
        }
    }
    found
}

fn below(group: &Path, found: &mut Vec<String>) {
    if !group.is_dir() {
        return;
    }
    found.push(format!("cgroup {}", group.display()));
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}
