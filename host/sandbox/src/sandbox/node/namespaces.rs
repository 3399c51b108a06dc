//! The namespaces of a node, as a target for new processes.

use crate::network::HostNet;
use crate::own_thread;
use crate::process::{Privileges, SpawnTarget};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

/// The namespaces and cgroups of a node. They exist as long as its first process.
#[derive(Debug)]
pub struct Namespaces {
    pid: OwnedFd,
    net: HostNet,
    others: Arc<[(OwnedFd, CloneFlags)]>,
    cgroups: Arc<[File]>,
}

/// Moves the calling process into cgroups, through their open `cgroup.procs`. Doesn't allocate.
pub(super) fn join(cgroups: &[File]) -> io::Result<()> {
    for procs in cgroups {
        // "0" is the writing process.
        nix::unistd::write(procs, b"0")?;
    }
    Ok(())
}

impl Namespaces {
    /// The namespaces of a process, by its PID in the sandbox. Processes are started in `cgroups`.
    ///
    /// # Errors
    /// The process has ended.
    pub fn of(process: Pid, cgroups: Arc<[File]>) -> io::Result<Self> {
        let open = |kind: &str| File::open(format!("/proc/{process}/ns/{kind}")).map(OwnedFd::from);
        Ok(Self {
            pid: open("pid")?,
            net: HostNet::new(open("net")?),
            others: Arc::new([
                (open("net")?, CloneFlags::CLONE_NEWNET),
                (open("uts")?, CloneFlags::CLONE_NEWUTS),
                (open("ipc")?, CloneFlags::CLONE_NEWIPC),
                // Last, because paths change with it.
                (open("mnt")?, CloneFlags::CLONE_NEWNS),
            ]),
            cgroups,
        })
    }

    /// The node's network namespace.
    pub fn network(&self) -> &HostNet {
        &self.net
    }
}

impl SpawnTarget for Namespaces {
    fn spawn(&self, mut command: Command, privileges: Privileges) -> io::Result<Child> {
        let (others, cgroups) = (self.others.clone(), self.cgroups.clone());
        let enter = move || {
            join(&cgroups)?;
            for (namespace, kind) in others.iter() {
                setns(namespace.as_fd(), *kind)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only write(2) and setns(2) are called, on descriptors that
        // the closure owns; nothing is allocated.
        unsafe { command.pre_exec(enter) };
        privileges.apply(&mut command);
        // A thread's PID namespace for children can't be changed back, so this thread starts only
        // one process.
        own_thread::run(|| {
            setns(self.pid.as_fd(), CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        })?
    }
}
