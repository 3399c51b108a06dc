//! Nodes with their own namespaces below the sandbox's: mount, PID, network, UTS and IPC, and their
//! own cgroup.
//!
//! The sandbox's init starts a node's first process in new namespaces. That process sets them up
//! (`first_process`) and becomes the pause program. The init starts all other processes in these
//! namespaces ([`Namespaces`]). So it is the parent of every process that it watches, and the
//! kernel kills them with the node's first process.
//!
//! The first process may also be that of a container ([`Container`]), whose namespaces podman
//! creates.

mod first_process;
mod namespaces;
mod podman;
mod start;

pub use first_process::{NodeSetup, run};
pub use namespaces::Namespaces;
pub use podman::{Container, OCI_RUNTIME};
pub use start::{NewNamespaces, PendingNode, remove_cgroups};
