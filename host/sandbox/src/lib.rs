//! What a cluster asks of the kernel: namespaces, mounts, cgroups, links, and processes.
//!
//! This crate must not know components, plans, settings or plugins, nor what is in a cluster's
//! directory. It gets values, and commands and processes in the form of the contract. Nearly all
//! `unsafe` of the host is here.

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
