//! What every part needs: the options, a place for results, and checks that go on after a failure.

use fastrand::Rng;
use kubernix_tests::faults::report::{Record, Report};
use kubernix_tests::faults::shrink;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A seed that a default run uses, so that two of them do the same.
const SEED: u64 = 1;

/// What was asked for, by variables that `cargo xtask test faults` sets.
pub struct Options {
    /// What all choices come from.
    pub seed: u64,
    /// All cases, and not a selection that takes five minutes.
    pub long: bool,
    /// One part, and these of its faults.
    only: Option<(String, BTreeSet<usize>)>,
    /// Where the report goes as JSON.
    pub report: Option<PathBuf>,
}

impl Options {
    /// Those of this process.
    ///
    /// # Panics
    /// One can't be read.
    pub fn get() -> &'static Self {
        static OPTIONS: OnceLock<Options> = OnceLock::new();
        let number =
            |text: String| text.parse().unwrap_or_else(|error| panic!("KUBERNIX_FAULTS_SEED: {text}: {error}"));
        OPTIONS.get_or_init(|| Self {
            seed: variable("SEED").map_or(SEED, number),
            long: variable("LONG").is_some(),
            only: variable("ONLY").map(|text| selection(&text)),
            report: variable("REPORT").map(PathBuf::from),
        })
    }

    /// Whether a part, or one of its faults, is asked for.
    pub fn wants(&self, part: &str, number: usize) -> bool {
        self.only.as_ref().is_none_or(|(only, numbers)| only == part && numbers.contains(&number))
    }

    /// Whether anything of a part is asked for.
    pub fn wants_part(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|(only, _)| only == part)
    }

    /// Whether single faults are asked for: all cases are looked at then, also those that a short
    /// run leaves out.
    pub fn replays(&self) -> bool {
        self.only.is_some()
    }

    /// A source of choices for a part: what one part does must not change what another does.
    pub fn rng(&self, part: &str) -> Rng {
        let salt = part.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Rng::with_seed(self.seed ^ salt)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(format!("KUBERNIX_FAULTS_{name}")).ok().filter(|value| !value.is_empty())
}

/// Reads `process:3,7`.
fn selection(text: &str) -> (String, BTreeSet<usize>) {
    let read = || {
        let (part, numbers) = text.split_once(':')?;
        let numbers = numbers.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some((part.to_owned(), numbers))
    };
    read().unwrap_or_else(|| panic!("`{text}` is not PART:NUMBER,NUMBER"))
}

/// The library that fails calls and moves the clock.
///
/// # Panics
/// It wasn't built.
pub fn library() -> PathBuf {
    const FILE: &str = "libkubernix_preload.so";
    let test = std::env::current_exe().expect("the test's own path");
    // .../debug/deps/faults-HASH
    let path = test.ancestors().nth(2).expect("a directory of cargo's").join(FILE);
    assert!(path.is_file(), "there is no {}: build it (cargo build --package kubernix-preload)", path.display());
    path
}

static REPORT: Mutex<Report> = Mutex::new(Report { seed: 0, short: false, records: Vec::new(), replay: Vec::new() });

fn report<T>(with: impl FnOnce(&mut Report) -> T) -> T {
    with(&mut REPORT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Notes what became of a fault.
pub fn record(record: Record) {
    let failure = record.failure.as_ref().map_or_else(String::new, |failure| format!(": FAILED: {failure}"));
    println!("{}: {}{failure}", record.part, record.fault);
    report(|report| report.records.push(record));
}

/// Notes which faults of a part are enough to make it fail.
fn replay(part: &str, numbers: &[usize]) {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    report(|report| report.replay.push(format!("{part}:{}", numbers.join(","))));
}

/// Does something that panics where the law doesn't hold; the panic's message instead.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without a message").to_owned()
    })
}

/// What became of faults that were played: the index of the one that broke the law, and how.
pub type Played = Result<(), (usize, String)>;

/// Plays plans, each on a cluster of its own. `play` gets faults, and whether they are noted in the
/// report. Where one breaks the law, what came before it may have been needed: that list is
/// shortened for as long as `budget`. What comes after it is played on a new cluster.
///
/// # Errors
/// A fault broke the law; all of them are named.
pub fn play_all<T: Clone + Display>(
    part: &'static str,
    plans: impl Iterator<Item = Vec<T>>,
    budget: Duration,
    number: fn(&T) -> usize,
    play: fn(&[T], bool) -> Played,
) -> Result<(), String> {
    let mut failed = Vec::new();
    for plan in plans {
        let plan: Vec<T> = plan.into_iter().filter(|fault| Options::get().wants(part, number(fault))).collect();
        let mut rest = &plan[..];
        while !rest.is_empty() {
            let Err((at, why)) = play(rest, true) else { break };
            let shortest = shrink(&rest[..=at], budget, |some| play(some, false).is_err());
            replay(part, &shortest.iter().map(number).collect::<Vec<_>>());
            failed.push(format!("{}: {why}", rest[at]));
            // Each fault may break the law in its own way.
            rest = &rest[at + 1..];
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// The cases of a part that stand for themselves: each is tried, whatever became of those before,
/// and noted.
pub struct Cases {
    part: &'static str,
    failed: Vec<usize>,
    tried: usize,
}

impl Cases {
    /// None yet.
    pub fn new(part: &'static str) -> Self {
        Self { part, failed: Vec::new(), tried: 0 }
    }

    /// Tries a case, which returns how many faults it injected and how long the cluster took to
    /// heal.
    pub fn case(&mut self, number: usize, fault: impl Into<String>, work: impl FnOnce() -> (usize, Option<Duration>)) {
        if !Options::get().wants(self.part, number) {
            return;
        }
        self.tried += 1;
        let (done, fault) = (attempt(work), format!("#{number} {}", fault.into()));
        let (injected, healed) = *done.as_ref().unwrap_or(&(1, None));
        let failure = done.err();
        if failure.is_some() {
            self.failed.push(number);
        }
        record(Record { part: self.part, fault, injected, healed, failure });
    }

    /// Fails where a case did, or where none was tried.
    pub fn end(self) -> Result<(), String> {
        if !self.failed.is_empty() {
            replay(self.part, &self.failed);
            return Err(format!("{} of {} cases failed", self.failed.len(), self.tried));
        }
        if self.tried == 0 && Options::get().wants_part(self.part) {
            return Err("no case was tried".to_owned());
        }
        Ok(())
    }
}

/// Prints the report, and writes it where that is asked for.
///
/// # Panics
/// It can't be written.
pub fn close() {
    report(|report| {
        (report.seed, report.short) = (Options::get().seed, !Options::get().long);
        println!("\n{}", report.table());
        if let Some(path) = &Options::get().report {
            std::fs::write(path, report.json().to_string()).expect("a report");
        }
    });
}
