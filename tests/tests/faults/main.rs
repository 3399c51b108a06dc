//! Faults in real clusters, held against one law: `down` works, nothing remains, and nothing is lost without a word.
//!
//! All of it happens in a network namespace of its own, which stands for the host's. docs/faults.md says what is injected, how a run is played again, and how its report reads.

mod clock;
mod command;
mod crowd;
mod injected;
mod law;
mod neighbour;
mod process;
mod remains;
mod state_files;
mod suite;

use kubernix_testkit::report_skip;
use kubernix_tests::network::World;
use kubernix_tests::{run_in_order, timed, unfit};
use libtest_mimic::Trial;
use suite::Options;

/// A part and the function that plays it.
type Part = (&'static str, &'static str, fn() -> Result<(), String>);

fn main() {
    neighbour::take_over();
    let parts: &[Part] = &[
        (process::PART, "processes_are_killed_stopped_and_starved", process::at_every_moment),
        (command::PART, "commands_are_interrupted_and_killed", command::interrupted_and_killed),
        (state_files::STOPPED, "state_files_of_a_stopped_cluster_are_damaged", state_files::of_a_stopped_cluster),
        (state_files::RUNNING, "state_files_of_a_running_cluster_are_damaged", state_files::of_a_running_cluster),
        (injected::BINARIES, "binaries_go_and_come", injected::binaries_go_and_come),
        (injected::CALLS, "calls_fail", injected::calls_fail),
        (injected::DISK, "a_disk_is_full", injected::a_disk_is_full),
        (neighbour::PART, "a_neighbour_is_in_the_way", neighbour::holds_every_lock_and_floods_every_port),
        (clock::PART, "the_clock_is_moved", clock::the_clock_is_moved),
        (crowd::PART, "many_commands_at_once", crowd::ups_and_downs_at_once),
    ];
    let trials: Vec<Trial> = parts.iter().map(|part| trial(*part)).collect();
    let conclusion = if unfit().is_some() {
        run_in_order(trials)
    } else {
        // With a way out, so that there is an uplink whose end can be looked at. Nothing uses it.
        World::new("", true).in_host(|| run_in_order(trials))
    };
    suite::close();
    conclusion.exit();
}

fn trial((part, name, play): Part) -> Trial {
    let skipped = !Options::get().wants_part(part);
    Trial::test(name, move || {
        match unfit() {
            Some(why) => report_skip(name, why),
            None => timed(name, play)?,
        }
        Ok(())
    })
    .with_ignored_flag(skipped)
}
