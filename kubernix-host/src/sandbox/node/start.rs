//! The start of a node's first process, in namespaces that are made for it.

use super::furnish::{FURNISHED, Furniture};
use super::namespaces::{join, number};
use crate::process::Place;
use crate::sandbox::cgroups::{self, Hierarchy};
use crate::sandbox::names;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

/// A node's first process, before it is started: a place that is new, and what is to be started in it.
pub struct Start {
    cgroups: Arc<[File]>,
    ready: Arc<OwnedFd>,
    furniture: Furniture,
}

/// What is known of a node's first process while it furnishes.
pub struct Starting {
    /// Gets one line when that is done, or says what failed.
    pub(super) ready: PipeReader,
    /// The cgroups that the node's processes are in.
    pub cgroups: Arc<[File]>,
}

impl Starting {
    /// Waits until it is done.
    ///
    /// # Errors
    /// What failed.
    pub async fn furnished(self) -> io::Result<()> {
        let mut said = String::new();
        let ready = pipe::Receiver::from_owned_fd(OwnedFd::from(self.ready))?;
        BufReader::new(ready).read_line(&mut said).await?;
        match said.trim_end() {
            FURNISHED => Ok(()),
            "" => Err(io::Error::other("its first process ended without a word")),
            failed => Err(io::Error::other(failed)),
        }
    }
}

impl Start {
    /// Makes the node's cgroups, below those of its cluster.
    ///
    /// # Errors
    /// The kernel refuses a cgroup.
    pub fn prepare(cluster: &str, node: &str, furniture: Furniture) -> io::Result<(Self, Starting)> {
        let cgroups = cgroups_of(cluster, node)?;
        let (reader, writer) = io::pipe()?;
        let starting = Starting { ready: reader, cgroups: cgroups.clone() };
        Ok((Self { cgroups, ready: Arc::new(writer.into()), furniture }, starting))
    }

    /// The arguments that our own program is to be started with here.
    pub fn arguments(&self) -> Vec<String> {
        arguments(&self.furniture, &number(&*self.ready))
    }
}

/// The arguments of our own program where it is to furnish a node, and say so over the descriptor of this number.
pub(super) fn arguments(furniture: &Furniture, ready: &str) -> Vec<String> {
    // A struct of texts can't fail to be written.
    let furniture = serde_json::to_string(furniture).unwrap_or_default();
    vec![names::NODE.to_owned(), furniture, ready.to_owned()]
}

/// Makes a node's cgroups, below those of its cluster.
pub(super) fn cgroups_of(cluster: &str, node: &str) -> io::Result<Arc<[File]>> {
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

impl Place for Start {
    fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let (cgroups, ready) = (self.cgroups.clone(), self.ready.clone());
        let others =
            CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
        let enter = move || {
            join(&cgroups)?;
            fcntl(&*ready, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(unshare(others)?)
        };
        // SAFETY: between fork and exec only write(2), fcntl(2) and unshare(2) are called, and nothing is allocated.
        unsafe { command.pre_exec(enter) };
        let born = || {
            // Only children get it: the one that this thread starts becomes PID 1 of it.
            unshare(CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        };
        let started = std::thread::scope(|scope| scope.spawn(born).join());
        started.unwrap_or_else(|_| Err(io::Error::other("starting a node panicked")))
    }
}
