//! Tests of the states of an instance, and of its backoff.

use super::spec::spec;
use crate::engine::InstanceState;
use crate::engine::reducer::instance::{Instance, MAX_BACKOFF, MIN_BACKOFF, Stage, State};
use crate::engine::reducer::{Time, WorkId};
use std::time::Duration;

const ALL: [State; 10] = [
    State::Off,
    State::Waiting,
    State::Preparing(WorkId(1)),
    State::Starting,
    State::Ready,
    State::Unresponsive,
    State::BackingOff { at: Time(1) },
    State::Failed,
    State::Stopping(Stage::Hook(WorkId(2))),
    State::Stopped,
];

/// The permitted transitions: a row for each old state, a column for each new one, as in `ALL`.
const TABLE: [&str; 10] = [
    // Off, Waiting, Preparing, Starting, Ready, Unresponsive, BackingOff, Failed, Stopping, Stopped
    ".........x", // Off
    "..x.....xx", // Waiting
    "...x..xxx.", // Preparing
    "....x.xxx.", // Starting
    ".....xxxx.", // Ready
    "....x.xxx.", // Unresponsive
    "..x...xxx.", // BackingOff
    ".......xx.", // Failed
    "........xx", // Stopping
    ".x.......x", // Stopped
];

#[test]
fn transitions_are_permitted_as_in_the_table() {
    for (from, row) in ALL.iter().zip(TABLE) {
        for (to, cell) in ALL.iter().zip(row.chars()) {
            assert_eq!(from.may_become(*to), cell == 'x', "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_stopping_instance_can_not_start_again() {
    for next in ALL.iter().filter(|next| !matches!(next, State::Stopping(_) | State::Stopped)) {
        assert!(!State::Stopping(Stage::Dependents { was_up: true }).may_become(*next), "{next:?}");
    }
}

#[test]
fn the_backoff_doubles_up_to_a_limit() {
    let mut instance = Instance::new(spec("a"));
    let delays: Vec<u64> = (0..7).map(|_| instance.take_backoff().as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn the_backoff_resets_after_more_than_a_minute_of_readiness() {
    let mut instance = Instance::new(spec("a"));
    (instance.failures, instance.backoff, instance.ready_at) = (3, MAX_BACKOFF, Some(Time(1000)));
    instance.reset_backoff(Time(1000) + Duration::from_secs(60));
    assert_eq!((instance.failures, instance.backoff), (3, MAX_BACKOFF));
    instance.reset_backoff(Time(1000) + Duration::from_secs(61));
    assert_eq!((instance.failures, instance.backoff), (0, MIN_BACKOFF));
}

#[test]
fn a_reset_keeps_the_run_count_so_that_late_inputs_are_ignored() {
    let mut instance = Instance::new(spec("a"));
    instance.runs[0] = 4;
    instance.state = State::Stopped;
    instance.reset();
    assert_eq!((instance.runs[0], instance.state), (4, State::Waiting));
}

#[test]
fn the_public_state_is_starting_only_during_the_first_start() {
    let mut instance = Instance::new(spec("a"));
    assert_eq!(instance.public_state(), InstanceState::Waiting);
    (instance.state, instance.was_started) = (State::Starting, true);
    assert_eq!(instance.public_state(), InstanceState::Starting);
    instance.restarts = 1;
    assert_eq!(instance.public_state(), InstanceState::Restarting);
}
