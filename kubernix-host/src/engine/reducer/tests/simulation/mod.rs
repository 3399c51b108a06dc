//! Runs random histories against a model of processes, nodes, time, the disk and commands.
//!
//! A history is determined by its seed. One that breaks an invariant is shrunk and printed.
//! `KUBERNIX_SIMULATION_SEED` runs one history again. `KUBERNIX_SIMULATION_HISTORIES` is the number
//! of histories.

mod check;
mod cluster;
mod history;
mod model;
mod step;
mod tally;

use history::{History, shrink};
use model::Model;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use tally::Tally;

const HISTORIES: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("it is a number"))
}

/// Runs a history to its end. A panic of the reducer is a failure like any other.
fn play(history: &History, traced: bool) -> (Result<Tally, String>, Vec<String>) {
    let mut model = Model::new(history, traced);
    let result = catch_unwind(AssertUnwindSafe(|| model.play(history)));
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
    });
    (result, std::mem::take(&mut model.trace))
}

/// Describes a history that breaks an invariant.
fn describe(seed: u64, history: &History, error: &str) -> String {
    let steps =
        shrink(&history.steps, |steps| play(&History { steps: steps.to_vec(), ..history.clone() }, false).0.is_err());
    let short = History { steps, ..history.clone() };
    let (result, trace) = play(&short, true);
    let error = result.err().unwrap_or_else(|| error.to_owned());
    let mut text = format!("seed {seed}: {error}\nrun it again with KUBERNIX_SIMULATION_SEED={seed}\n");
    let _ = writeln!(text, "faults: {:?}", short.faults);
    for (id, spec) in short.instances.iter().enumerate() {
        let _ = writeln!(text, "instance {id}: {spec:?}");
    }
    short.steps.iter().for_each(|step| text += &format!("step {step:?}\n"));
    let skipped = trace.len().saturating_sub(150);
    trace.iter().skip(skipped).for_each(|line| text += &format!("  {line}\n"));
    text
}

/// Runs histories until none is left, or one breaks an invariant.
fn play_all(next: &AtomicU64, end: u64) -> Tally {
    let mut tally = Tally::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return tally;
        }
        let history = History::new(seed);
        match play(&history, false).0 {
            Ok(one) => tally.add(&one),
            Err(error) => {
                next.store(end, Ordering::Relaxed);
                panic!("{}", describe(seed, &history, &error));
            }
        }
    }
}

#[test]
fn random_histories_keep_the_invariants() {
    if let Some(seed) = number("KUBERNIX_SIMULATION_SEED") {
        play_all(&AtomicU64::new(seed), seed + 1);
        return;
    }
    let histories = number("KUBERNIX_SIMULATION_HISTORIES").unwrap_or(HISTORIES);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(|| play_all(&next, histories))).collect();
        for player in players {
            match player.join() {
                Ok(one) => tally.add(&one),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    println!("{histories} histories: {tally:?}");
    if histories >= 1000 {
        // Histories in which nothing happens test nothing.
        let all = tally.all();
        assert!(all.iter().all(|count| *count > histories / 500), "an event hardly ever happens: {tally:?}");
    }
}

#[test]
fn the_same_seed_plays_the_same_history() {
    for seed in 0..20 {
        let [first, second] = [0, 1].map(|_| play(&History::new(seed), true).1);
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn a_failing_history_is_shrunk_to_the_steps_that_break_it() {
    let steps = History::new(1).steps.iter().cloned().cycle().take(60).collect::<Vec<_>>();
    let numbered: Vec<_> = steps.into_iter().enumerate().map(|(at, step)| step.at(at as u64)).collect();
    let breaks = |steps: &[history::Step]| [7, 31, 32].iter().all(|at| steps.iter().any(|step| step.at == *at));
    let left: Vec<u64> = shrink(&numbered, breaks).iter().map(|step| step.at).collect();
    assert_eq!(left, [7, 31, 32]);
}
