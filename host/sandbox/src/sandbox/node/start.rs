//! Starts a node's first process in new namespaces.

use super::first_process::{DONE, NodeSetup, READY};
use super::namespaces::join;
use crate::cgroups::{self, Hierarchy};
use crate::own_thread;
use crate::process::{Privileges, SpawnTarget};
use crate::sandbox::names;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

/// New namespaces for a node, as a target for its first process.
pub struct NewNamespaces {
    cgroups: Arc<[File]>,
    setup: NodeSetup,
}

/// A node whose first process is setting it up.
pub struct PendingNode {
    /// Receives one line: [`DONE`] or the error.
    ready: pipe::Receiver,
    /// The cgroups of the node's processes.
    pub cgroups: Arc<[File]>,
}

impl PendingNode {
    /// Creates the node's cgroups below the cluster's, and the FIFO for the report.
    pub(super) fn prepare(cluster: &str, node: &str, setup: &NodeSetup) -> io::Result<Self> {
        let cgroups = cgroups_of(cluster, node)?;
        let ready = setup.volatile.join(READY);
        mkfifo(&ready, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Opened for writing as well, or reading would return end-of-file until the first process
        // opens it.
        let ready = pipe::OpenOptions::new().read_write(true).open_receiver(ready)?;
        Ok(Self { ready, cgroups })
    }

    /// Waits until the node is set up. Waits forever if the process ends without a report.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn ready(self) -> io::Result<()> {
        let mut report = String::new();
        BufReader::new(self.ready).read_line(&mut report).await?;
        match report.trim_end() {
            DONE => Ok(()),
            error => Err(io::Error::other(error)),
        }
    }
}

impl NewNamespaces {
    /// Creates the node's cgroups below the cluster's. The directory of volatile files exists and
    /// is empty.
    ///
    /// # Errors
    /// The kernel refuses a cgroup or the FIFO.
    pub fn prepare(cluster: &str, node: &str, setup: NodeSetup) -> io::Result<(Self, PendingNode)> {
        let pending = PendingNode::prepare(cluster, node, &setup)?;
        Ok((Self { cgroups: pending.cgroups.clone(), setup }, pending))
    }

    /// The arguments of the `kubernix` binary as the first process.
    pub fn arguments(&self) -> Vec<String> {
        arguments(&self.setup)
    }
}

/// The arguments of the `kubernix` binary as a node's first process.
pub(super) fn arguments(setup: &NodeSetup) -> Vec<String> {
    // Serialising a struct of strings can't fail.
    vec![names::NODE.to_owned(), serde_json::to_string(setup).unwrap_or_default()]
}

/// Creates a node's cgroups below the cluster's.
fn cgroups_of(cluster: &str, node: &str) -> io::Result<Arc<[File]>> {
    let hierarchies = cgroups::mounted();
    let version = cgroups::version(&hierarchies);
    let make = |hierarchy: &Hierarchy| hierarchy.create_node(cluster, node, version);
    Ok(hierarchies.iter().map(make).collect::<io::Result<Vec<_>>>()?.into())
}

/// Removes a node's cgroups after all its processes have ended.
pub fn remove_cgroups(cluster: &str, node: &str) {
    for hierarchy in cgroups::mounted() {
        if let Err(error) = hierarchy.remove_node(cluster, node) {
            log::warn!("the cgroup of {node} can't be removed: {error}");
        }
    }
}

impl SpawnTarget for NewNamespaces {
    fn spawn(&self, mut command: Command, privileges: Privileges) -> io::Result<Child> {
        let cgroups = self.cgroups.clone();
        let others =
            CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
        let enter = move || {
            join(&cgroups)?;
            Ok(unshare(others)?)
        };
        // SAFETY: between fork and exec only write(2) and unshare(2) are called, and nothing is
        // allocated.
        unsafe { command.pre_exec(enter) };
        privileges.apply(&mut command);
        own_thread::run(|| {
            // Applies only to children: the first child of this thread becomes PID 1.
            unshare(CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        })?
    }
}
