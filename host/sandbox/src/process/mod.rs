//! Spawns, watches, reaps and stops the processes of a cluster. Only this module of the host starts
//! them.
//!
//! It runs in the cluster's init. The init is PID 1 of its namespace and so the parent of orphans:
//! one reaper waits for every child and hands out the statuses. This module must not know
//! components, roles or probes.

mod exit;
mod log_tail;
pub mod oom_shim;
mod pause_groups;
mod priority;
mod privileges;
mod reaper;
mod run_file;
mod spawn;
mod spawn_target;
mod stop;

pub use exit::Exit;
pub use log_tail::tail;
pub use pause_groups::PausedGroups;
pub use priority::{reset_all_priorities, set_idle_priority, set_normal_priority};
pub use privileges::{Account, PrivilegeError, Privileges};
pub use reaper::Reaper;
pub use run_file::RunFile;
pub use spawn::{Launch, Running, SpawnError, Spawner};
pub use spawn_target::{Local, SpawnTarget};
pub use stop::{kill_group, request_stop};
