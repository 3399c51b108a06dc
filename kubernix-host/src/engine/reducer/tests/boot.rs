//! Tests of the boot: order, host steps, nodes, failures.

use super::spec::{background, control_plane, on_node, role, server, spec, transient, with_roles};
use super::world::{BOOT_LIMIT, World};
use crate::engine::reducer::{Fault, Input, InstanceSpec};
use crate::engine::{ClusterState, InstanceState};
use kubernix_core::roles;
use std::time::Duration;

/// A runtime, an API server, and an addon with images and objects.
fn with_addon() -> Vec<InstanceSpec> {
    let addon = InstanceSpec { has_builds: true, has_manifests: true, processes: Vec::new(), ..spec("addon") };
    vec![with_roles("runtime", &[roles::CRI], &[]), with_roles("api", &[roles::APISERVER], &[]), addon]
}

#[test]
fn an_instance_starts_when_the_roles_it_waits_for_are_ready() {
    let world = World::booted(control_plane());
    world.assert_order(&["role ready etcd", "spawn apiserver/0", "role ready apiserver", "spawn scheduler/0"]);
    world.assert_order(&["prepare etcd", "spawn etcd/0", "probe etcd/0", "ready etcd"].map(|line| match line {
        "prepare etcd" => "begin prepare etcd",
        "probe etcd/0" => "begin probe etcd/0",
        other => other,
    }));
}

#[test]
fn independent_instances_start_concurrently() {
    let world = World::blocked(vec![server("a", &[]), server("b", &[])], &["probe a/0", "probe b/0"]);
    assert!(world.runs("a/0") && world.runs("b/0"));
}

#[test]
fn an_instance_without_endpoints_is_ready_when_it_runs() {
    let world = World::booted(vec![spec("a")]);
    world.assert_order(&["spawn a/0", "started a", "ready a", "boot ready", "booted"]);
}

#[test]
fn an_instance_without_a_process_is_ready_when_it_is_prepared() {
    let world = World::booted(vec![InstanceSpec { processes: Vec::new(), ..spec("a") }]);
    world.assert_order(&["begin prepare a", "ready a", "booted"]);
}

#[test]
fn dependents_wait_for_one_endpoint_and_readiness_for_all() {
    let mut world =
        World::blocked(vec![with_roles("a", &["x", "y"], &[]), with_roles("b", &[], &["x"])], &["probe a/1"]);
    assert!(world.runs("b/0"));
    assert_eq!(world.instance(0), Some(InstanceState::Starting));
    world.finish("probe a/1");
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
    assert!(world.saw("booted"));
}

#[test]
fn the_boot_waits_for_the_host_steps() {
    for step in ["pause image", "default namespace", "prune"] {
        let mut world = World::blocked(with_addon(), &[step]);
        assert_eq!(world.reducer.state(), ClusterState::Booting, "{step}");
        world.finish(step);
        assert_eq!(world.reducer.state(), ClusterState::Running, "{step}");
    }
}

#[test]
fn host_steps_wait_for_their_roles() {
    let mut world = World::blocked(with_addon(), &["probe runtime/0", "probe api/0"]);
    for step in ["pause image", "default namespace", "prune", "images addon"] {
        assert!(!world.is_active(step) && !world.saw(&format!("begin {step}")), "{step}");
    }
    world.finish("probe runtime/0");
    assert!(world.saw("begin pause image") && world.saw("begin images addon"));
    assert!(!world.mentioned("begin apply addon"));
    world.finish("probe api/0");
    world.assert_order(&["begin images addon", "begin apply addon", "begin prune", "booted"]);
}

#[test]
fn a_failing_host_step_fails_the_boot() {
    let world = World::failing(with_addon(), "pause image", Fault::new("no space left"));
    assert_eq!(world.exit(), Some("boot failed: pause image failed: no space left"));
    assert!(world.running.is_empty());
}

#[test]
fn a_cluster_without_runtime_and_api_skips_their_host_steps() {
    let world = World::booted(vec![spec("a")]);
    assert!(!world.mentioned("pause image") && !world.mentioned("default namespace"));
}

#[test]
fn objects_without_an_api_server_fail_the_boot() {
    let mut world = World::new(vec![InstanceSpec { has_manifests: true, ..spec("a") }]);
    world.go();
    assert_eq!(world.exit(), Some("boot failed: manifests of a failed: the cluster has no API server"));
}

#[test]
fn a_process_that_exits_before_it_is_ready_fails_the_boot_and_stops_the_rest() {
    let mut world = World::booting();
    world.crash("apiserver/0");
    assert_eq!(
        world.exit(),
        Some(
            "boot failed: apiserver failed to start: process `apiserver` ended with exit status 1 before it was ready; its log is empty"
        )
    );
    assert!(world.running.is_empty() && world.works.is_empty());
    world.assert_order(&[
        "failed apiserver: apiserver failed to start: process `apiserver` ended with exit status 1 before it was ready",
        "record end Boot",
        "stop etcd/0",
    ]);
}

#[test]
fn a_failing_preparation_fails_the_boot() {
    let world = World::failing(control_plane(), "prepare apiserver", Fault::new("read-only file system"));
    assert_eq!(world.exit(), Some("boot failed: apiserver failed to start: read-only file system"));
}

#[test]
fn a_missing_binary_fails_the_boot() {
    let world = World::failing(control_plane(), "spawn etcd/0", Fault::new("no such file"));
    assert_eq!(world.exit(), Some("boot failed: etcd failed to start: no such file"));
}

#[test]
fn a_temporary_resource_shortage_only_delays_the_boot() {
    let mut world = World::failing(control_plane(), "spawn etcd/0", transient());
    world.wait_s(2);
    assert_eq!(world.exit(), None);
    world.heal("spawn etcd/0");
    world.wait_s(5);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_permanent_resource_shortage_fails_the_boot() {
    let mut world = World::failing(vec![server("etcd", &[])], "spawn etcd/0", transient());
    world.wait(BOOT_LIMIT + Duration::from_secs(2));
    assert!(world.exit().is_some_and(|exit| exit.starts_with("boot timed out: ") && exit.contains("etcd")));
}

#[test]
fn a_boot_that_times_out_names_the_missing_instances() {
    let mut world = World::booting();
    world.wait(BOOT_LIMIT);
    assert_eq!(world.exit(), None);
    world.wait_s(1);
    let late = "boot timed out: not ready after 60 s: apiserver, scheduler\n\
                still waiting for apiserver (starting), scheduler (waiting)";
    assert_eq!(world.exit(), Some(late));
}

#[test]
fn a_probe_that_times_out_reports_its_last_result() {
    let mut world = World::booting();
    world.wait(BOOT_LIMIT);
    world.finish_failed("probe apiserver/0", Fault::timeout("connection refused"));
    assert!(
        world.exit().is_some_and(|exit| exit.starts_with("boot timed out: ") && exit.ends_with("connection refused"))
    );
}

#[test]
fn an_interrupted_boot_stops_the_started_instances() {
    let mut world = World::blocked(control_plane(), &["probe apiserver/0", "default namespace"]);
    world.feed(Input::AbortBoot);
    assert_eq!(world.exit(), Some("boot failed: interrupted"));
    assert!(world.running.is_empty() && world.works.is_empty());
}

#[test]
fn the_exit_of_the_command_after_the_boot_is_ignored() {
    let mut world = World::booted(control_plane());
    world.feed(Input::AbortBoot);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_kill_during_the_boot_exits_at_once() {
    let mut world = World::booting();
    world.feed(Input::Kill);
    assert_eq!(world.exit(), Some("ordered"));
    assert!(world.works.is_empty() && !world.mentioned("stop etcd"));
}

#[test]
fn a_second_interrupt_kills_a_boot_but_not_a_running_cluster() {
    let mut world = World::blocked(control_plane(), &["probe apiserver/0", "hook etcd"]);
    world.feed(Input::AbortBoot);
    assert_eq!(world.exit(), None);
    world.feed(Input::KillBoot);
    assert_eq!(world.exit(), Some("boot failed: interrupted"));
    let mut world = World::booted(control_plane());
    world.feed(Input::KillBoot);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn the_exit_of_the_keeper_during_the_boot_is_reported() {
    let mut world = World::booting();
    world.feed(Input::KeeperGone);
    assert_eq!(world.exit(), Some("keeper gone"));
}

#[test]
fn a_background_instance_is_retried_after_the_boot() {
    let mut world = World::blocked(vec![server("etcd", &[]), background(server("addon", &[]))], &["probe addon/0"]);
    assert!(world.saw("booted"));
    assert_eq!(world.reducer.state(), ClusterState::Degraded);
    world.wait(BOOT_LIMIT * 3);
    world.finish_failed("probe addon/0", Fault::new("answers 500"));
    world.wait_s(1);
    assert!(world.is_active("probe addon/0"));
    world.finish("probe addon/0");
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn images_and_objects_of_a_background_instance_are_retried() {
    let mut specs = with_addon();
    specs[2].background = true;
    for what in ["images addon", "apply addon"] {
        let mut world = World::failing(specs.clone(), what, Fault::new("refused"));
        assert!(world.saw("booted"), "{what}");
        world.wait_s(4);
        assert_eq!(world.count(&format!("begin {what}")), 3, "{what}");
        world.heal(what);
        world.wait_s(4);
        assert_eq!(world.count("begin apply addon"), if what == "apply addon" { 4 } else { 1 });
    }
}

#[test]
fn a_node_is_created_once_for_all_its_instances() {
    let mut world =
        World::blocked(vec![on_node("n1", server("a", &[])), on_node("n1", server("b", &[]))], &["create node n1"]);
    assert!(world.running.is_empty());
    world.finish("create node n1");
    assert!(world.runs("a/0") && world.runs("b/0"));
    assert_eq!(world.count("begin create node n1"), 1);
}

#[test]
fn a_node_that_can_not_be_created_fails_the_boot() {
    let world = World::failing(vec![on_node("n1", spec("a"))], "create node n1", Fault::new("too many links"));
    assert_eq!(world.exit(), Some("boot failed: a failed to start: too many links"));
}

#[test]
fn a_transient_node_failure_is_retried() {
    let mut world = World::failing(vec![on_node("n1", spec("a"))], "create node n1", transient());
    world.wait_s(3);
    assert_eq!(world.exit(), None);
    world.heal("create node n1");
    world.wait_s(10);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn instances_of_a_switched_off_node_are_not_started() {
    let off = InstanceSpec { off: true, ..on_node("n1", server("a", &[])) };
    let world = World::booted(vec![off, spec("b")]);
    assert_eq!(world.instance(0), Some(InstanceState::Stopped));
    assert!(!world.mentioned("create node") && !world.runs("a/0"));
}

#[test]
fn roles_of_nodes_become_ready() {
    let world = World::booted(vec![with_roles("a", &["cri@n1"], &[]), with_roles("b", &[], &["cri@n1"])]);
    assert_eq!(role("cri@n1").node.as_deref(), Some("n1"));
    world.assert_order(&["role cri true", "spawn b/0"]);
}
