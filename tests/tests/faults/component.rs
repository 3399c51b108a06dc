//! Finds, kills and restores a component of a cluster.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster};
use kubernix_tests::{until, working_instance};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The PID of a component that is ready.
pub fn pid(checked: &CheckedCluster, component: &str) -> Pid {
    until(&format!("{component} that runs"), COMMAND_TIMEOUT, || {
        let status = checked.status().1;
        let ready = working_instance(&status, component).filter(|(instance, _)| instance["state"] == "ready");
        ready.map(|(_, pid)| pid).ok_or_else(|| status.to_string())
    })
}

/// Restores a component that an earlier case left broken, so that cases are independent.
pub fn repair(checked: &CheckedCluster, component: &str) {
    let state = checked.status().1["state"].clone();
    if state == "stopped" {
        checked.up().ok();
    } else if state != "running" {
        checked.cluster.run(&["component", "replace", component, component]).ok();
    }
}

/// Kills the main process of a component.
pub fn kill_component(checked: &CheckedCluster, component: &str) {
    kill(pid(checked, component), Signal::SIGKILL).expect("it is there");
}
