//! Interrupts and kills commands at moments that the seed chooses. Afterwards the next command
//! works, commands agree, and the running cluster matches its saved state.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster};
use super::suite::{self, Options, Played, attempt};
use kubernix_tests::faults::plan::{Interrupt, Work, interrupts};
use kubernix_tests::faults::report::Record;
use kubernix_tests::{Outcome, free_port, until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name of this part in `--faults`.
pub const PART: &str = "command";
/// The time limit of a change that continues without its command.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(90);

/// Interrupts all commands once, in a long run several times.
pub fn interrupted_and_killed() -> Result<(), String> {
    let options = Options::get();
    let mut rng = options.rng(PART);
    let (clusters, count) = if options.long { (10, 18) } else { (1, 9) };
    let plans = (0..clusters).map(|number| interrupts(&mut rng, number * (count + 1), count));
    let budget = Duration::from_secs(if options.long { 600 } else { 15 });
    suite::play_all(PART, plans, budget, |one: &Interrupt| one.number, play)
}

/// Interrupts commands of one cluster. An error has the index of the interrupt that failed, and the
/// reason.
fn play(plan: &[Interrupt], noted: bool) -> Played {
    let mut checked = CheckedCluster::new("command");
    let booted = attempt(|| {
        checked.up().ok();
        checked.create_objects();
    });
    booted.map_err(|why| (0, why))?;
    for (at, one) in plan.iter().enumerate() {
        let done = attempt(|| {
            interrupt(&checked, one);
            if one.command.is_change() {
                checked.check_stop_and_up();
            }
        });
        if noted {
            let failure = done.as_ref().err().cloned();
            suite::record(Record { part: PART, fault: one.to_string(), injected: 1, healed: None, failure });
        }
        done.map_err(|why| (at, why))?;
    }
    attempt(|| checked.destroy()).map_err(|why| (plan.len() - 1, why))
}

/// Starts a command, ends it, and checks the cluster.
fn interrupt(checked: &CheckedCluster, one: &Interrupt) {
    let args = command(checked, one);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut work = checked.cluster.start_command(&mut checked.cluster.command(&args));
    let started = Instant::now();
    while work.is_running() && started.elapsed() < Duration::from_millis(one.after) {
        sleep(Duration::from_millis(2));
    }
    if work.is_running() {
        work.signal(if one.kill { Signal::SIGKILL } else { Signal::SIGINT });
    }
    let outcome = work.wait_within(COMMAND_TIMEOUT);
    // It was killed as planned.
    if outcome.code != 137 || !one.kill {
        checked.check_outcome(&outcome);
    }
    if one.command == Work::Down {
        let again = checked.cluster.run(&["down"]);
        assert!([0, 5].contains(&again.code), "`down` after a `down` that was ended: {again:?}");
        checked.check_removed();
        return;
    }
    the_next_command_works(checked);
    checked.check_consistency();
    checked.check_objects();
}

/// Checks that the cluster recovers from any state: `up` continues it if it stopped, and it accepts
/// a change.
fn the_next_command_works(checked: &CheckedCluster) {
    checked.check_recovery();
    let port = format!("127.0.0.1:{}:30081", free_port());
    let changed = until("change that is accepted", CHANGE_TIMEOUT, || {
        let outcome: Outcome = checked.cluster.run(&["port", "add", &port]);
        // The change of the interrupted command may continue.
        if outcome.code == 4 { Err(outcome.stderr) } else { Ok(outcome) }
    });
    changed.ok();
    let ports = checked.cluster.json(&["port", "list"]).to_string();
    assert!(ports.contains(&port), "`port list` lacks {port}: {ports}");
    checked.cluster.run(&["port", "remove", &port]).ok();
}

/// Creates what a command needs and returns its arguments.
fn command(checked: &CheckedCluster, one: &Interrupt) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let addon = checked.cluster.base().join("addon.yaml");
    let addon = addon.to_string_lossy();
    match one.command {
        Work::Up => {
            checked.cluster.run(&["stop"]).ok();
            words(&["up"])
        }
        Work::NodeAdd => words(&["node", "add"]),
        Work::NodeRemove => {
            let nodes = checked.cluster.json(&["node", "list"]).as_array().cloned().unwrap_or_default();
            let name = match &nodes[..] {
                [_, .., last] => last["name"].as_str().expect("a name").to_owned(),
                _ => {
                    let added = checked.cluster.json(&["node", "add"]);
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
            let added = checked.cluster.run(&["addon", "add", &addon]);
            // An earlier command of the plan may have added it.
            assert!([0, 2].contains(&added.code), "{added:?}");
            words(&["addon", "remove", &addon])
        }
        Work::PortAdd => words(&["port", "add", &format!("127.0.0.1:{}:30082", free_port())]),
        Work::Save => {
            let file = checked.cluster.base().join(format!("saved-{}.tar.gz", one.number));
            words(&["snapshot", "save", &file.to_string_lossy()])
        }
        Work::Stop => words(&["stop"]),
        Work::Down => words(&["down"]),
    }
}
