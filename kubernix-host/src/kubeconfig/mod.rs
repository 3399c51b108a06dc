//! The user's own kubeconfig: a cluster's context put into it, kept true, and taken out again.
//!
//! The file is the user's, and kubectl writes it as well. So it is edited as text, of which all that isn't the cluster's stays
//! as it is, comments included; it is changed under the lock that client-go takes, and replaced by rename. What the text says
//! afterwards is compared with what it should say before anything is written. Entries are the cluster's own if they hold its
//! certificates: a name is no proof. Must not know how a cluster is booted.

mod access;
mod error;
mod file;
mod lock;
mod merge;
mod model;
mod places;
mod rename;
#[cfg(test)]
mod tests;
mod text;

pub use access::Access;
pub use error::Error;
pub use merge::{Merged, check, merge, refresh, remove};
pub use places::Places;
pub use rename::{begin_rename, finish_rename};
