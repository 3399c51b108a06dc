//! The clock of the host is moved between two boots. That is told, and it is never a reason for a
//! new CA.
//!
//! Only `kubernix` itself sees another time: components are started with an environment of their
//! own.

use super::law::{COMMAND, Law};
use super::suite::{Cases, Options, library};
use kubernix_tests::faults::damage::{is_lasting, state_files};
use kubernix_tests::run_for;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// What `--faults` calls this part.
pub const PART: &str = "clock";

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// By how much, and whether certificates are then not valid yet, or not any more.
const MOVES: [(i64, &str); 4] = [
    (-2 * HOUR, "2 hours behind"),
    (2 * HOUR, "2 hours ahead"),
    (-400 * DAY, "400 days behind"),
    (400 * DAY, "400 days ahead"),
];

/// The keys and certificates of all CAs, and the keys that data is encrypted or signed with.
fn lasting(law: &Law) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = state_files(&law.cluster.root().join("pki")).into_iter().filter(|path| is_lasting(path));
    let files: BTreeMap<_, _> = files.map(|path| (path.clone(), fs::read(&path).expect("a key"))).collect();
    assert!(files.len() > 5, "only {:?}", files.keys());
    files
}

/// Boots with a clock that is behind and ahead, and then with the right one.
pub fn the_clock_is_moved() -> Result<(), String> {
    let mut law = Law::new("clock");
    law.up().ok();
    law.furnish();
    law.cluster.run(&["stop"]).ok();
    let library = library();
    let mut all = Cases::new(PART);
    let options = Options::get();
    // With certificates of the far future nothing boots, which takes as long as a boot may.
    let count = if options.long || options.replays() { MOVES.len() } else { MOVES.len() - 1 };
    for (number, (seconds, moved)) in MOVES.into_iter().enumerate().take(count) {
        all.case(number, format!("the clock is {moved}"), || {
            let before = lasting(&law);
            let mut up = law.up_command();
            up.env("LD_PRELOAD", &library).env("FAULT_CLOCK", seconds.to_string());
            let outcome = run_for(&mut up, COMMAND);
            let again = || {
                let state = law.status().1["state"].clone();
                if state != "stopped" {
                    law.cluster.run(&["stop"]).ok();
                }
                // What was made ahead of time isn't valid now; that is said, and made anew.
                law.up().ok();
                law.healed();
                law.cluster.run(&["stop"]).ok();
            };
            let said = outcome.stderr.to_lowercase();
            let lasted = lasting(&law);
            let recovered = super::suite::attempt(again);
            law.is_no_accident(&outcome);
            let changed: Vec<_> = before.iter().filter(|(path, key)| lasted.get(*path) != Some(key)).collect();
            let changed: Vec<_> = changed.iter().map(|(path, _)| path).collect();
            assert!(changed.is_empty(), "made anew because the clock is {moved}: {changed:?}\n{}", outcome.stderr);
            assert!(seconds > 0 || said.contains("clock"), "no word of the clock that is {moved}:\n{}", outcome.stderr);
            if let Err(why) = recovered {
                panic!("with the right clock again: {why}");
            }
            assert_eq!(before.keys().collect::<Vec<_>>(), lasting(&law).keys().collect::<Vec<_>>());
            assert!(before == lasting(&law), "a CA was made anew when the clock was right again");
            (1, None)
        });
    }
    law.down();
    all.end()
}
