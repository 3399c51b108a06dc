//! Commands are interrupted and killed at moments that the seed chooses. Afterwards the next one
//! works, commands agree, and what runs is what is on disk.

use super::law::{COMMAND, Law};
use super::suite::{self, Options, Played, attempt};
use kubernix_tests::faults::plan::{Interrupt, Work, interrupts};
use kubernix_tests::faults::report::Record;
use kubernix_tests::{Outcome, free_port, until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What `--faults` calls this part.
pub const PART: &str = "command";
/// How long a change that goes on without its command may take.
const CHANGE: Duration = Duration::from_secs(90);

/// All commands once, several times in a long run.
pub fn interrupted_and_killed() -> Result<(), String> {
    let options = Options::get();
    let mut rng = options.rng(PART);
    let (clusters, count) = if options.long { (10, 18) } else { (1, 9) };
    let plans = (0..clusters).map(|number| interrupts(&mut rng, number * (count + 1), count));
    let budget = Duration::from_secs(if options.long { 600 } else { 15 });
    suite::play_all(PART, plans, budget, |one: &Interrupt| one.number, play)
}

/// Plays interrupts on one cluster. The index of the one that broke the law, and how.
fn play(plan: &[Interrupt], noted: bool) -> Played {
    let mut law = Law::new("command");
    let booted = attempt(|| {
        law.up().ok();
        law.furnish();
    });
    booted.map_err(|why| (0, why))?;
    for (at, one) in plan.iter().enumerate() {
        let done = attempt(|| {
            interrupt(&law, one);
            if one.command.is_change() {
                law.comes_back();
            }
        });
        if noted {
            let failure = done.as_ref().err().cloned();
            suite::record(Record { part: PART, fault: one.to_string(), injected: 1, healed: None, failure });
        }
        done.map_err(|why| (at, why))?;
    }
    attempt(|| law.end()).map_err(|why| (plan.len() - 1, why))
}

/// Begins a command, ends it, and looks at what is left of it.
fn interrupt(law: &Law, one: &Interrupt) {
    let args = command(law, one);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut work = law.cluster.working(&mut law.cluster.command(&args));
    let begun = Instant::now();
    while work.is_at_work() && begun.elapsed() < Duration::from_millis(one.after) {
        sleep(Duration::from_millis(2));
    }
    if work.is_at_work() {
        work.signal(if one.kill { Signal::SIGKILL } else { Signal::SIGINT });
    }
    let outcome = work.end_within(COMMAND);
    // Killed as it was meant to be.
    if outcome.code != 137 || !one.kill {
        law.is_no_accident(&outcome);
    }
    if one.command == Work::Down {
        let again = law.cluster.run(&["down"]);
        assert!([0, 5].contains(&again.code), "`down` after a `down` that was ended: {again:?}");
        law.is_gone();
        return;
    }
    the_next_command_works(law);
    law.agrees();
    law.is_kept();
}

/// Whatever the cluster's state is: it settles, `up` continues it where it stopped, and a change is
/// accepted.
fn the_next_command_works(law: &Law) {
    law.carries_on();
    let port = format!("127.0.0.1:{}:30081", free_port());
    let changed = until("change that is accepted", CHANGE, || {
        let outcome: Outcome = law.cluster.run(&["port", "add", &port]);
        // The change of the command that was ended may go on.
        if outcome.code == 4 { Err(outcome.stderr) } else { Ok(outcome) }
    });
    changed.ok();
    let ports = law.cluster.json(&["port", "list"]).to_string();
    assert!(ports.contains(&port), "`port list` lacks {port}: {ports}");
    law.cluster.run(&["port", "remove", &port]).ok();
}

/// A command's arguments, after what it needs was made.
fn command(law: &Law, one: &Interrupt) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let addon = law.cluster.base().join("addon.yaml");
    let addon = addon.to_string_lossy();
    match one.command {
        Work::Up => {
            law.cluster.run(&["stop"]).ok();
            words(&["up"])
        }
        Work::NodeAdd => words(&["node", "add"]),
        Work::NodeRemove => {
            let nodes = law.cluster.json(&["node", "list"]).as_array().cloned().unwrap_or_default();
            let name = match &nodes[..] {
                [_, .., last] => last["name"].as_str().expect("a name").to_owned(),
                _ => {
                    let added = law.cluster.json(&["node", "add"]);
                    added["nodes"][0].as_str().expect("a name").to_owned()
                }
            };
            words(&["node", "remove", &name])
        }
        Work::Replace => words(&["component", "replace", "--set", &format!("kubelet.max-pods={}", 50 + one.number)]),
        Work::AddonAdd | Work::AddonRemove => {
            let text = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "addon", "namespace": "default" },
            });
            fs::write(&*addon, text.to_string()).expect("a manifest");
            if one.command == Work::AddonAdd {
                return words(&["addon", "add", &addon]);
            }
            let added = law.cluster.run(&["addon", "add", &addon]);
            // An earlier one of the plan may have added it.
            assert!([0, 2].contains(&added.code), "{added:?}");
            words(&["addon", "remove", &addon])
        }
        Work::PortAdd => words(&["port", "add", &format!("127.0.0.1:{}:30082", free_port())]),
        Work::Save => {
            let file = law.cluster.base().join(format!("saved-{}.tar.gz", one.number));
            words(&["snapshot", "save", &file.to_string_lossy()])
        }
        Work::Stop => words(&["stop"]),
        Work::Down => words(&["down"]),
    }
}
