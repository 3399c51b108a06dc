//! Injects faults in real clusters and checks the invariants: `down` works, nothing remains, and
//! nothing is lost without a report.
//!
//! Each part runs in its own network namespace in place of the host's, in parallel with others.
//! docs/faults.md describes the faults, how to repeat a run, and the report.

mod binaries;
mod calls;
mod clock;
mod command;
mod component;
mod crowd;
mod disk;
mod invariants;
mod neighbour;
mod process;
mod remains;
mod state_files;
mod suite;

use kubernix_tests::{Check, EXCLUSIVE, ISOLATED, Lane, Parts, Test, isolated, once, run_tests};
use suite::Options;

/// Defines test functions that fail if their part fails.
macro_rules! tests {
    ($($name:ident: $play:path),+ $(,)?) => {
        $(fn $name(_: Parts) {
            $play().unwrap_or_else(|error| panic!("{error}"));
        })+
    };
}

/// A test with its path.
macro_rules! test {
    ($name:ident) => {
        (concat!("faults::", stringify!($name)), $name as Check)
    };
}

tests! {
    processes_are_killed_stopped_and_starved: process::at_every_moment,
    commands_are_interrupted_and_killed: command::interrupted_and_killed,
    state_files_of_a_stopped_cluster_are_damaged: state_files::of_a_stopped_cluster,
    state_files_of_a_running_cluster_are_damaged: state_files::of_a_running_cluster,
    binaries_are_missing_or_busy: binaries::binaries_are_missing_or_busy,
    calls_fail: calls::calls_fail,
    a_disk_is_full: disk::a_disk_is_full,
    an_unprivileged_neighbour_disturbs: neighbour_in_its_network,
    the_clock_jumps: clock::the_clock_jumps,
    many_commands_at_once: crowd::ups_and_downs_at_once,
}

fn neighbour_in_its_network() -> Result<(), String> {
    isolated(neighbour::holds_every_lock_and_floods_every_port)
}

fn main() {
    neighbour::run_if_requested();
    // In the order of their start: the long ones first. The neighbour runs alone, because it would
    // delay the other parts, and their boots would delay its commands.
    let parts: &[(&str, Lane, (&str, Check))] = &[
        (process::PART, Lane::isolated(1, 2), test!(processes_are_killed_stopped_and_starved)),
        (command::PART, Lane::isolated(1, 2), test!(commands_are_interrupted_and_killed)),
        (state_files::STOPPED, ISOLATED, test!(state_files_of_a_stopped_cluster_are_damaged)),
        (state_files::RUNNING, ISOLATED, test!(state_files_of_a_running_cluster_are_damaged)),
        (binaries::PART, ISOLATED, test!(binaries_are_missing_or_busy)),
        (calls::PART, ISOLATED, test!(calls_fail)),
        (disk::PART, ISOLATED, test!(a_disk_is_full)),
        (clock::PART, ISOLATED, test!(the_clock_jumps)),
        (crowd::PART, Lane::isolated(4, 4), test!(many_commands_at_once)),
        (neighbour::PART, EXCLUSIVE, test!(an_unprivileged_neighbour_disturbs)),
    ];
    let wanted = parts.iter().filter(|(part, ..)| Options::get().wants_part(part));
    let tests: Vec<Test> = wanted.flat_map(|(_, lane, test)| once(*lane, &[*test])).collect();
    let conclusion = run_tests(tests, |_| ());
    suite::close();
    conclusion.exit();
}
