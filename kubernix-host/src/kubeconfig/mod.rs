//! Merges a cluster's context into the user's own kubeconfig, keeps it up to date, and removes it.
//!
//! The file belongs to the user, and kubectl writes it as well. So it is edited as text: everything
//! but the cluster's entries stays as it is, including comments. It is changed under the lock that
//! client-go takes, and replaced by rename. Before the edited text is written, it is parsed and
//! compared with the intended content. An entry belongs to the cluster if it holds the cluster's
//! certificates: a name is no proof. Must not know how a cluster is booted.

mod access;
mod error;
mod file;
mod lock;
mod merge;
mod model;
mod paths;
mod rename;
#[cfg(test)]
mod tests;
mod text;

pub use access::Access;
pub use error::Error;
pub use merge::{Merged, check, merge, refresh, remove};
pub use paths::ConfigPaths;
pub use rename::{begin_rename, finish_rename};
