//! The processes of a cluster, from /proc: their names, their memory, and the idle CPU time of
//! KuberNix' own processes.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The name of a node's first process.
const NODE: &str = "node";

/// A process of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// The file name of its program; for KuberNix' own processes the hidden command.
    name: String,
    /// Whether it is a process of KuberNix itself.
    own: bool,
}

/// The processes of a cluster.
#[derive(Debug)]
pub struct Processes(Vec<Process>);

/// Resident memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The sum for all processes of a name, and their number.
    pub by_name: BTreeMap<String, (u64, usize)>,
    /// The sum for KuberNix' own processes.
    pub own: u64,
}

impl Memory {
    /// The sum for all processes.
    pub fn total(&self) -> u64 {
        self.by_name.values().map(|(bytes, _)| bytes).sum()
    }
}

impl Processes {
    /// All processes of a cluster. KuberNix' own processes have the arguments `__keeper BASE NAME
    /// ...`; the others are their descendants.
    pub fn of(base: &Path, cluster: &str) -> Result<Self> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")? {
            if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                all.extend(read(pid, base, cluster));
            }
        }
        Ok(Self(family(all)))
    }

    /// Whether the cluster has no processes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The memory of all processes. Processes that have ended meanwhile are ignored.
    pub fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for process in &self.0 {
            let Ok(status) = fs::read_to_string(format!("/proc/{}/status", process.pid)) else { continue };
            let bytes = resident(&status).unwrap_or_default();
            let entry = memory.by_name.entry(process.name.clone()).or_default();
            *entry = (entry.0 + bytes, entry.1 + 1);
            memory.own += if process.own { bytes } else { 0 };
        }
        Ok(memory)
    }

    /// The CPU time of KuberNix' own processes during `window`, as a share of one core, 0 to 1.
    pub fn idle_share(&self, window: Duration) -> Result<f64> {
        let (before, started) = (self.own_time()?, Instant::now());
        std::thread::sleep(window);
        let spent = self.own_time()?.saturating_sub(before);
        Ok(spent.as_secs_f64() / started.elapsed().as_secs_f64())
    }

    /// The CPU time of KuberNix' own processes since their start.
    fn own_time(&self) -> Result<Duration> {
        let mut sum = 0;
        for process in self.0.iter().filter(|process| process.own) {
            let tasks = format!("/proc/{}/task", process.pid);
            for task in fs::read_dir(&tasks).with_context(|| format!("`{}` ended meanwhile", process.name))? {
                // A thread that has ended meanwhile has no file.
                let schedstat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
                sum += schedstat.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default();
            }
        }
        Ok(Duration::from_nanos(sum))
    }
}

/// Reads a process. `None` if it has ended.
fn read(pid: u32, base: &Path, cluster: &str) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = field(&status, "PPid:")?.parse().ok()?;
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if let Some(name) = own_name(&command_line, base, cluster) {
        return Some(Process { pid, parent, name, own: true });
    }
    // The program's file name: the name in `status` is truncated to 15 bytes.
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let program = program.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = program.or_else(|| field(&status, "Name:").map(str::to_owned))?;
    Some(Process { pid, parent, name, own: false })
}

/// `keeper` of the command line `kubernix __keeper BASE NAME ...`.
fn own_name(command_line: &[u8], base: &Path, cluster: &str) -> Option<String> {
    let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let [_, command, its_base, its_name, ..] = words[..] else { return None };
    let command = std::str::from_utf8(command).ok()?.strip_prefix("__")?;
    let is_own = Path::new(OsStr::from_bytes(its_base)) == base && its_name == cluster.as_bytes();
    is_own.then(|| command.to_owned())
}

/// KuberNix' own processes and all their descendants.
fn family(all: Vec<Process>) -> Vec<Process> {
    let mut members: BTreeSet<u32> = all.iter().filter(|process| process.own).map(|process| process.pid).collect();
    loop {
        let known = members.len();
        members.extend(
            all.iter()
                .filter(|process| members.contains(&process.parent))
                .map(|process| process.pid)
                .collect::<Vec<_>>(),
        );
        if members.len() == known {
            break;
        }
    }
    let own: BTreeSet<u32> = all.iter().filter(|process| process.own).map(|process| process.pid).collect();
    let mut family: Vec<Process> = all.into_iter().filter(|process| members.contains(&process.pid)).collect();
    for process in &mut family {
        // The first process of a node belongs to KuberNix, although it is another program.
        process.own |= process.name == NODE && own.contains(&process.parent);
    }
    family
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// `VmRSS` in bytes.
fn resident(status: &str) -> Option<u64> {
    let kilobytes: u64 = field(status, "VmRSS:")?.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The share of all cores that is busy during `window`, 0 to 1, by the first line of /proc/stat.
pub fn busy(window: Duration) -> Result<f64> {
    let times = || -> Result<(f64, f64)> {
        let text = fs::read_to_string("/proc/stat")?;
        let numbers: Vec<f64> =
            text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        // user nice system idle iowait ..., see proc_stat(5).
        let idle: f64 = numbers.iter().skip(3).take(2).sum();
        Ok((numbers.iter().sum(), idle))
    };
    let (all, idle) = times()?;
    std::thread::sleep(window);
    let (later, later_idle) = times()?;
    Ok(1.0 - (later_idle - idle) / (later - all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_processes_are_recognised_by_their_arguments() {
        let line = b"/bin/kubernix\0__keeper\0/var/lib\0one\x003\0";
        assert_eq!(own_name(line, Path::new("/var/lib"), "one"), Some("keeper".to_owned()));
        assert_eq!(own_name(line, Path::new("/var/lib"), "two"), None);
        assert_eq!(own_name(line, Path::new("/srv"), "one"), None);
        assert_eq!(own_name(b"/bin/kubernix\0--name\0/var/lib\0one\0", Path::new("/var/lib"), "one"), None);
    }

    #[test]
    fn only_descendants_of_own_processes_belong_to_the_cluster() {
        let process = |pid, parent, own| Process { pid, parent, name: pid.to_string(), own };
        let all = vec![
            process(9, 7, false),
            process(2, 1, true),
            process(7, 2, false),
            process(1, 0, false),
            process(8, 1, false),
        ];
        let pids: Vec<_> = family(all).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [9, 2, 7]);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(resident("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn memory_and_cpu_time_of_this_process_are_readable() {
        let own = Process { pid: std::process::id(), parent: 0, name: "test".to_owned(), own: true };
        let processes = Processes(vec![own]);
        assert!(processes.memory().unwrap().own > 100_000);
        assert!(processes.own_time().unwrap() > Duration::ZERO);
    }
}
