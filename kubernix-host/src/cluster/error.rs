//! Everything that a command on clusters can fail with, and the exit code that each has.

use super::{Call, Unpublishable};
use crate::control::ControlError;
use crate::network::publish::{Place, Which};
use crate::placement::NodesIn;
use crate::sandbox::carriers::Part;
use crate::sandbox::lock::LockError;
use crate::{graph, images, kubeconfig, network, pki, root, settings, snapshot, toolchain};
use ipnet::Ipv4Net;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a command on clusters can fail with.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Only root can make namespaces and cgroups.
    #[error("`{0}` needs root: run it as root, for instance with sudo")]
    NotRoot(&'static str),
    /// Settings.
    #[error(transparent)]
    Spec(#[from] settings::Error),
    /// Addresses.
    #[error(transparent)]
    Address(#[from] network::plan::AddressError),
    /// Binaries.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// The root directory.
    #[error(transparent)]
    Root(#[from] root::Error),
    /// Certificates.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Components.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// An image archive.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// A runtime refuses an image.
    #[error("image {image}: {source}")]
    Import {
        /// Its name.
        image: String,
        /// What it says.
        source: ControlError,
    },
    /// No node has an image.
    #[error("no node of cluster `{cluster}` has the image `{image}`: `image list` shows what there is")]
    NoSuchImage {
        /// The cluster.
        cluster: String,
        /// The image's full name.
        image: String,
    },
    /// A running cluster said no, or nothing.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The directory for clusters can't be what it has to be.
    #[error("clusters can't live below `{}`: that place is replaced inside of every sandbox, choose another --root", .0.display())]
    UnfitRoot(PathBuf),
    /// A component finds this host unfit.
    #[error("this host can't run the cluster:{}", list(.0))]
    Preflight(Vec<String>),
    /// The cluster of this name runs.
    #[error("cluster `{}` runs already: `{}` shows it, `{}` ends it", .0.name(), .0.to("status"), .0.to("down"))]
    Running(Call),
    /// The cluster of this name runs, and what should change can't while it does.
    #[error(
        "cluster `{}` runs, and {} while it does: `{}` and then `up` again, with the same settings",
        .call.name(), .changes.join(", "), .call.to("stop")
    )]
    OfBoot {
        /// The cluster.
        call: Call,
        /// What should change, each as a sentence.
        changes: Vec<String>,
    },
    /// Another command is at work on the cluster.
    #[error("another `kubernix {with}` is at work on cluster `{}`: try again when it is done, `{}` shows how far it is", .call.name(), .call.to("status"))]
    Busy {
        /// The cluster.
        call: Call,
        /// The other command.
        with: &'static str,
    },
    /// Another command changes it, or did so while this one began.
    #[error("another command is changing cluster `{}`, or has just changed it: try again, `{}` shows how it is", .0.name(), .0.to("status"))]
    Changing(Call),
    /// A cluster is to be made where one is.
    #[error("there is a cluster `{}` already: choose another --name, or `{}` destroys it", .0.name(), .0.to("down"))]
    Exists(Call),
    /// A name that no cluster can have.
    #[error("{reason}")]
    NoName {
        /// Why, with the name.
        reason: String,
    },
    /// A cluster is to get the name of something that is there.
    #[error(
        "cluster `{from}` can't be called `{}`: `{}` is there already, choose another name (`{}` shows what there is)",
        .call.name(), .call.base().join(.call.name()).display(), .call.of_all("list")
    )]
    NameTaken {
        /// The name that it was to get.
        call: Call,
        /// Its name.
        from: String,
    },
    /// The cluster has no data yet.
    #[error("cluster `{}` was never booted, so there is nothing to save: `{}` boots it", .0.name(), .0.to("up"))]
    NeverBooted(Call),
    /// A snapshot's objects are in another datastore than the one that is to read them.
    #[error(
        "the snapshot's objects are in `{saved}`, which `{found}` can't read: leave the slot `datastore` as it was saved"
    )]
    OtherDatastore {
        /// What the snapshot was saved of.
        saved: String,
        /// What the settings say.
        found: String,
    },
    /// A snapshot is no good, or can't be written.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// There is no cluster of this name.
    #[error(
        "there is no cluster `{}`{hint} (`{}` shows what there is, `{}` makes it)",
        .call.name(), .call.of_all("list"), .call.to("up")
    )]
    NoSuchCluster {
        /// The one that was asked for.
        call: Call,
        /// The nearest names, as the rest of the sentence.
        hint: String,
    },
    /// The cluster of this name is stopped.
    #[error("cluster `{}` is stopped: `{}` starts it again", .0.name(), .0.to("up"))]
    Stopped(Call),
    /// No node of this name.
    #[error("cluster `{cluster}` has no node `{node}`, it has {}", .nodes.join(", "))]
    NoSuchNode {
        /// The cluster.
        cluster: String,
        /// The name given.
        node: String,
        /// The nodes there are.
        nodes: Vec<String>,
    },
    /// Each node has pods of its own, in a range of its own.
    #[error("`{cidr}` holds {most} nodes, {wanted} are too many: a larger --cidr holds more")]
    TooManyNodes {
        /// The range.
        cidr: Ipv4Net,
        /// How many it holds.
        most: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// Nodes aren't taken away by saying less.
    #[error("cluster `{}` has {has} nodes, {wanted} are fewer: `{} NODE` takes one away", .call.name(), .call.to("node remove"))]
    FewerNodes {
        /// The cluster.
        call: Call,
        /// How many it has.
        has: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The members of the control plane were settled when the cluster was made.
    #[error(
        "cluster `{}` was made with {has} control planes and can't have {wanted}: its datastore's members are fixed; `{}` makes one anew",
        .call.name(), .call.to("up --fresh")
    )]
    ControlPlanes {
        /// The cluster.
        call: Call,
        /// How many it has.
        has: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// Where nodes run was settled when the cluster was made.
    #[error(
        "the nodes of cluster `{}` are placed into {has}, and can't move into {wanted}; `{}` makes the cluster anew",
        .call.name(), .call.to("up --fresh")
    )]
    Placement {
        /// The cluster.
        call: Call,
        /// What they are in.
        has: NodesIn,
        /// What was asked for.
        wanted: NodesIn,
    },
    /// Each member has a node of its own.
    #[error("{members} control planes are on a node each, {nodes} are too few: give --nodes {members} or more")]
    TooFewNodes {
        /// The members.
        members: u32,
        /// The nodes.
        nodes: u32,
    },
    /// Stopping this node would lose etcd's quorum.
    #[error(
        "without node `{node}`, {left} of {all} members of the control plane would run, and its datastore needs more than half of them: start another first, or `{}` stops the cluster",
        .call.to("stop")
    )]
    NoMajority {
        /// The cluster.
        call: Call,
        /// The node.
        node: String,
        /// How many members would run.
        left: usize,
        /// How many there are.
        all: usize,
    },
    /// The first node can't be taken away.
    #[error("node `{node}` belongs to the control plane and stays: `node stop {node}` ends what runs on it")]
    FirstNode {
        /// The node.
        node: String,
    },
    /// Nothing runs on the node.
    #[error("node `{node}` is stopped: `node start {node}` starts it again")]
    NodeStopped {
        /// The node.
        node: String,
    },
    /// No binary of this name belongs to the cluster.
    #[error("cluster `{cluster}` has no binary `{tool}`")]
    NoSuchTool {
        /// The cluster.
        cluster: String,
        /// The name given.
        tool: String,
    },
    /// A port of the cluster on the host is taken.
    #[error(
        "port {port} of 127.0.0.1 can't be used: {cause}; choose another {flag}, or leave it out for the first free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// Why, or who has it.
        cause: String,
        /// What chooses it.
        flag: &'static str,
    },
    /// The user's own kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] kubeconfig::Error),
    /// A port that was to be published can't be.
    #[error(transparent)]
    Publish(#[from] Unpublishable),
    /// A place on the host leads to another port already.
    #[error("{place} leads to port {port} already: take that away first (`port remove`), or choose another")]
    PublishedOtherwise {
        /// The place.
        place: Place,
        /// Where it leads.
        port: u16,
    },
    /// What was to be published no longer isn't.
    #[error("cluster `{cluster}` doesn't publish {which}: {}", all_ports(.there))]
    NotPublished {
        /// The cluster.
        cluster: String,
        /// What was named.
        which: Which,
        /// What there is.
        there: Vec<String>,
    },
    /// All ports are taken.
    #[error("no port of 127.0.0.1 from {first} to {last} is free: end a cluster, or choose one with {flag}")]
    NoPort {
        /// The first that was tried.
        first: u16,
        /// The last.
        last: u16,
        /// What chooses one.
        flag: &'static str,
    },
    /// The boot failed; what it had started is gone.
    #[error("cluster `{}` didn't come up: {why}\nIts logs are kept in {}; `{}` removes them", .call.name(), .root.display(), .call.to("down"))]
    Boot {
        /// The cluster.
        call: Call,
        /// Why.
        why: String,
        /// Its root directory.
        root: PathBuf,
        /// It took too long.
        timed_out: bool,
    },
    /// A change of a running cluster came to nothing.
    #[error("the change of cluster `{}` failed: {why}\n{}", .call.name(), after_change(.call, *.restored))]
    Change {
        /// The cluster.
        call: Call,
        /// Why.
        why: String,
        /// What ran before runs again.
        restored: bool,
    },
    /// A change was not begun.
    #[error("cluster `{}` can't be changed now: {why}; `{}` shows how it is", .call.name(), .call.to("status"))]
    Refused {
        /// The cluster.
        call: Call,
        /// Why.
        why: String,
    },
    /// A change takes longer than this command waits, or the user left it.
    #[error("the change of cluster `{}` goes on: `{}` shows how far it is", .0.name(), .0.to("status"))]
    ChangeGoesOn(Call),
    /// The cluster knows nothing of a change: it ended meanwhile, or was booted again.
    #[error(
        "cluster `{}` ended while it changed, so it is either as before or changed, and nothing in between: `{}` shows which",
        .0.name(), .0.to("status")
    )]
    ChangeLost(Call),
    /// Another command ended the cluster while this one booted it; nothing of it runs.
    #[error("cluster `{}` was ended while it booted, by another `kubernix {by}`: `{}` boots it again", .call.name(), .call.to("up"))]
    Revoked {
        /// The cluster.
        call: Call,
        /// The other command.
        by: &'static str,
    },
    /// Ctrl-C; what had been started is gone.
    #[error("interrupted")]
    Interrupted,
    /// A stop in order takes too long.
    #[error(
        "cluster `{}` isn't stopped after {} s{}: `{}` shows what it waits for; `{}` ends it at once and destroys its data",
        .call.name(), .limit.as_secs(), remaining(.left), .call.to("status"), .call.to("down")
    )]
    NotStopped {
        /// The cluster.
        call: Call,
        /// How long it had.
        limit: Duration,
        /// Its processes that still run.
        left: Vec<String>,
    },
    /// Processes outlive SIGKILL, or another command holds the cluster.
    #[error(
        "cluster `{}` isn't ended after {} s{}: once they are gone, `{}` does the rest",
        .call.name(), .limit.as_secs(), remaining(.left), .call.to("down")
    )]
    NotEnded {
        /// The cluster.
        call: Call,
        /// How long it had.
        limit: Duration,
        /// The processes.
        left: Vec<String>,
    },
    /// The keeper or the init doesn't run, and so can't be waited for.
    #[error(
        "the {part} of cluster `{}` (process {pid}) is stopped: `kill -CONT {pid}` lets it go on; `{}` ends the cluster and destroys its data",
        .call.name(), .call.to("down")
    )]
    Frozen {
        /// The cluster.
        call: Call,
        /// Which of the two.
        part: Part,
        /// Its number.
        pid: i32,
    },
    /// Its root directory was removed while it ran.
    #[error(
        "cluster `{}` runs without its root directory, which was removed: {}; `{}` ends it",
        .call.name(), .processes.join(", "), .call.to("down")
    )]
    Orphaned {
        /// The cluster.
        call: Call,
        /// Its processes.
        processes: Vec<String>,
    },
    /// Its root directory can't be read.
    #[error("cluster `{}` is damaged: {why}; `{}` ends what runs of it and removes it", .call.name(), .call.to("down"))]
    Damaged {
        /// The cluster.
        call: Call,
        /// What is damaged.
        why: Box<root::Error>,
    },
    /// Anything of the operating system's.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn remaining(processes: &[String]) -> String {
    if processes.is_empty() { String::new() } else { format!(", and these processes remain: {}", processes.join(", ")) }
}

fn after_change(call: &Call, restored: bool) -> String {
    if restored {
        return "what ran before runs again".into();
    }
    format!("it doesn't run as it did before: look at `{}`", call.to("status"))
}

fn all_ports(ports: &[String]) -> String {
    if ports.is_empty() { "it publishes nothing".into() } else { format!("it publishes {}", ports.join(", ")) }
}

fn list(messages: &[String]) -> String {
    messages.iter().map(|message| format!("\n  {message}")).collect()
}

impl From<LockError> for HostError {
    fn from(error: LockError) -> Self {
        Self::Root(error.into())
    }
}

impl HostError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    /// Whether a cluster that was made for a boot stays after this failure of it: logs are worth keeping, and what others took
    /// over is theirs.
    pub fn leaves_cluster(&self) -> bool {
        matches!(self, Self::Boot { .. } | Self::Running(_) | Self::Revoked { .. })
    }

    /// The exit code, as published in docs/exit-codes.md.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Spec(_) | Self::Address(_) | Self::Graph(_) | Self::UnfitRoot(_) => 2,
            Self::Root(
                root::Error::NewerFormat { .. } | root::Error::NotACluster { .. } | root::Error::Link { .. },
            ) => 2,
            Self::NoSuchNode { .. }
            | Self::FewerNodes { .. }
            | Self::TooManyNodes { .. }
            | Self::FirstNode { .. }
            | Self::ControlPlanes { .. }
            | Self::Placement { .. }
            | Self::NoMajority { .. }
            | Self::TooFewNodes { .. }
            | Self::NoSuchTool { .. }
            | Self::NoSuchImage { .. }
            | Self::Image(_) => 2,
            Self::PublishedOtherwise { .. } | Self::NotPublished { .. } => 2,
            Self::Kubeconfig(kubeconfig::Error::NeverBooted { .. }) => 5,
            Self::Kubeconfig(error) if error.is_input() => 2,
            Self::Kubeconfig(_) => 1,
            Self::NoName { .. } | Self::NameTaken { .. } => 2,
            Self::Exists(_) | Self::OtherDatastore { .. } => 2,
            Self::Snapshot(error) if error.is_usage() => 2,
            Self::Toolchain(toolchain::Error::Interrupted) => 130,
            Self::Toolchain(_) => 3,
            Self::Running(_) | Self::OfBoot { .. } | Self::Busy { .. } | Self::Changing(_) | Self::Refused { .. } => 4,
            Self::NoSuchCluster { .. }
            | Self::NeverBooted(_)
            | Self::Stopped(_)
            | Self::NodeStopped { .. }
            | Self::Revoked { .. }
            | Self::Root(root::Error::Missing { .. }) => 5,
            Self::Boot { timed_out: false, .. } | Self::Change { .. } | Self::ChangeLost(_) => 6,
            Self::Boot { timed_out: true, .. }
            | Self::ChangeGoesOn(_)
            | Self::NotStopped { .. }
            | Self::NotEnded { .. } => 7,
            Self::Frozen { .. } | Self::Orphaned { .. } | Self::Damaged { .. } => 1,
            Self::NotRoot(_) => 8,
            Self::Interrupted => 130,
            Self::Snapshot(_) => 1,
            Self::Root(_) | Self::Pki(_) | Self::Control(_) | Self::Import { .. } | Self::Preflight(_) => 1,
            Self::Publish(_) | Self::Port { .. } | Self::NoPort { .. } | Self::Io { .. } => 1,
        }
    }
}
