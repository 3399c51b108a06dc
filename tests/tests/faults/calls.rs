//! Injects errors of process starts and file writes by a library that is loaded before libc.

use super::component::{kill_component, repair};
use super::invariants::{COMMAND_TIMEOUT, CheckedCluster};
use super::suite::{Cases, Options, attempt, library};
use kubernix_tests::faults::rules::{Rule, Rules};
use kubernix_tests::{free_port, run_for, until};
use nix::libc;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The name of this part in `--faults`.
pub const PART: &str = "call";

/// The operation during which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    Boot,
    Change,
    Restart,
}

/// The path of the cluster's root directory inside a sandbox.
const INSIDE: &str = "/var/lib/kubernix-cluster";
/// Stands for all paths in the cluster's root directory.
const ROOT: &str = "ROOT";

/// A call, the paths for which it fails, its error as number and text, and the operations during
/// which it fails.
type Kind<'a> = (&'a str, &'a str, (i32, &'a str), &'a [During]);

/// The calls that fail in the command, the keeper and the init, with the expected error text.
fn failing(root: &Path) -> Vec<(Rule, &'static str, During)> {
    use During::{Boot, Change, Restart};
    const AGAIN: (i32, &str) = (libc::EAGAIN, "Resource temporarily unavailable");
    const BUSY: (i32, &str) = (libc::ETXTBSY, "Text file busy");
    const FULL: (i32, &str) = (libc::ENOSPC, "No space left on device");
    const BROKEN: (i32, &str) = (libc::EIO, "Input/output error");
    let kinds: [Kind<'_>; 9] = [
        ("spawn", "*", AGAIN, &[Boot, Change, Restart]),
        ("spawn", "*", BUSY, &[Boot, Change, Restart]),
        // Only our own processes are started by fork.
        ("fork", "*", AGAIN, &[Boot]),
        ("open", ROOT, FULL, &[Boot, Change, Restart]),
        ("open", ROOT, BROKEN, &[Boot, Change, Restart]),
        ("write", ROOT, FULL, &[Boot, Change, Restart]),
        ("rename", ROOT, BROKEN, &[Boot, Change, Restart]),
        ("sync", ROOT, BROKEN, &[Boot, Change]),
        ("mkdir", ROOT, FULL, &[Boot]),
    ];
    let mut all = Vec::new();
    for (call, glob, (errno, error), moments) in kinds {
        for during in moments {
            // A restart makes few calls. A boot makes many, and not always the first ones should
            // fail.
            let permille = if *during == Restart { 1000 } else { 300 };
            // The command uses the path on the host, the init the fixed path in the sandbox.
            let seen = if *during == During::Boot { format!("{}*", root.display()) } else { format!("{INSIDE}*") };
            let glob = if glob == ROOT { seen } else { glob.to_owned() };
            all.push((Rule { call, glob, errno, permille, count: 3 }, error, *during));
        }
    }
    all
}

/// Whether the cluster runs and its init has loaded the library.
fn has_library(checked: &CheckedCluster) -> bool {
    let status = checked.status().1;
    let environment = status["own_pids"][1].as_i64().map(|init| fs::read(format!("/proc/{init}/environ")));
    let environment = environment.and_then(Result::ok).unwrap_or_default();
    status["state"] != "stopping" && String::from_utf8_lossy(&environment).contains("FAULT_RULES=")
}

/// Lets calls fail while a cluster boots, changes and restarts a component.
pub fn calls_fail() -> Result<(), String> {
    let options = Options::get();
    let mut checked = CheckedCluster::new("call");
    let failing = failing(&checked.cluster.root());
    let plain: Vec<Rule> = failing.iter().map(|(rule, ..)| rule.clone()).collect();
    let rules = Rules::write(checked.cluster.base().join("rules"), options.seed, &plain);
    let library = library();
    let run_with = |command: &mut Command| run_for(rules.apply(command, &library), COMMAND_TIMEOUT);
    let mut all = Cases::new(PART);

    let mut chosen: Vec<usize> = (0..failing.len()).collect();
    if !options.long && !options.replays() {
        options.rng(PART).shuffle(&mut chosen);
        chosen.truncate(10);
    }
    // Boots first, each of a cluster that doesn't exist yet.
    chosen.sort_by_key(|index| (failing[*index].2, *index));
    for index in chosen {
        let (rule, error, during) = &failing[index];
        all.case(index, format!("{} fails with `{error}` during {during:?}", rule.call), || {
            if *during != During::Boot {
                // A fault of an earlier case may have ended the cluster, and then `up` without the
                // library continued it.
                if !has_library(&checked) {
                    checked.cluster.run(&["stop"]);
                    run_with(&mut checked.up_command()).ok();
                }
                if !checked.has_objects() {
                    checked.create_objects();
                }
                repair(&checked, "scheduler");
            }
            let before = rules.hits();
            rules.arm(index);
            let done = attempt(|| match during {
                During::Boot => checked.check_error(&run_with(&mut checked.up_command()), &[error]),
                During::Change => {
                    let port = format!("127.0.0.1:{}:30084", free_port());
                    let changes = [&["port", "add", &port][..], &["component", "replace", "scheduler", "scheduler"]];
                    for change in changes {
                        checked.check_error(&run_with(&mut checked.cluster.command(change)), &[error]);
                    }
                }
                During::Restart => {
                    kill_component(&checked, "scheduler");
                    // Earlier cases have increased the back-off, up to thirty seconds.
                    until("call that fails", Duration::from_secs(60), || {
                        if rules.hits() > before { Ok(()) } else { Err("no call failed".to_owned()) }
                    });
                }
            });
            rules.disarm();
            let hits = rules.hits() - before;
            if let Err(why) = done {
                panic!("{why}");
            }
            if *during == During::Boot {
                checked.destroy();
                checked.check_nothing_runs();
                return (hits, None);
            }
            assert!(*during != During::Restart || hits > 0, "no call failed: the library doesn't reach the init");
            let healed = checked.check_recovery();
            checked.check_consistency();
            (hits, Some(healed))
        });
    }
    let last = failing.len();
    all.case(last, "`stop` and `up` restore the same cluster", || {
        if checked.has_objects() {
            repair(&checked, "scheduler");
            checked.check_stop_and_up();
            checked.down();
        }
        (0, None)
    });
    all.end()
}
