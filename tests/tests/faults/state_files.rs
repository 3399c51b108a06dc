//! Every state file of a cluster is damaged in every way before every command. The command works as
//! it would without, or names the file and a way out; a new key is never made in silence; and
//! `down` always works.

use super::law::{COMMAND, Law};
use super::suite::{Cases, Options};
use kubernix_tests::faults::damage::{Damage, is_lasting, state_files};
use kubernix_tests::{Outcome, free_port, program, run, run_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What `--faults` calls the files of a cluster that is stopped.
pub const STOPPED: &str = "stopped";
/// The same for a cluster that runs.
pub const RUNNING: &str = "running";

/// What is asked of the cluster after the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Up,
    Status,
    Stop,
    Down,
    List,
    Change,
}

impl Ask {
    const ALL: [Self; 6] = [Self::Up, Self::Status, Self::Stop, Self::Down, Self::List, Self::Change];

    /// Whether it boots or ends a cluster, and so takes seconds and a cluster of its own.
    fn is_costly(self, running: bool) -> bool {
        if running { matches!(self, Self::Stop | Self::Down) } else { self == Self::Up }
    }

    fn run(self, law: &Law) -> Outcome {
        let port = format!("127.0.0.1:{}:30083", free_port());
        let mut command = match self {
            Self::Up => law.up_command(),
            Self::Status => law.cluster.command(&["status"]),
            Self::Stop => law.cluster.command(&["stop"]),
            Self::Down => law.cluster.command(&["down"]),
            Self::List => law.cluster.command(&["list"]),
            Self::Change => law.cluster.command(&["port", "add", &port]),
        };
        run_for(&mut command, COMMAND)
    }
}

/// One case.
struct Case {
    number: usize,
    file: PathBuf,
    damage: Damage,
    ask: Ask,
}

impl Case {
    fn fault(&self, root: &Path) -> String {
        let file = self.file.strip_prefix(root).unwrap_or(&self.file);
        format!("{} {}, then {:?}", file.display(), self.damage.word(), self.ask)
    }
}

/// All cases of these files, or the seed's choice of them: so many that are costly, and so many
/// that aren't.
fn cases(part: &str, root: &Path, running: bool, short: (usize, usize)) -> Vec<Case> {
    let mut all = Vec::new();
    for file in state_files(root) {
        let content = fs::read(&file).unwrap_or_default();
        for damage in Damage::ALL.into_iter().filter(|damage| damage.of(&file, &content).is_some()) {
            for ask in Ask::ALL {
                all.push(Case { number: all.len(), file: file.clone(), damage, ask });
            }
        }
    }
    let options = Options::get();
    if !options.long && !options.replays() {
        let mut rng = options.rng(part);
        rng.shuffle(&mut all);
        let (costly, cheap) = all.into_iter().partition(|case: &Case| case.ask.is_costly(running));
        all = [(costly, short.0), (cheap, short.1)]
            .into_iter()
            .flat_map(|(some, count)| spread(some, root, count))
            .collect();
    }
    all.sort_by_key(|case| case.number);
    all
}

/// So many of these, in turn of each kind of file: there are so many certificates that they would
/// be all that is chosen.
fn spread(cases: Vec<Case>, root: &Path, count: usize) -> Vec<Case> {
    let kind = |case: &Case| match case.file.strip_prefix(root.join("pki")) {
        Ok(_) if !is_lasting(&case.file) => PathBuf::from("certificates"),
        _ => case.file.clone(),
    };
    let mut kinds: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut turns: Vec<(usize, usize, Case)> = Vec::new();
    for (at, case) in cases.into_iter().enumerate() {
        let turn = kinds.entry(kind(&case)).or_default();
        turns.push((*turn, at, case));
        *turn += 1;
    }
    turns.sort_by_key(|(turn, at, _)| (*turn, *at));
    turns.into_iter().take(count).map(|(.., case)| case).collect()
}

/// Fails unless a command went as it does without damage, or its error names the file and a way
/// out.
fn is_said(law: &Law, case: &Case, undamaged: i32, outcome: &Outcome) {
    let file = &case.file;
    law.is_no_accident(outcome);
    if outcome.code == 0 || outcome.code == undamaged {
        return;
    }
    let Outcome { what, stderr, .. } = outcome;
    // It is the whole cluster that is of a newer version.
    let root = law.cluster.root();
    let named = if case.damage == Damage::Newer { root.as_path() } else { file };
    assert!(stderr.contains(&*named.to_string_lossy()), "{what} failed without naming {}:\n{stderr}", file.display());
    let way_out = ["kubernix ", "remove", "restore", "run `", "--"];
    assert!(way_out.iter().any(|word| stderr.contains(word)), "{what} says no way out:\n{stderr}");
}

/// The files of a cluster that is stopped. A copy of its directory is put back for each case, so
/// that few cases need a boot.
pub fn of_a_stopped_cluster() -> Result<(), String> {
    let mut law = Law::new("state");
    law.up().ok();
    law.furnish();
    law.cluster.run(&["stop"]).ok();
    let (root, whole) = (law.cluster.root(), law.cluster.base().join("whole"));
    copy(&root, &whole);
    let undamaged: BTreeMap<Ask, i32> = [Ask::Status, Ask::Stop, Ask::List, Ask::Change]
        .map(|ask| (ask, ask.run(&law).code))
        .into_iter()
        .chain([(Ask::Up, 0), (Ask::Down, 0)])
        .collect();

    let mut all = Cases::new(STOPPED);
    for case in cases(STOPPED, &root, false, (8, 28)) {
        all.case(case.number, case.fault(&root), || {
            put_back(&law, &whole);
            assert!(case.damage.inflict(&case.file), "{} can't be so", case.file.display());
            let outcome = case.ask.run(&law);
            is_said(&law, &case, undamaged[&case.ask], &outcome);
            if case.ask == Ask::Up && outcome.code == 0 {
                law.healed();
                no_key_is_new(&root, &whole, &outcome);
            }
            let last = if case.ask == Ask::Down { outcome } else { Ask::Down.run(&law) };
            // What a newer version made may hold more than this one knows how to remove: it may
            // refuse.
            if case.damage == Damage::Newer && last.code == 2 {
                is_said(&law, &case, 0, &last);
            } else {
                last.ok();
                law.is_gone();
            }
            (1, None)
        });
    }
    put_back(&law, &whole);
    law.down();
    all.end()
}

/// The files of a cluster that runs. What doesn't end it is asked of one cluster, whose file is put
/// back after each case.
pub fn of_a_running_cluster() -> Result<(), String> {
    let mut law = Law::new("state-run");
    law.up().ok();
    law.furnish();
    let root = law.cluster.root();
    let mut all = Cases::new(RUNNING);
    let chosen = cases(RUNNING, &root, true, (3, 24));
    for case in chosen.iter().filter(|case| case.ask != Ask::Up) {
        all.case(case.number, case.fault(&root), || {
            if !case.file.exists() {
                // An earlier case ended the cluster, and what it did before its end is not in this
                // one.
                return (0, None);
            }
            let content = fs::read(&case.file).expect("a file");
            assert!(case.damage.inflict(&case.file), "{} can't be so", case.file.display());
            let damaged = fs::read(&case.file).ok();
            let outcome = case.ask.run(&law);
            is_said(&law, case, 0, &outcome);
            if case.ask == Ask::Down && (case.damage != Damage::Newer || outcome.code == 0) {
                outcome.ok();
                law.is_gone();
            }
            // What wrote the file anew knows better.
            if law.cluster.root().exists() && fs::read(&case.file).ok() == damaged {
                fs::write(&case.file, content).expect("it can be written");
            }
            (1, None)
        });
        make_whole(&mut law);
    }
    law.down();
    all.end()
}

/// Makes the cluster run again, by a new one where it doesn't.
fn make_whole(law: &mut Law) {
    let runs = |law: &Law| law.status().1["state"] == "running" && law.cluster.run(&["port", "list"]).code == 0;
    if runs(law) {
        return;
    }
    if law.cluster.root().exists() && law.cluster.up(&[]).code == 0 && runs(law) {
        return;
    }
    remove_by_hand(law);
    law.up().ok();
}

/// Puts the copy of a stopped cluster's directory in the place of what the last case left.
fn put_back(law: &Law, whole: &Path) {
    remove_by_hand(law);
    copy(whole, &law.cluster.root());
}

/// Ends and removes what `down` should have: a case that failed must not fail those after it.
fn remove_by_hand(law: &Law) {
    let root = law.cluster.root();
    if !root.exists() || law.cluster.run(&["down"]).code == 0 && !root.exists() {
        return;
    }
    for process in kubernix_tests::processes_below(law.cluster.base()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGKILL);
    }
    kubernix_tests::for_none("end of what was killed", COMMAND, || {
        let left = kubernix_tests::processes_below(law.cluster.base());
        left.into_iter().map(|process| process.command).collect()
    });
    fs::remove_dir_all(&root).expect("nothing uses it any more");
}

fn copy(from: &Path, to: &Path) {
    run(program("cp").args(["--archive", "--sparse=always", "--reflink=auto"]).args([from, to])).ok();
}

/// Fails where a key was made anew without which data can't be read any more, or another file of
/// the PKI without a word.
fn no_key_is_new(root: &Path, whole: &Path, said: &Outcome) {
    for old in state_files(&whole.join("pki")) {
        let below = old.strip_prefix(whole).expect("a file of the copy");
        let same = fs::read(root.join(below)).is_ok_and(|now| fs::read(&old).is_ok_and(|old| old == now));
        let name = below.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(same || !is_lasting(&old), "{} was replaced, and what it was for is lost", below.display());
        assert!(same || said.stderr.contains(&name), "{} was replaced without a word", below.display());
    }
}
