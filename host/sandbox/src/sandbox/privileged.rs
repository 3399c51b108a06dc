//! The privileged operations of a keeper, behind a trait: tests replace it, and a cluster without
//! root could.
//!
//! Must not know the order in which a keeper calls them.

use super::HostLock;
use super::keeper::{namespaced, own_program};
use super::traces::remove_groups;
use super::{names, program};
use crate::cgroups::{self, Hierarchy};
use crate::cluster_dir::ClusterDir;
use crate::network::{HostNet, uplink};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The privileged operations for one cluster.
pub trait Privileged {
    /// Creates the cluster's cgroups.
    ///
    /// # Errors
    /// The kernel refuses.
    fn create_cgroups(&self, id: &str) -> io::Result<()>;

    /// The descriptors through which the init accesses the host: its network namespace, and the
    /// directory of its lock.
    ///
    /// # Errors
    /// The kernel refuses.
    fn host_handles(&self) -> io::Result<[OwnedFd; 2]>;

    /// Starts the init as PID 1 of new namespaces, with these descriptors. `cluster` is the base of
    /// the root directory, and the ID.
    ///
    /// # Errors
    /// The kernel refuses the namespaces, or the program can't be started.
    fn start_init(&self, cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> io::Result<Pid>;

    /// Reverts what the cluster changed on the host, after all its processes have ended. Errors are
    /// logged, and don't end it early.
    fn clean_up(&self, root: &ClusterDir, id: &str);
}

/// A keeper that runs as root.
#[derive(Debug)]
pub struct HostRoot {
    hierarchies: Vec<Hierarchy>,
    lock: HostLock,
}

impl HostRoot {
    /// The hierarchies and the lock that the calling process sees.
    ///
    /// # Errors
    /// Neither `/run` nor `/` can be opened.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self { hierarchies: cgroups::mounted(), lock: HostLock::of_host()? })
    }
}

impl Privileged for HostRoot {
    fn create_cgroups(&self, id: &str) -> io::Result<()> {
        cgroups::create(&self.hierarchies, id, &self.lock)
    }

    fn host_handles(&self) -> io::Result<[OwnedFd; 2]> {
        let network = HostNet::of_thread()?;
        Ok([network.as_fd().try_clone_to_owned()?, self.lock.as_fd().try_clone_to_owned()?])
    }

    fn start_init(&self, cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        let executable = program::running()?;
        // Applies only to children: the first child becomes PID 1.
        unshare(CloneFlags::CLONE_NEWPID)?;
        let mut command = own_program(&executable, names::INIT, cluster, fds);
        namespaced(&mut command);
        Ok(Pid::from_raw(command.spawn()?.id().cast_signed()))
    }

    fn clean_up(&self, root: &ClusterDir, id: &str) {
        uplink::revert_by_id(root, id, &self.lock);
        remove_groups(&self.hierarchies, id, &self.lock);
    }
}
