//! Tests of changes, which are committed or rolled back as a whole.

use super::spec::{control_plane, on_node, plan, server, spec};
use super::world::World;
use crate::engine::reducer::{ChangePlan, Fault, Input, InstanceSpec, RequestId, RequestKind};
use crate::engine::{ClusterState, InstanceState};
use kubernix_core::roles;

/// Replaces the scheduler.
fn replace() -> ChangePlan {
    plan(&[2], vec![(3, server("new", &["apiserver"]))], &[0, 1, 3])
}

/// Replaces the scheduler, drains a node, switches a node off and another one on.
fn with_nodes() -> ChangePlan {
    ChangePlan {
        drain: vec!["n2".into()],
        off: vec!["n2".into()],
        on: vec!["n3".into()],
        off_before: vec!["n3".into()],
        on_before: vec!["n2".into()],
        ..replace()
    }
}

#[track_caller]
fn assert_restored(world: &World) {
    assert!(world.runs("scheduler/0") && !world.runs("new/0"), "{:#?}", world.trace);
    assert_eq!(world.reducer.state(), ClusterState::Running);
    assert_eq!((world.instance(2), world.instance(3)), (Some(InstanceState::Ready), None));
    assert_eq!(world.reducer.revision(), 7);
    assert!(world.works.is_empty());
}

/// Begins a change that blocks at this work.
fn blocked_at(work: &str) -> (World, RequestId) {
    let mut world = World::booted(control_plane());
    let change = {
        world.block(work);
        world.change(with_nodes())
    };
    assert!(world.is_active(work), "{work} in {:#?}", world.trace);
    (world, change)
}

/// Begins a change in which this work fails.
fn failing_at(work: &str, why: &str) -> (World, RequestId) {
    let mut world = World::booted(control_plane());
    world.fail(work, Fault::new(why));
    let change = world.change(with_nodes());
    (world, change)
}

/// The work of each stage of a change.
const STAGES: [&str; 8] = [
    "plan",
    "drain n2",
    "hook scheduler",
    "mark nodes off= on=n3",
    "prepare new",
    "probe new/0",
    "mark nodes off=n2 on=n3",
    "commit",
];

#[test]
fn an_empty_change_is_committed_without_restarts() {
    let mut world = World::booted(control_plane());
    let change = world.change(plan(&[], Vec::new(), &[0, 1, 2]));
    assert_eq!((world.answer(change), world.reducer.revision()), ("changed", 8));
    assert!(!world.mentioned("stop "));
    assert_eq!(world.count("spawn etcd/0"), 1);
}

#[test]
fn a_replacement_stops_the_old_instance_starts_the_new_one_and_commits() {
    let mut world = World::booted(control_plane());
    let change = world.change(replace());
    world.assert_order(&["watch 1", "begin plan", "adopt", "begin hook scheduler", "stopped scheduler"]);
    world.assert_order(&["stopped scheduler", "order etcd apiserver new", "spawn new/0", "ready new"]);
    world.assert_order(&["ready new", "begin commit", "answer 1: changed"]);
    assert_eq!((world.answer(change), world.reducer.revision()), ("changed", 8));
    assert_eq!((world.instance(2), world.instance(3)), (None, Some(InstanceState::Ready)));
    assert!(!world.runs("scheduler/0"));
}

#[test]
fn nodes_are_drained_and_marked_in_order() {
    let mut world = World::booted(control_plane());
    world.change(with_nodes());
    world.assert_order(&["begin drain n2", "stopped scheduler", "begin mark nodes off= on=n3", "spawn new/0"]);
    world.assert_order(&["ready new", "begin mark nodes off=n2 on=n3", "begin commit", "answer 1: changed"]);
    assert!(!world.mentioned("uncordon"));
}

#[test]
fn the_state_is_changing_during_a_change() {
    let (world, _) = blocked_at("probe new/0");
    assert_eq!(world.reducer.state(), ClusterState::Changing);
}

#[test]
fn a_failed_plan_changes_nothing() {
    let mut world = World::booted(control_plane());
    world.fail("plan", Fault::new("there is no component foo"));
    let change = world.change(replace());
    assert_eq!(world.answer(change), "change failed restored=true: there is no component foo");
    assert!(!world.mentioned("adopt") && !world.mentioned("stop "));
    assert_restored(&world);
}

#[test]
fn a_failed_new_instance_triggers_a_rollback() {
    for what in ["prepare new", "spawn new/0", "probe new/0"] {
        let mut world = World::booted(control_plane());
        world.fail(what, Fault::new("broken"));
        let change = world.change(replace());
        assert_eq!(world.answer(change), "change failed restored=true: new failed to start: broken", "{what}");
        world.assert_order(&["adopt", "restore"]);
        assert_restored(&world);
        let order = world.trace.iter().rfind(|line| line.starts_with("order "));
        assert_eq!(order.map(String::as_str), Some("order etcd apiserver scheduler"));
    }
}

#[test]
fn a_new_instance_that_times_out_triggers_a_rollback() {
    let (mut world, change) = blocked_at("probe new/0");
    world.wait_s(62);
    assert_eq!(world.answer(change), "change failed restored=true: still waiting for new (starting)");
    assert_restored(&world);
}

#[test]
fn a_failed_drain_uncordons_and_stops_nothing() {
    let (world, change) = failing_at("drain n2", "a pod doesn't go");
    assert_eq!(world.answer(change), "change failed restored=true: a pod doesn't go");
    assert!(world.saw("begin uncordon n2") && !world.mentioned("stop scheduler"));
    assert_restored(&world);
}

#[test]
fn a_failed_commit_triggers_a_rollback() {
    let (world, change) = failing_at("commit", "no space left on device");
    assert_eq!(world.answer(change), "change failed restored=true: no space left on device");
    assert!(world.saw("begin uncordon n2") && world.saw("begin mark nodes off=n3 on=n2"));
    assert_restored(&world);
}

#[test]
fn a_change_can_be_cancelled_at_each_stage_before_the_commit() {
    for stage in &STAGES[..7] {
        let (mut world, change) = blocked_at(stage);
        world.feed(Input::Cancel(change));
        if *stage == "hook scheduler" {
            world.finish(stage);
        }
        assert_eq!(world.answer(change), "change failed restored=true: interrupted", "{stage}");
        let was_planned = *stage != "plan";
        assert_eq!(world.saw("begin uncordon n2"), was_planned, "{stage}");
        assert_restored(&world);
    }
}

#[test]
fn a_commit_can_not_be_cancelled() {
    let (mut world, change) = blocked_at("commit");
    world.feed(Input::Cancel(change));
    world.finish("commit");
    assert_eq!((world.answer(change), world.reducer.revision()), ("changed", 8));
    assert!(world.runs("new/0"));
}

#[test]
fn a_second_cancel_is_ignored() {
    let (mut world, change) = blocked_at("probe new/0");
    world.block("probe scheduler/0");
    world.feed(Input::Cancel(change));
    world.feed(Input::Cancel(change));
    world.finish("probe scheduler/0");
    assert_eq!(world.answer(change), "change failed restored=true: interrupted");
    assert_restored(&world);
}

#[test]
fn a_stop_at_each_stage_stops_everything_and_answers_the_change() {
    for stage in &STAGES {
        let (mut world, change) = blocked_at(stage);
        let stop = world.request(RequestKind::Stop);
        if matches!(*stage, "commit" | "hook scheduler") {
            world.finish(stage);
        }
        assert_eq!((world.answer(stop), world.exit()), ("ended", Some("ordered")), "{stage}");
        world.assert_answered_once([change]);
        assert!(world.running.is_empty() && world.works.is_empty(), "{stage}");
    }
}

#[test]
fn a_kill_at_each_stage_answers_the_change() {
    for stage in &STAGES {
        let (mut world, change) = blocked_at(stage);
        world.feed(Input::Kill);
        assert_eq!(world.exit(), Some("ordered"), "{stage}");
        world.assert_answered_once([change]);
        assert!(world.works.is_empty(), "{stage}");
    }
}

#[test]
fn a_stop_waits_for_a_running_commit() {
    let (mut world, change) = blocked_at("commit");
    world.request(RequestKind::Stop);
    assert!(world.running.is_empty() && world.answers(change).is_empty());
    assert_eq!(world.exit(), None, "the result of the commit has to be known");
    world.finish("commit");
    assert_eq!((world.answer(change), world.reducer.revision()), ("changed", 8));
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn a_commit_that_fails_during_a_stop_keeps_the_old_state() {
    let (mut world, change) = blocked_at("commit");
    world.request(RequestKind::Stop);
    world.finish_failed("commit", Fault::new("input/output error"));
    assert_eq!(world.answer(change), "change failed restored=false: input/output error");
    assert_eq!((world.exit(), world.reducer.revision()), (Some("ordered"), 7));
}

#[test]
fn a_failed_rollback_is_reported_and_retried() {
    for what in ["prepare scheduler", "spawn scheduler/0", "probe scheduler/0"] {
        let mut world = World::booted(control_plane());
        world.fail("probe new/0", Fault::new("broken")).fail(what, Fault::new("broken too"));
        let change = world.change(replace());
        let answer = "change failed restored=false: new failed to start: broken\n\
                      the previous instances aren't ready: scheduler failed to start: broken too";
        assert_eq!(world.answer(change), answer, "{what}");
        world.wait_s(5);
        world.heal(what);
        world.wait_s(30);
        assert_restored(&world);
    }
}

#[test]
fn images_that_fail_in_a_rollback_are_retried() {
    let addon = InstanceSpec { has_builds: true, ..server("addon", &[]) };
    let mut world = World::booted(vec![server("etcd", &[]), addon]);
    world.fail("probe new/0", Fault::new("broken")).fail("images addon", Fault::new("no space left"));
    let change = world.change(plan(&[1], vec![(2, server("new", &[]))], &[0, 2]));
    assert!(world.answer(change).contains("the previous instances aren't ready"));
    world.heal("images addon");
    let before = world.count("begin images addon");
    world.wait_s(2);
    assert_eq!(world.count("begin images addon"), before + 1);
}

#[test]
fn images_of_kept_instances_are_loaded_into_a_new_runtime_and_retried() {
    let addon = InstanceSpec { has_builds: true, ..server("addon", &[]) };
    let runtime = |name| super::spec::with_roles(name, &[roles::CRI], &[]);
    let mut world = World::booted(vec![runtime("old"), addon]);
    world.fail("images addon", Fault::new("no space left"));
    let change = world.change(plan(&[0], vec![(2, runtime("new"))], &[2, 1]));
    assert!(world.answer(change).contains("images of addon failed: no space left"), "{}", world.answer(change));
    world.heal("images addon");
    let before = world.count("begin images addon");
    world.wait_s(5);
    assert_eq!(world.count("begin images addon"), before + 1);
    assert!(world.runs("old/0"));
}

#[test]
fn removing_a_starting_addon_cancels_all_its_work() {
    for stage in ["prepare addon", "probe addon/0", "images addon", "apply addon"] {
        let addon = InstanceSpec { has_builds: true, has_manifests: true, ..server("addon", &[]) };
        let api = super::spec::with_roles("api", &[roles::APISERVER], &[]);
        let mut world = World::blocked(vec![api, super::spec::background(addon)], &[stage]);
        assert!(world.saw("booted") && world.is_active(stage), "{stage}");
        let change = world.change(plan(&[1], Vec::new(), &[0]));
        assert_eq!(world.answer(change), "changed", "{stage}");
        assert!(world.saw(&format!("abandon {stage}")) && !world.runs("addon/0"), "{stage}");
        world.wait_s(100);
        assert!(!world.runs("addon/0") && world.works.is_empty(), "{stage}");
        assert_eq!(world.reducer.state(), ClusterState::Running, "{stage}");
    }
}

#[test]
fn a_removed_addon_that_is_being_spawned_is_stopped_when_it_runs() {
    let mut world =
        World::blocked(vec![server("etcd", &[]), super::spec::background(server("addon", &[]))], &["spawn addon/0"]);
    let change = world.change(plan(&[1], Vec::new(), &[0]));
    assert!(world.answers(change).is_empty());
    world.finish("spawn addon/0");
    assert_eq!(world.answer(change), "changed");
    assert!(!world.runs("addon/0"));
}

#[test]
fn a_node_is_created_for_its_first_and_ended_after_its_last_instance() {
    let mut world = World::booted(control_plane());
    world.change(plan(&[], vec![(3, on_node("n1", spec("a"))), (4, on_node("n1", spec("b")))], &[0, 1, 2, 3, 4]));
    assert_eq!(world.count("begin create node n1"), 1);
    world.change(plan(&[3], Vec::new(), &[0, 1, 2, 4]));
    assert!(!world.mentioned("end node n1"));
    let last = world.change(plan(&[4], Vec::new(), &[0, 1, 2]));
    world.assert_order(&["stopped b", "begin end node n1"]);
    assert_eq!(world.answer(last), "changed");
}

#[test]
fn a_change_waits_for_the_end_of_a_removed_node() {
    let mut world = World::booted(vec![server("etcd", &[]), on_node("n1", spec("a"))]);
    world.block("end node n1");
    let change = world.change(plan(&[1], Vec::new(), &[0]));
    assert!(world.answers(change).is_empty());
    world.finish("end node n1");
    assert_eq!(world.answer(change), "changed");
}

#[test]
fn a_rollback_ends_a_node_once_its_creation_is_done() {
    let mut world = World::booted(control_plane());
    world.block("create node n1").fail("create node n2", Fault::new("no address left"));
    let nodes = vec![(3, on_node("n1", spec("a"))), (4, on_node("n2", spec("b")))];
    let change = world.change(plan(&[], nodes, &[0, 1, 2, 3, 4]));
    assert!(world.answers(change).is_empty());
    world.finish("create node n1");
    assert_eq!(world.answer(change), "change failed restored=true: b failed to start: no address left");
    assert_eq!(world.count("begin end node n1"), 1);
    assert!(!world.mentioned("spawn a/0"));
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_node_that_dies_while_its_instances_start_is_created_again() {
    let mut world = World::booted(control_plane());
    world.block("prepare a");
    let change = world.change(plan(&[], vec![(3, on_node("n1", server("a", &[])))], &[0, 1, 2, 3]));
    world.feed(Input::NodeEnded("n1".into()));
    world.fail("spawn a/0", Fault { transient: true, ..Fault::new("node n1 doesn't run") });
    world.finish("prepare a");
    world.heal("spawn a/0");
    world.wait_s(5);
    world.finish("prepare a");
    assert_eq!(world.answer(change), "changed");
    assert_eq!(world.count("begin create node n1"), 2);
}

#[test]
fn a_change_based_on_an_older_revision_is_stale() {
    let mut world = World::booted(control_plane());
    world.block("commit");
    let first = world.change(replace());
    let second = world.change(plan(&[1], Vec::new(), &[0, 2]));
    world.finish("commit");
    assert_eq!((world.answer(first), world.answer(second)), ("changed", "stale"));
    assert!(world.runs("apiserver/0"));
}

#[test]
fn a_failed_change_does_not_make_queued_changes_stale() {
    let mut world = World::booted(control_plane());
    world.block("probe new/0");
    let first = world.change(replace());
    let second = world.change(plan(&[], vec![(9, server("other", &[]))], &[0, 1, 2, 9]));
    world.feed(Input::Cancel(first));
    assert_eq!(world.answer(second), "changed");
    assert!(world.runs("scheduler/0") && world.runs("other/0"));
}

#[test]
fn a_process_exit_during_a_change_does_not_fail_it() {
    let (mut world, change) = blocked_at("probe new/0");
    world.crash("etcd/0");
    world.wait_s(1);
    world.finish("probe new/0");
    assert_eq!(world.answer(change), "changed");
    assert!(world.runs("etcd/0"));
}

#[test]
fn nodes_are_marked_as_off_right_before_the_commit() {
    let (world, _) = blocked_at("commit");
    assert!(world.saw("begin mark nodes off=n2 on=n3"));
    assert_eq!(world.reducer.revision(), 7);
}

#[test]
fn failures_to_mark_or_uncordon_nodes_are_warnings() {
    let mut world = World::booted(control_plane());
    world.fail("mark nodes off= on=n3", Fault::new("refused")).fail("uncordon n2", Fault::new("refused"));
    world.fail("commit", Fault::new("no space left"));
    world.change(with_nodes());
    let warnings: Vec<&String> = world.trace.iter().filter(|line| line.contains("refused")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}
