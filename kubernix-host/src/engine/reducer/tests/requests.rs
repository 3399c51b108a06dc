//! Tests of requests: their order, and that each gets one answer.

use super::spec::{control_plane, plan, server};
use super::world::World;
use crate::control::Reply;
use crate::engine::ClusterState;
use crate::engine::reducer::{Fault, Input, Outcome, RequestId, RequestKind};

/// Each kind of request except a stop.
const KINDS: [RequestKind; 5] = [
    RequestKind::Change { base: 7 },
    RequestKind::Exclusive,
    RequestKind::Copy,
    RequestKind::Report { check: false },
    RequestKind::Report { check: true },
];

fn request_all(world: &mut World) -> Vec<RequestId> {
    KINDS
        .iter()
        .map(|kind| {
            world.plan_next(plan(&[], Vec::new(), &[0, 1, 2]));
            world.request(*kind)
        })
        .collect()
}

fn answers(world: &World, requests: &[RequestId]) -> Vec<String> {
    requests.iter().map(|request| world.answer(*request).to_owned()).collect()
}

/// The outcome of a request that publishes ports.
fn committed() -> Outcome {
    Outcome::Committed(Box::new(Reply::Ports { ports: Vec::new() }))
}

/// A cluster that performs a first request of this kind, which blocks.
fn busy(kind: RequestKind) -> (World, RequestId) {
    let mut world = World::booted(control_plane());
    world.block("perform 1");
    let request = world.request(kind);
    (world, request)
}

#[test]
fn a_booting_cluster_rejects_all_requests_but_reports() {
    let mut world = World::blocked(control_plane(), &["probe etcd/0"]);
    let requests = request_all(&mut world);
    let busy = "the cluster is still booting";
    let expected = [format!("refused: {busy}"), format!("failed: {busy}"), format!("failed: {busy}")];
    assert_eq!(answers(&world, &requests)[..3], expected);
    assert_eq!(answers(&world, &requests)[3..], ["report", "report"]);
}

#[test]
fn a_running_cluster_answers_every_kind_once() {
    let mut world = World::booted(control_plane());
    let requests = request_all(&mut world);
    assert_eq!(answers(&world, &requests), ["changed", "ports", "ports", "report", "report"]);
}

#[test]
fn a_stopping_cluster_rejects_all_requests_but_reports_and_stops() {
    let mut world = World::booted(control_plane());
    world.block("hook scheduler");
    let stop = world.request(RequestKind::Stop);
    let requests = request_all(&mut world);
    let over = "the cluster is ending";
    let expected = [format!("refused: {over}"), format!("failed: {over}"), format!("failed: {over}")];
    assert_eq!(answers(&world, &requests)[..3], expected);
    assert!(world.answers(stop).is_empty());
    world.finish("hook scheduler");
    assert_eq!(world.answer(stop), "ended");
}

#[test]
fn pending_requests_are_answered_when_the_cluster_is_killed() {
    let (mut world, first) = busy(RequestKind::Exclusive);
    world.block("check etcd");
    let requests = request_all(&mut world);
    world.feed(Input::Kill);
    world.assert_answered_once(requests.into_iter().chain([first]));
}

#[test]
fn pending_requests_are_answered_when_the_cluster_stops() {
    let (mut world, first) = busy(RequestKind::Copy);
    world.block("check etcd");
    let requests = request_all(&mut world);
    let stop = world.request(RequestKind::Stop);
    world.assert_answered_once(requests.into_iter().chain([first, stop]));
    assert!(world.works.is_empty());
}

#[test]
fn exclusive_requests_are_performed_one_at_a_time_in_order() {
    let mut world = World::booted(control_plane());
    world.block("perform 1").block("perform 2").block("commit");
    let first = world.request(RequestKind::Exclusive);
    let second = world.request(RequestKind::Exclusive);
    assert!(!world.is_active("perform 2"));
    world.finish("perform 1");
    assert!(world.is_active("perform 2") && !world.answers(first).is_empty());
    let revision = world.reducer.revision();
    world.plan_next(plan(&[], Vec::new(), &[0, 1, 2]));
    let change = world.request(RequestKind::Change { base: revision });
    assert!(!world.saw("begin plan"));
    world.finish("perform 2");
    assert!(world.saw("begin plan") && !world.answers(second).is_empty());
    let last = world.request(RequestKind::Exclusive);
    assert!(!world.saw("begin perform 4"));
    world.finish("commit");
    assert_eq!((world.answer(change), world.answer(last)), ("changed", "ports"));
}

#[test]
fn a_failed_request_reports_its_error_and_the_next_one_begins() {
    let mut world = World::booted(control_plane());
    world.fail("perform 1", Fault::new("port 80 is taken"));
    let requests = [world.request(RequestKind::Exclusive), world.request(RequestKind::Exclusive)];
    assert_eq!(answers(&world, &requests), ["failed: port 80 is taken", "ports"]);
}

#[test]
fn only_a_successful_request_increments_the_revision() {
    let mut world = World::booted(control_plane());
    world.request(RequestKind::Exclusive);
    assert_eq!(world.reducer.revision(), 8);
    world.fail("perform 2", Fault::new("port 80 is taken"));
    world.request(RequestKind::Exclusive);
    assert_eq!(world.reducer.revision(), 8);
}

#[test]
fn a_change_queued_behind_a_committed_request_is_stale() {
    let (mut world, port) = busy(RequestKind::Exclusive);
    let change = world.change(plan(&[], Vec::new(), &[0, 1, 2]));
    world.finish_with("perform 1", committed());
    assert_eq!((world.answer(port), world.answer(change)), ("ports", "stale"));
    assert!(!world.saw("begin plan"), "the command retries the change, based on the new revision");
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn an_exclusive_request_waits_for_a_running_change() {
    let mut world = World::booted(control_plane());
    world.block("commit");
    let change = world.change(plan(&[], vec![(3, server("addon", &[]))], &[0, 1, 2, 3]));
    let port = world.request(RequestKind::Exclusive);
    assert!(world.answers(port).is_empty());
    world.finish("commit");
    world.assert_order(&["begin commit", "answer 1: changed", "begin perform 2", "answer 2: ports"]);
    assert_eq!((world.answer(change), world.reducer.revision()), ("changed", 9));
}

#[test]
fn a_queued_request_can_be_cancelled() {
    let (mut world, _) = busy(RequestKind::Exclusive);
    let change = world.change(plan(&[], Vec::new(), &[0, 1, 2]));
    let port = world.request(RequestKind::Exclusive);
    world.feed(Input::Cancel(change));
    world.feed(Input::Cancel(port));
    assert_eq!((world.answer(change), world.answer(port)), ("refused: interrupted", "failed: interrupted"));
    world.finish("perform 1");
    assert!(!world.saw("begin plan") && !world.saw("begin perform 3"));
}

#[test]
fn a_cancel_of_an_unknown_or_answered_request_is_ignored() {
    let mut world = World::booted(control_plane());
    let change = world.change(plan(&[], Vec::new(), &[0, 1, 2]));
    world.feed(Input::Cancel(change));
    world.feed(Input::Cancel(RequestId(99)));
    assert_eq!(world.answer(change), "changed");
}

#[test]
fn a_request_that_commits_during_a_stop_is_answered_with_its_result() {
    let (mut world, port) = busy(RequestKind::Exclusive);
    world.block("hook scheduler");
    world.request(RequestKind::Stop);
    assert!(world.answers(port).is_empty());
    world.finish_with("perform 1", committed());
    assert_eq!((world.answer(port), world.reducer.revision()), ("ports", 8));
    world.finish("hook scheduler");
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn a_stop_does_not_wait_for_a_running_request() {
    let (mut world, port) = busy(RequestKind::Exclusive);
    world.request(RequestKind::Stop);
    assert_eq!(world.answer(port), "failed: the cluster ended before the outcome was known");
    assert!(world.saw("abandon perform 1"));
    assert_eq!(world.exit(), Some("ordered"));
}

#[test]
fn a_stop_cancels_a_copy_so_that_its_processes_can_stop() {
    let (mut world, copy) = busy(RequestKind::Copy);
    world.block("hook scheduler");
    world.request(RequestKind::Stop);
    assert_eq!(world.answer(copy), "failed: the cluster is ending");
    assert!(world.saw("abandon perform 1"));
}
