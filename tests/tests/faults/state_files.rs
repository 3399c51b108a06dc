//! Damages every state file of a cluster in every way before every command. The command works as
//! without damage, or its message names the file and a solution. A key is never replaced without a
//! report, and `down` always works.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster};
use super::suite::{Cases, Options};
use kubernix_tests::faults::damage::{Damage, is_lasting, state_files};
use kubernix_tests::{Outcome, free_port, program, run, run_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name in `--faults` of the part with files of a stopped cluster.
pub const STOPPED: &str = "stopped";
/// The name in `--faults` of the part with files of a running cluster.
pub const RUNNING: &str = "running";

/// The command after the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Up,
    Status,
    Stop,
    Down,
    List,
    Change,
}

impl Request {
    const ALL: [Self; 6] = [Self::Up, Self::Status, Self::Stop, Self::Down, Self::List, Self::Change];

    /// Whether it boots or ends a cluster, so that it takes seconds and needs its own cluster.
    fn is_costly(self, running: bool) -> bool {
        if running { matches!(self, Self::Stop | Self::Down) } else { self == Self::Up }
    }

    fn run(self, checked: &CheckedCluster) -> Outcome {
        let port = format!("127.0.0.1:{}:30083", free_port());
        let mut command = match self {
            Self::Up => checked.up_command(),
            Self::Status => checked.cluster.command(&["status"]),
            Self::Stop => checked.cluster.command(&["stop"]),
            Self::Down => checked.cluster.command(&["down"]),
            Self::List => checked.cluster.command(&["list"]),
            Self::Change => checked.cluster.command(&["port", "add", &port]),
        };
        run_for(&mut command, COMMAND_TIMEOUT)
    }
}

/// A file, its damage and the command after it.
struct Case {
    number: usize,
    file: PathBuf,
    damage: Damage,
    request: Request,
}

impl Case {
    fn fault(&self, root: &Path) -> String {
        let file = self.file.strip_prefix(root).unwrap_or(&self.file);
        format!("{} {}, then {:?}", file.display(), self.damage.word(), self.request)
    }
}

/// All cases of these files, or a selection by the seed: `short` has the numbers of costly and of
/// other cases.
fn cases(part: &str, root: &Path, running: bool, short: (usize, usize)) -> Vec<Case> {
    let mut all = Vec::new();
    for file in state_files(root) {
        let content = fs::read(&file).unwrap_or_default();
        for damage in Damage::ALL.into_iter().filter(|damage| damage.of(&file, &content).is_some()) {
            for request in Request::ALL {
                all.push(Case { number: all.len(), file: file.clone(), damage, request });
            }
        }
    }
    let options = Options::get();
    if !options.long && !options.replays() {
        let mut rng = options.rng(part);
        rng.shuffle(&mut all);
        let (costly, cheap) = all.into_iter().partition(|case: &Case| case.request.is_costly(running));
        all = [(costly, short.0), (cheap, short.1)]
            .into_iter()
            .flat_map(|(some, count)| spread(some, root, count))
            .collect();
    }
    all.sort_by_key(|case| case.number);
    all
}

/// Selects `count` cases, in turn from each kind of file: otherwise most cases would be
/// certificates.
fn spread(cases: Vec<Case>, root: &Path, count: usize) -> Vec<Case> {
    let kind = |case: &Case| match case.file.strip_prefix(root.join("pki")) {
        Ok(_) if !is_lasting(&case.file) => PathBuf::from("certificates"),
        _ => case.file.clone(),
    };
    let mut kinds: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut counted: Vec<(usize, usize, Case)> = Vec::new();
    for (at, case) in cases.into_iter().enumerate() {
        let count = kinds.entry(kind(&case)).or_default();
        counted.push((*count, at, case));
        *count += 1;
    }
    counted.sort_by_key(|(count, at, _)| (*count, *at));
    counted.into_iter().take(count).map(|(.., case)| case).collect()
}

/// Checks that a command worked as without damage, or that its error names the file and a solution.
fn check_case(checked: &CheckedCluster, case: &Case, undamaged: i32, outcome: &Outcome) {
    let file = &case.file;
    checked.check_outcome(outcome);
    if outcome.code == 0 || outcome.code == undamaged {
        return;
    }
    let Outcome { what, stderr, .. } = outcome;
    // A newer version is reported for the cluster, not for the file.
    let root = checked.cluster.root();
    let named = if case.damage == Damage::Newer { root.as_path() } else { file };
    assert!(stderr.contains(&*named.to_string_lossy()), "{what} failed without naming {}:\n{stderr}", file.display());
    let way_out = ["kubernix ", "remove", "restore", "run `", "--"];
    assert!(way_out.iter().any(|word| stderr.contains(word)), "{what} failed without a solution:\n{stderr}");
}

/// Damages files of a stopped cluster. A copy of its directory is restored before each case, so
/// that few cases need a boot.
pub fn of_a_stopped_cluster() -> Result<(), String> {
    let mut checked = CheckedCluster::new("state");
    checked.up().ok();
    checked.create_objects();
    checked.cluster.run(&["stop"]).ok();
    let (root, whole) = (checked.cluster.root(), checked.cluster.base().join("whole"));
    copy(&root, &whole);
    let undamaged: BTreeMap<Request, i32> = [Request::Status, Request::Stop, Request::List, Request::Change]
        .map(|request| (request, request.run(&checked).code))
        .into_iter()
        .chain([(Request::Up, 0), (Request::Down, 0)])
        .collect();

    let mut all = Cases::new(STOPPED);
    for case in cases(STOPPED, &root, false, (8, 28)) {
        all.case(case.number, case.fault(&root), || {
            restore_copy(&checked, &whole);
            assert!(case.damage.inflict(&case.file), "the damage doesn't apply to {}", case.file.display());
            let outcome = case.request.run(&checked);
            check_case(&checked, &case, undamaged[&case.request], &outcome);
            if case.request == Request::Up && outcome.code == 0 {
                checked.wait_until_healthy();
                check_keys(&root, &whole, &outcome);
            }
            let last = if case.request == Request::Down { outcome } else { Request::Down.run(&checked) };
            // A newer version may have created things that this one can't remove, so `down` may
            // refuse.
            if case.damage == Damage::Newer && last.code == 2 {
                check_case(&checked, &case, 0, &last);
            } else {
                last.ok();
                checked.check_removed();
            }
            (1, None)
        });
    }
    restore_copy(&checked, &whole);
    checked.down();
    all.end()
}

/// Damages files of a running cluster. Commands that don't end it use one cluster, and the file is
/// restored after each case.
pub fn of_a_running_cluster() -> Result<(), String> {
    let mut checked = CheckedCluster::new("state-run");
    checked.up().ok();
    checked.create_objects();
    let root = checked.cluster.root();
    let mut all = Cases::new(RUNNING);
    let chosen = cases(RUNNING, &root, true, (3, 24));
    for case in chosen.iter().filter(|case| case.request != Request::Up) {
        all.case(case.number, case.fault(&root), || {
            if !case.file.exists() {
                // If an earlier case ended the cluster, the new one lacks files of the old one.
                return (0, None);
            }
            let content = fs::read(&case.file).expect("a file");
            assert!(case.damage.inflict(&case.file), "the damage doesn't apply to {}", case.file.display());
            let damaged = fs::read(&case.file).ok();
            let outcome = case.request.run(&checked);
            check_case(&checked, case, 0, &outcome);
            if case.request == Request::Down && (case.damage != Damage::Newer || outcome.code == 0) {
                outcome.ok();
                checked.check_removed();
            }
            // If the file was written again meanwhile, it is kept.
            if checked.cluster.root().exists() && fs::read(&case.file).ok() == damaged {
                fs::write(&case.file, content).expect("it can be written");
            }
            (1, None)
        });
        repair(&mut checked);
    }
    checked.down();
    all.end()
}

/// Replaces the cluster if it doesn't run.
fn repair(checked: &mut CheckedCluster) {
    let runs = |checked: &CheckedCluster| {
        checked.status().1["state"] == "running" && checked.cluster.run(&["port", "list"]).code == 0
    };
    if runs(checked) {
        return;
    }
    if checked.cluster.root().exists() && checked.cluster.up(&[]).code == 0 && runs(checked) {
        return;
    }
    remove_by_hand(checked);
    checked.up().ok();
}

/// Replaces the directory with the copy of the stopped cluster.
fn restore_copy(checked: &CheckedCluster, whole: &Path) {
    remove_by_hand(checked);
    copy(whole, &checked.cluster.root());
}

/// Kills and removes what `down` has left: a failed case must not affect the next ones.
fn remove_by_hand(checked: &CheckedCluster) {
    let root = checked.cluster.root();
    if !root.exists() || checked.cluster.run(&["down"]).code == 0 && !root.exists() {
        return;
    }
    for process in kubernix_tests::processes_below(checked.cluster.base()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGKILL);
    }
    kubernix_tests::for_none("end of killed processes", COMMAND_TIMEOUT, || {
        let left = kubernix_tests::processes_below(checked.cluster.base());
        left.into_iter().map(|process| process.command).collect()
    });
    fs::remove_dir_all(&root).expect("no process uses the directory");
}

fn copy(from: &Path, to: &Path) {
    run(program("cp").args(["--archive", "--sparse=always", "--reflink=auto"]).args([from, to])).ok();
}

/// Checks that no key was replaced that is needed to read data, and that other new files of the PKI
/// were reported.
fn check_keys(root: &Path, whole: &Path, outcome: &Outcome) {
    for old in state_files(&whole.join("pki")) {
        let below = old.strip_prefix(whole).expect("a file of the copy");
        let same = fs::read(root.join(below)).is_ok_and(|now| fs::read(&old).is_ok_and(|old| old == now));
        let name = below.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(same || !is_lasting(&old), "{} was replaced, and its data is lost", below.display());
        assert!(same || outcome.stderr.contains(&name), "{} was replaced without a report", below.display());
    }
}
