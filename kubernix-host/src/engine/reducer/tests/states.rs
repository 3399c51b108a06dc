//! The transitions of an instance, and its pauses.

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

/// Row by row from which state, column by column to which one, in the order of `ALL`.
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
fn every_pair_of_states_is_allowed_or_forbidden_as_in_the_table() {
    for (from, row) in ALL.iter().zip(TABLE) {
        for (to, cell) in ALL.iter().zip(row.chars()) {
            assert_eq!(from.may_become(*to), cell == 'x', "{from:?} to {to:?}");
        }
    }
}

#[test]
fn nothing_that_is_ending_can_be_started_again() {
    for next in ALL.iter().filter(|next| !matches!(next, State::Stopping(_) | State::Stopped)) {
        assert!(!State::Stopping(Stage::Dependents { was_up: true }).may_become(*next), "{next:?}");
    }
}

#[test]
fn pauses_double_up_to_a_limit() {
    let mut instance = Instance::new(spec("a"));
    let pauses: Vec<u64> = (0..7).map(|_| instance.take_backoff().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn a_minute_of_work_forgives_failures_and_a_second_less_does_not() {
    let mut instance = Instance::new(spec("a"));
    (instance.failures, instance.backoff, instance.ready_at) = (3, MAX_BACKOFF, Some(Time(1000)));
    instance.reset_backoff(Time(1000) + Duration::from_secs(60));
    assert_eq!((instance.failures, instance.backoff), (3, MAX_BACKOFF));
    instance.reset_backoff(Time(1000) + Duration::from_secs(61));
    assert_eq!((instance.failures, instance.backoff), (0, MIN_BACKOFF));
}

#[test]
fn a_reset_keeps_the_count_of_runs_so_that_late_inputs_match_none() {
    let mut instance = Instance::new(spec("a"));
    instance.runs[0] = 4;
    instance.state = State::Stopped;
    instance.reset();
    assert_eq!((instance.runs[0], instance.state), (4, State::Waiting));
}

#[test]
fn an_instance_is_shown_as_starting_only_before_it_was_ready() {
    let mut instance = Instance::new(spec("a"));
    assert_eq!(instance.public_state(), InstanceState::Waiting);
    (instance.state, instance.was_started) = (State::Starting, true);
    assert_eq!(instance.public_state(), InstanceState::Starting);
    instance.restarts = 1;
    assert_eq!(instance.public_state(), InstanceState::Restarting);
}
