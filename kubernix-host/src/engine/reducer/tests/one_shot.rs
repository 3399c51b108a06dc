//! Tests of one-shot processes, which have to succeed before the next ones of their instance start.

use super::spec::{on_node, one_shot, process, server};
use super::world::World;
use crate::engine::InstanceState;
use crate::engine::reducer::InstanceSpec;
use kubernix_core::Restart;

/// An instance with a one-shot process between two other processes.
fn instance() -> InstanceSpec {
    let processes = vec![process("first", Restart::ALWAYS), one_shot("once"), process("last", Restart::ALWAYS)];
    InstanceSpec { processes, ..server("a", &[]) }
}

#[test]
fn later_processes_wait_for_the_success_of_a_one_shot_process() {
    let mut world = World::new(vec![instance()]);
    world.go();
    assert!(world.runs("a/0") && world.runs("a/1") && !world.saw("spawn a/2"));
    assert!(!world.mentioned("begin probe a"), "the instance hasn't started");
    assert_eq!(world.instance(0), Some(InstanceState::Starting));
    world.end("a/1", true);
    assert!(world.runs("a/2") && world.saw("boot ready"));
    assert!(!world.mentioned("exited"), "its success is no event");
}

#[test]
fn a_failed_one_shot_process_fails_the_boot() {
    let mut world = World::new(vec![instance()]);
    world.go();
    world.crash("a/1");
    let exit = world.exit().map(str::to_owned).unwrap_or_default();
    assert!(exit.contains("process `once` ended with exit status 1 before it was ready"), "{exit}");
}

#[test]
fn a_failed_one_shot_process_of_a_background_instance_is_retried() {
    let mut world = World::new(vec![super::spec::background(instance()), server("b", &[])]);
    world.go();
    world.crash("a/1");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/0"), world.count("spawn a/1"), world.count("spawn a/2")), (1, 2, 0));
    world.end("a/1", true);
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
}

#[test]
fn a_restart_of_another_process_does_not_rerun_a_one_shot_process() {
    let mut world = World::new(vec![instance()]);
    world.go();
    world.end("a/1", true);
    world.crash("a/2");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/1"), world.count("spawn a/2")), (1, 2));
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
}

#[test]
fn a_one_shot_process_that_succeeds_during_back_off_is_not_rerun() {
    let mut world = World::new(vec![super::spec::background(instance()), server("b", &[])]);
    world.go();
    world.crash("a/0");
    world.end("a/1", true);
    assert!(!world.saw("spawn a/2"), "the instance backs off");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/0"), world.count("spawn a/1"), world.count("spawn a/2")), (2, 1, 1));
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
}

#[test]
fn a_recreated_node_reruns_one_shot_processes() {
    let mut world = World::new(vec![on_node("n1", instance())]);
    world.go();
    world.end("a/1", true);
    world.end_node("n1", &["a/0", "a/2"]);
    world.wait_s(1);
    assert_eq!((world.count("spawn a/1"), world.count("spawn a/2")), (2, 1));
    world.end("a/1", true);
    assert_eq!((world.count("spawn a/2"), world.instance(0)), (2, Some(InstanceState::Ready)));
}
