//! Finds the keepers and inits that run on this host, without any file of their clusters.
//!
//! A command line isn't sufficient, because any user can start a process with any arguments. A
//! carrier also holds a descriptor of its cluster's root directory (the lock), which belongs to the
//! administrator. The descriptor also gives the directory's current name, and whether it was
//! removed.

use super::names;
use super::process::{self, Pidfd};
use crate::cluster_dir::ClusterDir;
use crate::proc_stat::Stat;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The suffix that the kernel adds to the name of a removed directory.
const REMOVED: &[u8] = b" (deleted)";

/// One of the two processes of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// PID 1 of the sandbox.
    Init,
    /// The process in the host's namespaces.
    Keeper,
}

/// A process that carries a cluster: its keeper or its init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Which of the two it is.
    pub part: Part,
    /// Its PID in the host's PID namespace.
    pub pid: i32,
    /// The ID that names the cluster's cgroups and uplink. A cluster that an older version booted
    /// has its name instead.
    pub id: String,
    /// The cluster's root directory.
    pub root: PathBuf,
    /// Whether the directory was removed while the cluster ran.
    pub is_orphan: bool,
}

/// All carriers of this user, the inits first.
pub fn all() -> Vec<Carrier> {
    let mut found: Vec<Carrier> = process::own().filter_map(Carrier::of).collect();
    found.sort_by_key(|carrier| (carrier.part, carrier.pid));
    found
}

/// The carriers of one cluster, the inits first.
pub fn of(root: &ClusterDir) -> Vec<Carrier> {
    all().into_iter().filter(|carrier| carrier.root == root.path()).collect()
}

impl Carrier {
    /// The carrier with this PID. `None` if the process isn't a carrier.
    pub fn of(pid: i32) -> Option<Self> {
        let (part, id, lock) = parse(&fs::read(format!("/proc/{pid}/cmdline")).ok()?)?;
        let lock = PathBuf::from(format!("/proc/{pid}/fd/{lock}"));
        let metadata = fs::metadata(&lock).ok()?;
        if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() {
            return None;
        }
        let path = fs::read_link(lock).ok()?;
        let removed = path.as_os_str().as_bytes().strip_suffix(REMOVED);
        let root = removed.map_or_else(|| path.clone(), |path| PathBuf::from(OsStr::from_bytes(path)));
        root.is_absolute().then_some(Self { part, pid, id, root, is_orphan: removed.is_some() })
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> String {
        self.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The directory that contains, or contained, the cluster's directory.
    pub fn base(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// Whether a signal, a debugger or a frozen cgroup has stopped it.
    pub fn is_stopped(&self) -> bool {
        Stat::of(self.pid).is_ok_and(Stat::is_stopped)
    }

    /// Sends a signal. `None` if the process has ended.
    pub fn signal(&self, signal: Signal) -> Option<Pidfd> {
        let process = Pidfd::open(self.pid)?;
        // The descriptor can't change, but the PID may have been reused before it was opened: check
        // it again.
        let is_same = Self::of(self.pid).is_some_and(|now| (now.part, now.root) == (self.part, self.root.clone()));
        (is_same && process.signal(signal)).then_some(process)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Keeper => "keeper",
        })
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.part, process::described(self.pid))
    }
}

/// Parses a command line: the part, the cluster's ID, and the number of the lock's descriptor.
fn parse(cmdline: &[u8]) -> Option<(Part, String, u32)> {
    let words = cmdline.strip_suffix(b"\0")?.split(|byte| *byte == 0).map(std::str::from_utf8);
    let words = words.collect::<Result<Vec<_>, _>>().ok()?;
    let [_, command, base, id, numbers @ ..] = &words[..] else { return None };
    // The positions at which `keeper::run` and `init::enter_sandbox` expect the lock.
    let (part, position, least) = match *command {
        names::KEEPER => (Part::Keeper, 0, 3),
        names::INIT => (Part::Init, 2, 5),
        _ => return None,
    };
    // The ID becomes a path component of cgroups to remove, so it must not lead to another
    // directory.
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let numbers = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<u32>, _>>().ok()?;
    (Path::new(base).is_absolute() && is_id && numbers.len() >= least)
        .then(|| (part, (*id).to_owned(), numbers[position]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|word| word.bytes().chain([0])).collect()
    }

    #[test]
    fn only_command_lines_of_carriers_are_parsed() {
        let keeper = ["/usr/bin/kubernix", names::KEEPER, "/b", "one", "5", "6", "7"];
        assert_eq!(parse(&line(&keeper)), Some((Part::Keeper, "one".into(), 5)));
        let init = ["kubernix", names::INIT, "/b", "0123456789abcdef", "5", "6", "7", "8", "9", "10"];
        assert_eq!(parse(&line(&init)), Some((Part::Init, "0123456789abcdef".into(), 7)));
        for other in [
            &keeper[..6],
            &init[..8],
            &["kubernix", "up", "/b", "one", "5", "6", "7"],
            &["kubernix", names::NODE, "/b", "one", "5", "6", "7"],
            &["kubernix", names::KEEPER, "b", "one", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", "", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", "../one", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", "..", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", ".", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", "one\n", "5", "6", "7"],
            &["kubernix", names::KEEPER, "/b", "one", "5", "x", "7"],
            &["sudo", "kubernix", names::KEEPER, "/b", "one", "5", "6", "7"],
        ] {
            assert_eq!(parse(&line(other)), None, "{other:?}");
        }
        assert_eq!(parse(b""), None, "an ended process");
        assert_eq!(parse(b"kubernix\0__keeper\0/b\0one\x005\x006\x007"), None, "a title that a process has set");
    }

    #[test]
    fn a_process_without_a_lock_is_no_carrier() {
        assert_eq!(Carrier::of(std::process::id().cast_signed()), None);
        assert_eq!(Carrier::of(-1), None);
    }
}
