//! Errors of the commands on clusters, grouped by subject, and the exit code of each.
//!
//! An error of another module of the host keeps its own type and is passed on as it is.

mod boot;
mod change;
mod cluster;
mod image;
mod in_use;
mod node;
mod port;
mod stop;

pub use boot::BootError;
pub use change::ChangeError;
pub use cluster::ClusterError;
pub use image::ImageError;
pub use in_use::InUseError;
pub use node::NodeError;
pub use port::PortError;
pub use stop::StopError;

use crate::control::ControlError;
use crate::sandbox::lock::LockError;
use crate::{graph, images, kubeconfig, network, pki, root_dir, settings, snapshot, toolchain};
use std::io;

/// Everything that a command on clusters can fail with.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The command needs root: only root can create namespaces and cgroups.
    #[error("`{0}` needs root: run it as root, for instance with sudo")]
    NotRoot(&'static str),
    /// The user interrupted the command. What it had started is stopped and removed.
    #[error("interrupted")]
    Interrupted,
    /// The cluster that was named, or its state.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something else uses the cluster.
    #[error(transparent)]
    InUse(#[from] InUseError),
    /// A boot.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A change of a running cluster.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// `stop` or `down`.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// Nodes.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Ports of the host.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Settings.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// Addresses.
    #[error(transparent)]
    Address(#[from] network::plan::AddressError),
    /// Binaries.
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    /// The root directory.
    #[error(transparent)]
    Root(#[from] root_dir::Error),
    /// Certificates and keys.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Components, and the slots that they fill.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// The control socket of a running cluster.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The user's own kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] kubeconfig::Error),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// An operation of the operating system.
    #[error("{what}")]
    Io {
        /// The operation that failed.
        what: String,
        /// The cause.
        source: io::Error,
    },
}

impl From<images::Error> for HostError {
    fn from(error: images::Error) -> Self {
        ImageError::Archive(error).into()
    }
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

    /// Whether the root directory that a boot created stays after this error: its logs explain the
    /// failure, or the cluster belongs to another command by now.
    pub fn leaves_cluster(&self) -> bool {
        match self {
            Self::Boot(error) => matches!(error, BootError::Failed { .. } | BootError::Revoked { .. }),
            Self::InUse(error) => matches!(error, InUseError::Running(_)),
            _ => false,
        }
    }

    /// The exit code, as published in docs/exit-codes.md.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotRoot(_) => 8,
            Self::Interrupted | Self::Toolchain(toolchain::Error::Interrupted) => 130,
            Self::Cluster(error) => error.exit_code(),
            Self::InUse(_) => 4,
            Self::Boot(error) => error.exit_code(),
            Self::Change(error) => error.exit_code(),
            Self::Stop(error) => error.exit_code(),
            Self::Node(error) => error.exit_code(),
            Self::Port(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Settings(_) | Self::Address(_) | Self::Graph(_) => 2,
            Self::Toolchain(_) => 3,
            Self::Root(root_dir::Error::Missing { .. }) => 5,
            Self::Root(
                root_dir::Error::NewerFormat { .. }
                | root_dir::Error::NotACluster { .. }
                | root_dir::Error::Link { .. },
            ) => 2,
            Self::Kubeconfig(kubeconfig::Error::NeverBooted { .. }) => 5,
            Self::Kubeconfig(error) if error.is_input() => 2,
            Self::Snapshot(error) if error.is_usage() => 2,
            Self::Root(_) | Self::Pki(_) | Self::Control(_) | Self::Kubeconfig(_) | Self::Snapshot(_) => 1,
            Self::Io { .. } => 1,
        }
    }
}

/// The processes that still run, as the rest of a sentence. Empty if none is known.
fn remaining(processes: &[String]) -> String {
    if processes.is_empty() { String::new() } else { format!(", and these processes remain: {}", processes.join(", ")) }
}

/// One message a line, each indented.
fn lines(messages: &[String]) -> String {
    messages.iter().map(|message| format!("\n  {message}")).collect()
}
