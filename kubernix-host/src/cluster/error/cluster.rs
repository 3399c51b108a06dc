//! Errors about a cluster as a whole: its name, its existence, its state, its root directory.

use crate::root_dir;
use crate::settings::{Call, ValueError};
use std::path::PathBuf;

/// The named cluster doesn't exist, is in another state than the command needs, or can't be
/// created.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No cluster has this name.
    #[error(
        "there is no cluster `{}`{hint} (`{}` shows existing clusters, `{}` creates it)",
        .call.name(), .call.of_all("list"), .call.to("up")
    )]
    NotFound {
        /// The cluster that was named.
        call: Call,
        /// The most similar names, as the rest of the sentence.
        hint: String,
    },
    /// A cluster of this name exists.
    #[error("there is a cluster `{}` already: choose another --name, or `{}` destroys it", .0.name(), .0.to("down"))]
    AlreadyExists(Call),
    /// The name isn't valid for a cluster.
    #[error(transparent)]
    InvalidName(ValueError),
    /// The new name of a cluster is in use, by a cluster or by another file of the base directory.
    #[error(
        "cluster `{from}` can't be renamed to `{}`: `{}` exists, choose another name (`{}` shows existing clusters)",
        .call.name(), .call.base().join(.call.name()).display(), .call.of_all("list")
    )]
    NameTaken {
        /// The cluster under its new name.
        call: Call,
        /// Its present name.
        from: String,
    },
    /// The cluster is stopped.
    #[error("cluster `{}` is stopped: `{}` starts it again", .0.name(), .0.to("up"))]
    Stopped(Call),
    /// The cluster has no data yet.
    #[error("cluster `{}` was never booted and has no data to save: `{}` boots it", .0.name(), .0.to("up"))]
    NeverBooted(Call),
    /// The cluster has no binary of this name.
    #[error("cluster `{cluster}` has no binary `{binary}`")]
    NoSuchBinary {
        /// The cluster.
        cluster: String,
        /// The name that was given.
        binary: String,
    },
    /// The base directory lies where every sandbox mounts directories of its own.
    #[error(
        "clusters can't live below `{}`: every sandbox mounts its own directory there, choose another --root",
        .0.display()
    )]
    UnsuitableRoot(PathBuf),
    /// The objects of a snapshot are in another datastore than the settings select.
    #[error("the snapshot's objects are in `{saved}`, which `{selected}` can't read: use `--datastore {saved}`")]
    OtherDatastore {
        /// The datastore that the snapshot was taken of.
        saved: String,
        /// The datastore that the settings select.
        selected: String,
    },
    /// The root directory was removed while the cluster ran.
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
    /// The root directory can't be read.
    #[error("cluster `{}` is damaged: {why}; `{}` ends its processes and removes it", .call.name(), .call.to("down"))]
    Damaged {
        /// The cluster.
        call: Call,
        /// The damage.
        why: Box<root_dir::Error>,
    },
}

impl ClusterError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::AlreadyExists(_)
            | Self::InvalidName(_)
            | Self::NameTaken { .. }
            | Self::NoSuchBinary { .. }
            | Self::UnsuitableRoot(_)
            | Self::OtherDatastore { .. } => 2,
            Self::NotFound { .. } | Self::Stopped(_) | Self::NeverBooted(_) => 5,
            Self::Orphaned { .. } | Self::Damaged { .. } => 1,
        }
    }
}
