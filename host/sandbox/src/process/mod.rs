//! Processes of a cluster: started, watched, reaped and ended. The only module of the engine that
//! starts programs.
//!
//! It runs inside the cluster's init, which is PID 1 of its namespace: orphans end up here, so one
//! reaper waits for every child and hands statuses out. This module must not know components, roles
//! or probes.

mod exit;
mod log_tail;
pub mod oom_shim;
mod pause_groups;
mod spawn_target;
mod priority;
mod privileges;
mod reaper;
mod run_file;
mod spawn;
mod stop;

pub use exit::Exit;
pub use log_tail::tail;
pub use pause_groups::PausedGroups;
pub use spawn_target::{Local, SpawnTarget};
pub use priority::{reset_all_priorities, set_normal_priority, set_idle_priority};
pub use privileges::{Account, PrivilegeError, Privileges};
pub use reaper::Reaper;
pub use run_file::RunFile;
pub use spawn::{Launch, Running, SpawnError, Spawner};
pub use stop::{kill_group, request_stop};
