//! The engine of KuberNix: takes components and settings, and runs the components' plans inside a
//! sandbox of kernel namespaces that belongs to the cluster.

pub mod api_client;
pub mod boot;
pub mod cluster;
pub mod control;
pub mod cri_client;
mod digits;
pub mod engine;
pub mod events;
pub mod graph;
pub mod images;
pub mod kubeconfig;
pub mod pki;
pub mod probe;
pub mod root_dir;
pub mod settings;
pub mod snapshot;

pub use kubernix_plugins as plugins;
pub use kubernix_sandbox::{ClusterDir, HostLock, cgroups, network, placement, process, sandbox};
pub(crate) use kubernix_sandbox::{mountinfo, own_thread, proc_stat};
pub use kubernix_toolchain as toolchain;
pub use kubernix_toolchain::text::chain::chain;
pub(crate) use kubernix_toolchain::text::{self, chain};
