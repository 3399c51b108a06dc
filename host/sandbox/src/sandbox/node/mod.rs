//! Nodes with namespaces of their own below the sandbox's: mount, PID, network, UTS and IPC, and a
//! cgroup.
//!
//! A node's first process is started by the sandbox's init in new namespaces. It furnishes them
//! (`first_process`) and becomes a program that only waits and reaps. All else is started by the init in
//! the same namespaces ([`Namespaces`]): the init stays the parent of what it watches, and the
//! kernel ends all of it with the node's first process.
//!
//! Such a first process may also be that of a container ([`Container`]), whose namespaces podman
//! makes.

mod first_process;
mod namespaces;
mod podman;
mod start;

pub use first_process::{NodeSetup, run};
pub use namespaces::Namespaces;
pub use podman::{Container, OCI_RUNTIME};
pub use start::{NewNamespaces, PendingNode, remove_cgroups};
