//! The engine of KuberNix: takes components and settings, and runs the components' plans inside a sandbox of kernel
//! namespaces that belongs to the cluster.

pub mod api;
pub mod boot;
mod chain;
pub mod cluster;
mod cluster_dir;
pub mod control;
pub mod cri;
mod digits;
pub mod engine;
pub mod events;
pub mod graph;
mod host_lock;
pub mod images;
pub mod kubeconfig;
mod mountinfo;
pub mod network;
mod own_thread;
pub mod pki;
pub mod placement;
pub mod plugins;
pub mod probe;
mod proc_stat;
pub mod process;
pub mod root;
pub mod sandbox;
pub mod settings;
pub mod snapshot;
pub mod toolchain;
mod write;

pub use chain::chain;
pub use cluster_dir::ClusterDir;
pub use host_lock::HostLock;
