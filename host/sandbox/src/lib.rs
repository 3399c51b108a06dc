//! The kernel interfaces of a cluster: namespaces, mounts, cgroups, links, and processes.
//!
//! This crate must not know components, plans, settings or plugins, nor the contents of a cluster's
//! directory. It gets values, and commands and processes as the contract defines them. Nearly all
//! `unsafe` code of the host is here.

pub mod cgroups;
mod cluster_dir;
mod host_lock;
pub mod mountinfo;
pub mod network;
pub mod own_thread;
pub mod placement;
pub mod proc_stat;
pub mod process;
pub mod sandbox;
mod write;

pub use cluster_dir::{ClusterDir, INSIDE, REMOVING_FILE, STATE_FILE};
pub use host_lock::HostLock;
