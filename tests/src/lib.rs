//! The library of the end-to-end tests: clusters that are always removed, commands and waits with
//! time limits, and snapshots of the host that show what a cluster changed or left.
//!
//! Everything runs the built `kubernix`, as a user does. It must not know how `kubernix` works
//! inside.

mod catalogue;
mod cluster;
mod command;
pub mod faults;
pub mod golden;
mod host;
mod image;
mod lanes;
mod listing;
pub mod network;
mod parts;
mod pods;
mod running;
mod skip;
pub mod token;
mod trials;
mod wait;

pub use catalogue::{DATASTORES, Datastore, RUNTIMES, Runtime};
pub use cluster::{Base, Cluster, NO_ADDONS, main_process, working_instance};
pub use command::{Background, Outcome, binary, copy_environment, finish, kubernix, program, run, run_for};
pub use host::{Process, Snapshot, descends, processes, processes_below, processes_of};
pub use image::{IMAGE, busybox, docker_archive, oci_archive};
pub use lanes::{EXCLUSIVE, FIXTURE, ISOLATED, Lane, SHARED, room_for_clusters};
pub use listing::Listing;
pub use network::free_port;
pub use parts::Parts;
pub use pods::{alive, pod, pulled_pod};
pub use running::RunningCommand;
pub use skip::{unfit, unfit_for_mounts};
pub use trials::{Check, Test, each, isolated, once, run_tests, runs_all};
pub use wait::{for_none, until};
