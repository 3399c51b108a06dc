//! Moves the clock of the host between two boots. `up` reports it, and never creates a new CA
//! because of it.
//!
//! Only `kubernix` itself sees another time, because components have their own environment.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster};
use super::suite::{Cases, Options, library};
use kubernix_tests::faults::damage::{is_lasting, state_files};
use kubernix_tests::run_for;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The name of this part in `--faults`.
pub const PART: &str = "clock";

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The shifts in seconds: certificates are then not valid yet, or not valid any more.
const MOVES: [(i64, &str); 4] = [
    (-2 * HOUR, "2 hours behind"),
    (2 * HOUR, "2 hours ahead"),
    (-400 * DAY, "400 days behind"),
    (400 * DAY, "400 days ahead"),
];

/// The keys and certificates of all CAs, and the keys for encryption and signatures.
fn lasting(checked: &CheckedCluster) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = state_files(&checked.cluster.root().join("pki")).into_iter().filter(|path| is_lasting(path));
    let files: BTreeMap<_, _> = files.map(|path| (path.clone(), fs::read(&path).expect("a key"))).collect();
    assert!(files.len() > 5, "only {:?}", files.keys());
    files
}

/// Boots with a clock that is behind or ahead, and then with the right one.
pub fn the_clock_jumps() -> Result<(), String> {
    let mut checked = CheckedCluster::new("clock");
    checked.up().ok();
    checked.create_objects();
    checked.cluster.run(&["stop"]).ok();
    let library = library();
    let mut all = Cases::new(PART);
    let options = Options::get();
    // With certificates that aren't valid yet, the boot fails at its time limit.
    let count = if options.long || options.replays() { MOVES.len() } else { MOVES.len() - 1 };
    for (number, (seconds, moved)) in MOVES.into_iter().enumerate().take(count) {
        all.case(number, format!("the clock is {moved}"), || {
            let before = lasting(&checked);
            let mut up = checked.up_command();
            up.env("LD_PRELOAD", &library).env("FAULT_CLOCK", seconds.to_string());
            let outcome = run_for(&mut up, COMMAND_TIMEOUT);
            let again = || {
                let state = checked.status().1["state"].clone();
                if state != "stopped" {
                    checked.cluster.run(&["stop"]).ok();
                }
                // Certificates of the future aren't valid now: `up` reports that and creates them
                // again.
                checked.up().ok();
                checked.wait_until_healthy();
                checked.cluster.run(&["stop"]).ok();
            };
            let stderr = outcome.stderr.to_lowercase();
            let lasted = lasting(&checked);
            let recovered = super::suite::attempt(again);
            checked.check_outcome(&outcome);
            let changed: Vec<_> = before.iter().filter(|(path, key)| lasted.get(*path) != Some(key)).collect();
            let changed: Vec<_> = changed.iter().map(|(path, _)| path).collect();
            assert!(changed.is_empty(), "created again because the clock is {moved}: {changed:?}\n{}", outcome.stderr);
            assert!(
                seconds > 0 || stderr.contains("clock"),
                "no message about the clock that is {moved}:\n{}",
                outcome.stderr
            );
            if let Err(why) = recovered {
                panic!("with the right clock again: {why}");
            }
            assert_eq!(before.keys().collect::<Vec<_>>(), lasting(&checked).keys().collect::<Vec<_>>());
            assert!(before == lasting(&checked), "a CA was created again when the clock was right again");
            (1, None)
        });
    }
    checked.down();
    all.end()
}
