//! Tests of process exits and failed starts after the boot.

use super::spec::{control_plane, on_node, server, spec, with_processes};
use super::world::World;
use crate::engine::reducer::{Fault, Input, InstanceSpec};
use crate::engine::{ClusterState, InstanceState};
use kubernix_core::Restart;
use std::time::Duration;

const ALWAYS: Restart = Restart::ALWAYS;
const NEVER: Restart = Restart::NEVER;

/// A cluster whose process crashed, and in whose restart this work fails.
fn failing_again(what: &str, why: &str) -> World {
    let mut world = World::booted(vec![server("a", &[])]);
    world.fail(what, Fault::new(why));
    world.crash("a/0");
    world
}

fn restarts(world: &World) -> u32 {
    world.reducer.instances().map(|(_, _, restarts, _)| restarts).sum()
}

#[test]
fn a_process_that_exits_is_restarted_after_the_backoff() {
    let mut world = World::booted(control_plane());
    world.crash("etcd/0");
    assert_eq!(world.instance(0), Some(InstanceState::Restarting));
    assert_eq!(world.reducer.state(), ClusterState::Degraded);
    assert_eq!(world.reducer.problems(), [("etcd".to_owned(), "process `etcd` ended with exit status 1".to_owned())]);
    world.wait(Duration::from_millis(999));
    assert_eq!(world.count("spawn etcd/0"), 1);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.count("spawn etcd/0"), 2);
    assert_eq!((world.reducer.state(), restarts(&world)), (ClusterState::Running, 1));
}

#[test]
fn a_role_is_not_ready_while_its_process_is_down() {
    let mut world = World::booted(control_plane());
    world.crash("etcd/0");
    world.wait_s(1);
    let roles: Vec<&String> = world.trace.iter().filter(|line| line.starts_with("role etcd")).collect();
    assert_eq!(roles, ["role etcd true", "role etcd false", "role etcd true"]);
}

#[test]
fn dependents_of_a_process_that_exits_keep_running() {
    let mut world = World::booted(control_plane());
    world.crash("etcd/0");
    assert!(world.runs("apiserver/0") && world.runs("scheduler/0"));
}

#[test]
fn each_failure_doubles_the_backoff_up_to_half_a_minute() {
    let mut world = World::booted(vec![server("a", &[])]);
    let mut delays = Vec::new();
    for _ in 0..7 {
        world.crash("a/0");
        let at = world.reducer.deadline().expect("a restart is scheduled");
        delays.push(at.since(world.now).as_secs());
        world.wait(at.since(world.now));
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn the_backoff_is_reset_after_a_minute_of_readiness() {
    let mut world = World::booted(vec![server("a", &[])]);
    for backoff in [1, 2, 4] {
        world.crash("a/0");
        world.wait_s(backoff);
    }
    world.wait_s(61);
    world.crash("a/0");
    world.wait_s(1);
    assert!(world.runs("a/0"));
}

#[test]
fn a_failed_spawn_is_retried() {
    let mut world = failing_again("spawn a/0", "no such file");
    world.wait_s(4);
    assert_eq!(world.reducer.state(), ClusterState::Degraded);
    world.heal("spawn a/0");
    world.wait_s(4);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn five_consecutive_failures_are_reported_once_and_retried() {
    let mut world = failing_again("spawn a/0", "no such file");
    world.wait_s(14);
    assert_eq!(world.instance(0), Some(InstanceState::Restarting));
    world.wait_s(120);
    assert_eq!(world.instance(0), Some(InstanceState::Failed));
    assert_eq!(world.count("failed a: no such file"), 1);
    assert_eq!(world.reducer.problems(), [("a".to_owned(), "no such file".to_owned())]);
    world.heal("spawn a/0");
    world.wait_s(30);
    assert_eq!((world.instance(0), world.reducer.state()), (Some(InstanceState::Ready), ClusterState::Running));
}

#[test]
fn a_preparation_that_fails_after_the_boot_is_retried() {
    let mut world = failing_again("prepare a", "no space left");
    world.wait_s(8);
    assert!(world.mentioned("warning a: no space left"));
    world.heal("prepare a");
    world.wait_s(8);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_process_exit_cancels_its_probe() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("probe a/0");
    world.crash("a/0");
    world.wait_s(1);
    world.crash("a/0");
    assert!(world.saw("abandon probe a/0"));
    world.wait_s(2);
    world.finish("probe a/0");
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn only_the_process_that_exited_is_restarted() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[ALWAYS, ALWAYS])]);
    world.crash("a/1");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/0"), world.count("spawn a/1")), (1, 2));
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn two_processes_that_exit_together_are_one_failure() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[ALWAYS, ALWAYS])]);
    world.crash("a/0");
    world.crash("a/1");
    world.wait_s(1);
    assert!(world.runs("a/0") && world.runs("a/1"));
    assert_eq!(restarts(&world), 1);
}

#[test]
fn probes_start_when_all_processes_run() {
    let mut world = World::blocked(vec![with_processes(server("a", &[]), &[ALWAYS, ALWAYS])], &["spawn a/1"]);
    assert!(world.runs("a/0") && !world.saw("begin probe a/0"));
    world.finish("spawn a/1");
    assert!(world.saw("begin probe a/0") && world.saw("booted"));
}

#[test]
fn a_late_spawn_result_does_not_complete_the_next_start() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[ALWAYS, ALWAYS])]);
    world.crash("a/0");
    world.crash("a/1");
    world.block("spawn a/1");
    world.wait_s(1);
    world.crash("a/0");
    world.block("prepare a");
    world.wait_s(2);
    world.finish("spawn a/1");
    assert!(world.is_active("prepare a"), "the start waits for its files");
    world.finish("prepare a");
    assert!(world.runs("a/0") && world.runs("a/1"));
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
}

#[test]
fn probes_wait_for_pending_spawns() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[ALWAYS, ALWAYS])]);
    world.crash("a/0");
    world.crash("a/1");
    world.block("spawn a/0").block("spawn a/1");
    world.wait_s(1);
    world.finish_failed("spawn a/0", Fault::new("no such file"));
    world.finish("spawn a/1");
    world.wait_s(2);
    world.crash("a/1");
    world.wait_s(4);
    assert_ne!(world.instance(0), Some(InstanceState::Ready), "{:#?}", world.trace);
    world.finish("spawn a/0");
    world.wait_s(10);
    world.finish("spawn a/1");
    assert_eq!(world.instance(0), Some(InstanceState::Ready), "{:#?}", world.trace);
}

#[test]
fn a_process_that_succeeds_and_is_never_restarted_stays_finished() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[ALWAYS, NEVER])]);
    world.end("a/1", true);
    assert_eq!(world.reducer.state(), ClusterState::Running);
    world.crash("a/0");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/0"), world.count("spawn a/1")), (2, 1));
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_failed_process_that_is_never_restarted_fails_its_instance() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[NEVER])]);
    world.crash("a/0");
    world.wait_s(100);
    assert_eq!(world.instance(0), Some(InstanceState::Failed));
    assert_eq!(world.count("spawn a/0"), 1);
    assert_eq!(world.reducer.problems(), [("a".to_owned(), "process `p0` ended with exit status 1".to_owned())]);
}

#[test]
fn other_processes_of_a_failed_instance_may_exit() {
    let mut world = World::booted(vec![with_processes(server("a", &[]), &[NEVER, ALWAYS])]);
    world.crash("a/0");
    world.crash("a/1");
    world.wait_s(100);
    assert_eq!(world.instance(0), Some(InstanceState::Failed));
    world.feed(Input::Stop);
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn a_failed_process_that_is_never_restarted_fails_a_boot_that_waits_for_others() {
    let once = with_processes(server("a", &[]), &[NEVER]);
    let mut world = World::blocked(vec![once, server("b", &[])], &["probe b/0"]);
    world.crash("a/0");
    assert_eq!(
        world.exit(),
        Some("boot failed: a failed to start: process `p0` ended with exit status 1; its log is empty")
    );
}

#[test]
fn a_process_that_succeeds_before_its_instance_is_ready_does_not_fail_the_boot() {
    let mut world = World::blocked(vec![with_processes(server("a", &[]), &[ALWAYS, NEVER])], &["probe a/0"]);
    world.end("a/1", true);
    assert_eq!(world.exit(), None);
    world.finish("probe a/0");
    assert!(world.saw("booted"));
    assert_eq!(world.count("spawn a/1"), 1);
}

#[test]
fn a_process_that_fails_before_its_instance_is_ready_fails_the_boot() {
    let mut world = World::blocked(vec![with_processes(server("a", &[]), &[ALWAYS, NEVER])], &["probe a/0"]);
    world.crash("a/1");
    assert_eq!(
        world.exit(),
        Some(
            "boot failed: a failed to start: process `p1` ended with exit status 1 before it was ready; its log is empty"
        )
    );
    assert!(world.running.is_empty());
}

#[test]
fn a_ready_instance_that_restarts_during_the_boot_does_not_fail_it() {
    let mut world = World::blocked(vec![server("a", &[]), server("b", &[])], &["probe b/0"]);
    world.crash("a/0");
    world.finish("probe b/0");
    assert!(!world.saw("booted"));
    world.wait_s(1);
    assert!(world.saw("booted"));
}

#[test]
fn a_node_that_dies_is_created_again_and_its_processes_are_restarted() {
    let mut world = World::booted(vec![on_node("n1", server("a", &[])), on_node("n1", server("b", &[]))]);
    world.end_node("n1", &["a/0", "b/0"]);
    world.wait_s(1);
    assert_eq!(world.count("begin create node n1"), 2);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_slow_node_causes_no_busy_loop() {
    let mut world = World::booted(vec![on_node("n1", server("a", &[]))]);
    world.block("create node n1");
    world.end_node("n1", &["a/0"]);
    world.wait_s(20);
    world.finish("create node n1");
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn the_backoff_of_a_node_grows() {
    let mut world = World::booted(vec![on_node("n1", server("a", &[]))]);
    world.fail("create node n1", Fault::new("no links"));
    world.end_node("n1", &["a/0"]);
    world.wait_s(300);
    let attempts = world.count("begin create node n1");
    assert!((8..=16).contains(&attempts), "{attempts} attempts");
    world.heal("create node n1");
    world.wait_s(31);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_failed_node_whose_instance_waits_for_a_role_causes_no_busy_loop() {
    let mut world = World::failing(
        vec![server("a", &[]), on_node("n1", server("b", &["a"]))],
        "create node n1",
        super::spec::transient(),
    );
    world.block("probe a/0");
    world.crash("a/0");
    world.wait_s(20);
    world.heal("create node n1");
    world.finish("probe a/0");
    world.wait_s(30);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn inputs_of_an_earlier_run_are_ignored() {
    let mut world = World::booted(vec![spec("a")]);
    let old = *world.running.first().expect("it runs");
    world.crash("a/0");
    world.wait_s(1);
    let before = world.trace.len();
    world.feed(super::world::ended(old, false));
    world.feed(Input::Spawned(old));
    world.feed(Input::SpawnFailed(old, Fault::new("late")));
    assert_eq!(world.trace.len(), before);
    assert!(world.runs("a/0"));
}

#[test]
fn an_instance_without_processes_is_never_counted_as_restarted() {
    let world = World::booted(vec![InstanceSpec { processes: Vec::new(), ..spec("a") }]);
    assert_eq!(restarts(&world), 0);
}
