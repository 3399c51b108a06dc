//! The options of the suite, its report, and cases that continue after a failure.

use fastrand::Rng;
use kubernix_tests::faults::report::{Record, Report};
use kubernix_tests::faults::shrink;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The seed of a default run, so that default runs are the same.
const SEED: u64 = 1;

/// The options, from variables that `cargo xtask test faults` sets.
pub struct Options {
    /// The seed of all choices.
    pub seed: u64,
    /// All cases, instead of a selection that takes five minutes.
    pub long: bool,
    /// A part and the numbers of its faults to run.
    only: Option<(String, BTreeSet<usize>)>,
    /// The path of the report as JSON.
    pub report: Option<PathBuf>,
}

impl Options {
    /// The options of this process.
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

    /// Whether this fault of a part is selected.
    pub fn wants(&self, part: &str, number: usize) -> bool {
        self.only.as_ref().is_none_or(|(only, numbers)| only == part && numbers.contains(&number))
    }

    /// Whether a part is selected.
    pub fn wants_part(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|(only, _)| only == part)
    }

    /// Whether single faults are selected. They are selected from all cases, including those that a
    /// short run leaves out.
    pub fn replays(&self) -> bool {
        self.only.is_some()
    }

    /// The random numbers of a part: parts must not influence each other.
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

/// The path of the library that fails calls and moves the clock.
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

/// Records the outcome of a fault.
pub fn record(record: Record) {
    let failure = record.failure.as_ref().map_or_else(String::new, |failure| format!(": FAILED: {failure}"));
    println!("{}: {}{failure}", record.part, record.fault);
    report(|report| report.records.push(record));
}

/// Records the faults that are enough to make a part fail.
fn replay(part: &str, numbers: &[usize]) {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    report(|report| report.replay.push(format!("{part}:{}", numbers.join(","))));
}

/// Runs a check and returns the message if it panics.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without a message").to_owned()
    })
}

/// The outcome of a list of faults: the index of the one that violated an invariant, and the
/// reason.
pub type Played = Result<(), (usize, String)>;

/// Runs plans, each on its own cluster. `play` gets the faults and whether to record them. If a
/// fault violates an invariant, earlier faults may have contributed: the list up to it is shortened
/// for at most `budget`. The rest of the plan runs on a new cluster.
///
/// # Errors
/// Faults that violated an invariant.
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
            // Each fault may violate an invariant in its own way.
            rest = &rest[at + 1..];
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Independent cases of a part: each is run and recorded, even if an earlier one failed.
pub struct Cases {
    part: &'static str,
    failed: Vec<usize>,
    tried: usize,
}

impl Cases {
    /// A part without cases yet.
    pub fn new(part: &'static str) -> Self {
        Self { part, failed: Vec::new(), tried: 0 }
    }

    /// Runs a case. It returns the number of injected faults and the time until the cluster was
    /// healthy again.
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

    /// Fails if a case failed or none was run.
    pub fn end(self) -> Result<(), String> {
        if !self.failed.is_empty() {
            replay(self.part, &self.failed);
            return Err(format!("{} of {} cases failed", self.failed.len(), self.tried));
        }
        if self.tried == 0 && Options::get().wants_part(self.part) {
            return Err("no case was run".to_owned());
        }
        Ok(())
    }
}

/// Prints the report, and writes it if requested.
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
