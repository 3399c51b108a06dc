//! The start of a node's first process, in namespaces that are made for it.

use super::first_process::{DONE, NodeSetup, READY};
use super::namespaces::join;
use crate::own_thread;
use crate::process::{SpawnTarget, Privileges};
use crate::sandbox::cgroups::{self, Hierarchy};
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

/// A node's first process, before it is started: a place that is new, and what is to be started in
/// it.
pub struct NewNamespaces {
    cgroups: Arc<[File]>,
    setup: NodeSetup,
}

/// What is known of a node's first process while it furnishes.
pub struct PendingNode {
    /// Gets one line when that is done, or says what failed.
    ready: pipe::Receiver,
    /// The cgroups that the node's processes are in.
    pub cgroups: Arc<[File]>,
}

impl PendingNode {
    /// Makes the node's cgroups, below those of its cluster, and the FIFO that its first process
    /// writes to.
    pub(super) fn prepare(cluster: &str, node: &str, setup: &NodeSetup) -> io::Result<Self> {
        let cgroups = cgroups_of(cluster, node)?;
        let ready = setup.volatile.join(READY);
        mkfifo(&ready, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // With a writer of our own, there is no end of what can be read before the other one
        // begins.
        let ready = pipe::OpenOptions::new().read_write(true).open_receiver(ready)?;
        Ok(Self { ready, cgroups })
    }

    /// Waits until it is done: forever where the process ends without a word.
    ///
    /// # Errors
    /// What failed.
    pub async fn ready(self) -> io::Result<()> {
        let mut said = String::new();
        BufReader::new(self.ready).read_line(&mut said).await?;
        match said.trim_end() {
            DONE => Ok(()),
            failed => Err(io::Error::other(failed)),
        }
    }
}

impl NewNamespaces {
    /// Makes the node's cgroups, below those of its cluster. The furniture's directory of volatile
    /// files exists and is empty.
    ///
    /// # Errors
    /// The kernel refuses a cgroup or the FIFO.
    pub fn prepare(cluster: &str, node: &str, setup: NodeSetup) -> io::Result<(Self, PendingNode)> {
        let starting = PendingNode::prepare(cluster, node, &setup)?;
        Ok((Self { cgroups: starting.cgroups.clone(), setup }, starting))
    }

    /// The arguments that our own program is to be started with here.
    pub fn arguments(&self) -> Vec<String> {
        arguments(&self.setup)
    }
}

/// The arguments of our own program where it is to furnish a node.
pub(super) fn arguments(setup: &NodeSetup) -> Vec<String> {
    // A struct of texts can't fail to be written.
    vec![names::NODE.to_owned(), serde_json::to_string(setup).unwrap_or_default()]
}

/// Makes a node's cgroups, below those of its cluster.
fn cgroups_of(cluster: &str, node: &str) -> io::Result<Arc<[File]>> {
    let hierarchies = cgroups::mounted();
    let version = cgroups::version(&hierarchies);
    let make = |hierarchy: &Hierarchy| hierarchy.create_node(cluster, node, version);
    Ok(hierarchies.iter().map(make).collect::<io::Result<Vec<_>>>()?.into())
}

/// Removes a node's cgroups, when nothing runs in them any more.
pub fn remove_cgroups(cluster: &str, node: &str) {
    for hierarchy in cgroups::mounted() {
        if let Err(error) = hierarchy.remove_node(cluster, node) {
            log::warn!("cgroup of {node}: {error}");
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
            // Only children get it: the one that this thread starts becomes PID 1 of it.
            unshare(CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        })?
    }
}
