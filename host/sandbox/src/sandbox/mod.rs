//! The sandbox: kernel namespaces that belong to one cluster. The kernel cleans up when they end.
//!
//! It has two processes. The *keeper* stays in the host's namespaces, holds the cluster's lock and
//! removes its cgroups. The *init* is PID 1 of new mount, PID, network, UTS and IPC namespaces and
//! runs the engine. When the init ends, the kernel ends every process, mount, link and netfilter
//! rule with it. When the keeper is killed, the init ends everything and cleans up.
//!
//! This module must not know components, roles or images.

pub mod carriers;
mod channel;
mod ending;
pub mod enter;
pub mod holders;
mod identity;
mod init;
mod keeper;
pub mod lock;
mod mounts;
mod names;
pub mod node;
mod privileged;
pub mod process;
mod program;
mod traces;

pub use channel::{BootChannel, ChannelEnd, Order};
pub use ending::Ending;
pub use identity::{ProcessId, SandboxIds};
pub use init::{Inside, SandboxSetup, enter_sandbox};
pub use keeper::{Keeper, KeeperStart, run as run_keeper, start as start_keeper};
pub use names::{INIT, KEEPER, NODE};
pub use privileged::{HostRoot, Privileged};
pub use program::PROGRAM;
pub use traces::Traces;

use crate::HostLock;
