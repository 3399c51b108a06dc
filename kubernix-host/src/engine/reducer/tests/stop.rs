//! Tests of stops: order, hooks, grace, and inputs during a stop.

use super::spec::{STOP_GRACE, control_plane, on_node, process, server, spec, transient, with_processes};
use super::world::{World, ended};
use crate::engine::reducer::{Fault, Input, InstanceSpec, ProcessSpec, RequestKind};
use crate::engine::{ClusterState, InstanceState};
use kubernix_core::Restart;
use std::time::Duration;

#[test]
fn instances_stop_after_their_dependents() {
    let mut world = World::booted(control_plane());
    let stop = world.request(RequestKind::Stop);
    world.assert_order(&["stop scheduler/0", "stopped scheduler", "stop apiserver/0", "stopped apiserver"]);
    world.assert_order(&["stopped apiserver", "stop etcd/0", "stopped etcd", "answer 1: ended", "exit ordered"]);
    assert_eq!(world.answer(stop), "ended");
    assert!(world.running.is_empty() && world.works.is_empty());
}

#[test]
fn independent_instances_stop_concurrently() {
    let mut world = World::booted(vec![server("a", &[]), server("b", &[])]);
    world.block("hook a").block("hook b");
    world.feed(Input::Stop);
    assert!(world.is_active("hook a") && world.is_active("hook b"));
}

#[test]
fn a_hook_runs_before_the_signal() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("hook a");
    world.feed(Input::Stop);
    assert!(world.runs("a/0"));
    assert_eq!(world.reducer.state(), ClusterState::Stopping);
    world.finish("hook a");
    world.assert_order(&["stopping a", "begin hook a", "stop a/0", "stopped a", "exit ordered"]);
}

#[test]
fn a_failed_hook_is_a_warning_and_the_instance_stops() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.fail("hook a", Fault::new("can't unmount"));
    world.feed(Input::Stop);
    assert!(world.saw("warning a didn't stop cleanly: can't unmount"));
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn an_instance_that_was_never_ready_has_no_hook() {
    let mut world = World::blocked(vec![server("a", &[])], &["probe a/0"]);
    world.feed(Input::Stop);
    assert!(!world.mentioned("hook") && world.saw("abandon probe a/0") && world.saw("stop a/0"));
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn processes_of_an_instance_stop_one_by_one_in_reverse_order() {
    let mut world = World::booted(vec![with_processes(spec("a"), &[Restart::ALWAYS; 3])]);
    world.feed(Input::Stop);
    world.assert_order(&["stop a/2", "stop a/1", "stop a/0", "stopped a"]);
}

#[test]
fn a_process_that_ignores_its_signal_is_killed_after_its_grace() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.ignore_stop_signal("a/0");
    world.feed(Input::Stop);
    world.wait(STOP_GRACE - Duration::from_millis(1));
    assert!(!world.mentioned("kill"));
    world.wait(Duration::from_millis(1));
    world.assert_order(&["stop a/0", "kill a/0", "stopped a", "exit ordered"]);
}

#[test]
fn a_process_without_grace_is_killed_at_once() {
    let processes = vec![ProcessSpec { grace: Duration::ZERO, ..process("a", Restart::ALWAYS) }];
    let mut world = World::booted(vec![InstanceSpec { processes, ..spec("a") }]);
    world.feed(Input::Stop);
    assert!(world.saw("kill a/0") && !world.saw("stop a/0"));
    assert_eq!(world.exit(), Some("ordered"));
}

/// Asserts that a process that exits during a stop, which waits for a hook, isn't restarted.
#[track_caller]
fn assert_not_restarted_during_stop(specs: Vec<InstanceSpec>, hook: &str, process: &str) {
    let mut world = World::booted(specs);
    world.block(hook);
    world.feed(Input::Stop);
    world.crash(process);
    world.wait_s(60);
    world.finish(hook);
    assert_eq!((world.count(&format!("spawn {process}")), world.exit()), (1, Some("ordered")));
}

#[test]
fn a_process_that_exits_during_its_hook_is_not_restarted() {
    assert_not_restarted_during_stop(vec![server("a", &[])], "hook a", "a/0");
}

#[test]
fn a_process_that_exits_before_its_stop_signal_is_not_restarted() {
    assert_not_restarted_during_stop(control_plane(), "hook scheduler", "etcd/0");
}

#[test]
fn an_instance_in_back_off_is_not_restarted_during_a_stop() {
    let mut world = World::booted(control_plane());
    world.crash("etcd/0");
    world.feed(Input::Stop);
    world.wait_s(60);
    assert_eq!((world.count("spawn etcd/0"), world.exit()), (1, Some("ordered")));
}

#[test]
fn a_process_that_is_spawned_during_a_stop_is_stopped() {
    let mut world = World::blocked(vec![server("a", &[])], &["spawn a/0"]);
    world.feed(Input::Stop);
    assert_eq!(world.exit(), None);
    world.finish("spawn a/0");
    world.assert_order(&["spawn a/0", "stop a/0", "exit ordered"]);
    assert!(world.running.is_empty());
}

#[test]
fn a_spawn_that_fails_during_a_stop_ends_the_instance() {
    let mut world = World::blocked(vec![server("a", &[])], &["spawn a/0"]);
    world.feed(Input::Stop);
    world.finish_failed("spawn a/0", Fault::new("no such file"));
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn instances_that_never_ran_stop_without_a_further_input() {
    let mut world = World::blocked(control_plane(), &["prepare etcd"]);
    world.feed(Input::Stop);
    assert_eq!(world.exit(), Some("ordered"), "{:#?}", world.trace);
}

#[test]
fn a_second_stop_is_answered_with_the_first() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("hook a");
    let first = world.request(RequestKind::Stop);
    let second = world.request(RequestKind::Stop);
    world.feed(Input::Stop);
    assert_eq!(world.count("begin hook a"), 1);
    world.finish("hook a");
    assert_eq!((world.answer(first), world.answer(second)), ("ended", "ended"));
    assert_eq!(world.count("exit ordered"), 1);
}

#[test]
fn a_kill_during_a_stop_exits_at_once_and_is_reported() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("hook a");
    let stop = world.request(RequestKind::Stop);
    world.feed(Input::Kill);
    assert_eq!(world.answer(stop), "failed: the cluster was killed");
    assert_eq!(world.exit(), Some("ordered"));
    assert!(world.works.is_empty());
}

#[test]
fn a_kill_at_the_end_of_a_stop_grace_is_the_last_action() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.ignore_stop_signal("a/0");
    world.feed(Input::Stop);
    world.now = world.now + STOP_GRACE;
    world.feed(Input::Kill);
    assert_eq!(world.trace.last().map(String::as_str), Some("exit ordered"));
}

#[test]
fn the_exit_of_the_keeper_ends_the_engine_at_once() {
    let mut world = World::booted(control_plane());
    world.feed(Input::KeeperGone);
    assert_eq!(world.exit(), Some("keeper gone"));
    assert_eq!(world.reducer.deadline(), None);
}

#[test]
fn a_stop_during_the_boot_is_an_ordered_end() {
    let mut world = World::booting();
    let stop = world.request(RequestKind::Stop);
    assert_eq!((world.answer(stop), world.exit()), ("ended", Some("ordered")));
}

#[test]
fn a_stop_after_a_failed_boot_keeps_the_error() {
    let mut world = World::blocked(control_plane(), &["probe apiserver/0", "hook etcd"]);
    world.crash("apiserver/0");
    let stop = world.request(RequestKind::Stop);
    world.finish("hook etcd");
    assert_eq!(world.answer(stop), "ended");
    assert_eq!(
        world.exit(),
        Some(
            "boot failed: apiserver failed to start: process `apiserver` ended with exit status 1 before it was ready; its log is empty"
        )
    );
}

#[test]
fn a_failed_node_causes_no_busy_loop_during_a_stop() {
    let mut world = World::new(vec![server("a", &[]), on_node("n1", server("b", &[]))]);
    world.fail("create node n1", transient()).block("hook a").go();
    world.feed(Input::Stop);
    world.wait_s(30);
    world.finish("hook a");
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn instances_of_a_switched_off_node_stop_without_events() {
    let mut world = World::booted(vec![InstanceSpec { off: true, ..server("a", &[]) }, server("b", &[])]);
    world.feed(Input::Stop);
    assert!(!world.mentioned("stopping a"));
    assert_eq!((world.exit(), world.instance(0)), (Some("ordered"), Some(InstanceState::Stopped)));
}

#[test]
fn inputs_after_the_exit_are_ignored() {
    let mut world = World::booted(vec![server("a", &[])]);
    let process = *world.running.first().expect("it runs");
    world.feed(Input::Kill);
    let before = world.trace.len();
    for input in [ended(process, false), Input::Tick, Input::Kill, Input::Stop, Input::NodeEnded("n1".into())] {
        world.feed(input);
    }
    assert_eq!(world.trace.len(), before);
    let late = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(late), "failed: the cluster is ending");
}
