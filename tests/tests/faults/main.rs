//! Faults in real clusters, held against one law: `down` works, nothing remains, and nothing is lost without a word.
//!
//! docs/faults.md says what is injected, how a run is played again, and how its report reads.

mod command;
mod law;
mod process;
mod suite;

use kubernix_tests::{run_in_order, unfit};
use libtest_mimic::Trial;
use suite::Options;

/// A part and the function that plays it.
type Part = (&'static str, &'static str, fn() -> Result<(), String>);

fn main() {
    let parts: &[Part] = &[
        (process::PART, "processes_are_killed_stopped_and_starved", process::at_every_moment),
        (command::PART, "commands_are_interrupted_and_killed", command::interrupted_and_killed),
    ];
    let conclusion = run_in_order(parts.iter().map(|part| trial(*part)).collect());
    suite::close();
    conclusion.exit();
}

fn trial((part, name, play): Part) -> Trial {
    let skipped = !Options::get().wants_part(part);
    Trial::test(name, move || {
        match unfit() {
            Some(why) => eprintln!("SKIPPED: {name}: {why}"),
            None => play()?,
        }
        Ok(())
    })
    .with_ignored_flag(skipped)
}
