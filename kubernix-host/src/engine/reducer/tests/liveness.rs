//! Tests of checks of ready instances, and of liveness checks of processes.

use super::spec::{STOP_GRACE, checked, plan, server, spec};
use super::world::World;
use crate::control::Reply;
use crate::engine::reducer::{Fault, InstanceSpec, Outcome, RequestKind};
use crate::engine::{ClusterState, InstanceState};
use kubernix_core::Restart;

fn hung() -> World {
    let mut world = World::booted(vec![server("a", &[]), server("b", &[])]);
    world.fail("check a", Fault::new("no answer within 5 s"));
    world
}

#[test]
fn a_ready_instance_is_checked_every_half_minute() {
    let mut world = World::booted(vec![server("a", &[]), spec("without endpoint")]);
    world.wait_s(29);
    assert_eq!(world.count("begin check a"), 0);
    world.wait_s(91);
    assert_eq!(world.count("begin check a"), 4);
    assert!(!world.mentioned("check without endpoint"));
}

#[test]
fn two_failed_checks_make_an_instance_unresponsive() {
    let mut world = hung();
    world.wait_s(30);
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
    world.wait_s(3);
    assert_eq!(world.instance(0), Some(InstanceState::Unresponsive));
    assert_eq!(world.reducer.state(), ClusterState::Degraded);
    assert_eq!(world.reducer.problems(), [("a".to_owned(), "no answer within 5 s".to_owned())]);
    world.wait_s(60);
    assert_eq!(world.count("unresponsive a"), 1);
    assert!(world.runs("a/0"), "a person may have stopped it on purpose");
}

#[test]
fn a_passed_check_resets_the_failure_count() {
    let mut world = hung();
    world.wait_s(30);
    world.heal("check a");
    world.wait_s(3);
    world.fail("check a", Fault::new("no answer"));
    world.wait_s(30);
    assert_eq!(world.instance(0), Some(InstanceState::Ready));
}

#[test]
fn a_passed_check_makes_it_ready_again() {
    let mut world = hung();
    world.wait_s(33);
    world.heal("check a");
    world.wait_s(3);
    assert_eq!((world.instance(0), world.reducer.state()), (Some(InstanceState::Ready), ClusterState::Running));
    assert_eq!(world.count("ready a"), 2);
    assert!(world.reducer.problems().is_empty());
}

#[test]
fn an_unresponsive_instance_whose_process_exits_is_restarted() {
    let mut world = hung();
    world.wait_s(33);
    world.crash("a/0");
    world.wait_s(1);
    assert_eq!(world.reducer.state(), ClusterState::Running);
}

#[test]
fn a_checked_report_finds_an_unresponsive_instance_at_once() {
    let mut world = hung();
    let report = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(report), "report");
    assert_eq!(world.instance(0), Some(InstanceState::Unresponsive));
}

#[test]
fn a_checked_report_waits_for_all_checks_and_is_sent_once() {
    let mut world = World::booted(vec![server("a", &[]), server("b", &[])]);
    world.block("check a").block("check b");
    let report = world.request(RequestKind::Report { check: true });
    world.finish("check b");
    assert!(world.answers(report).is_empty());
    world.finish("check a");
    assert_eq!(world.answers(report), ["report"]);
}

#[test]
fn two_reports_share_their_checks() {
    let mut world = World::booted(vec![server("a", &[]), server("b", &[])]);
    world.block("check a");
    let reports = [0, 1].map(|_| world.request(RequestKind::Report { check: true }));
    assert_eq!(world.count("begin check a"), 1);
    world.finish("check a");
    assert!(reports.iter().all(|report| world.answer(*report) == "report"));
}

#[test]
fn a_report_does_not_wait_for_a_process_that_exits_meanwhile() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("check a");
    let report = world.request(RequestKind::Report { check: true });
    world.crash("a/0");
    assert_eq!(world.answer(report), "report");
    assert!(world.saw("abandon check a"));
}

#[test]
fn a_report_without_check_runs_no_probes() {
    let mut world = World::booted(vec![server("a", &[])]);
    let report = world.request(RequestKind::Report { check: false });
    assert_eq!(world.answer(report), "report");
    assert!(!world.mentioned("begin check"));
}

#[test]
fn a_checked_report_without_endpoints_is_sent_at_once() {
    let mut world = World::booted(vec![spec("a")]);
    let report = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(report), "report");
}

#[test]
fn checks_pause_during_a_copy_and_resume_soon_afterwards() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("perform 1");
    let copy = world.request(RequestKind::Copy);
    world.wait_s(300);
    assert_eq!(world.count("begin check a"), 0);
    let report = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(report), "report");
    world.finish_with("perform 1", Outcome::Answered(Box::new(Reply::Ended)));
    assert_eq!(world.answer(copy), "ended");
    world.wait_s(3);
    assert_eq!(world.count("begin check a"), 1);
}

/// The state of an instance that hangs for so many seconds and whose next check fails during a
/// copy.
fn missed_during_copy(seconds: u64) -> Option<InstanceState> {
    let mut world = hung();
    world.wait_s(seconds);
    world.block("check a").block("perform 1");
    world.wait_s(3);
    world.request(RequestKind::Copy);
    world.finish_failed("check a", Fault::new("paused"));
    world.instance(0)
}

#[test]
fn a_failed_check_during_a_copy_is_ignored() {
    assert_eq!(missed_during_copy(30), Some(InstanceState::Ready));
}

#[test]
fn an_unresponsive_instance_stays_unresponsive_during_a_copy() {
    assert_eq!(missed_during_copy(33), Some(InstanceState::Unresponsive));
}

#[test]
fn checks_do_not_run_during_the_boot() {
    let mut world = World::blocked(vec![server("a", &[]), server("b", &[])], &["probe b/0"]);
    world.wait_s(50);
    assert!(!world.mentioned("begin check"));
    let report = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(report), "report");
}

#[test]
fn checks_do_not_run_during_a_stop() {
    let mut world = World::booted(vec![server("a", &[]), server("b", &["a"])]);
    world.block("hook b").block("check a");
    let waiting = world.request(RequestKind::Report { check: true });
    world.request(RequestKind::Stop);
    assert_eq!(world.answer(waiting), "report");
    world.wait_s(100);
    let report = world.request(RequestKind::Report { check: true });
    assert_eq!(world.answer(report), "report");
    assert_eq!(world.count("begin check a"), 1);
}

#[test]
fn checks_run_during_a_change() {
    let mut world = World::booted(vec![server("a", &[])]);
    world.block("probe b/0");
    world.change(plan(&[], vec![(1, server("b", &[]))], &[0, 1]));
    world.wait_s(31);
    assert_eq!(world.count("begin check a"), 1);
}

/// An instance whose process has a liveness probe, and another instance.
fn checked_world(restart: Restart) -> World {
    World::booted(vec![InstanceSpec { processes: vec![checked("a", restart)], ..server("a", &[]) }, server("b", &[])])
}

#[test]
fn a_process_with_a_liveness_probe_is_checked_in_its_interval() {
    let mut world = checked_world(Restart::ALWAYS);
    world.wait_s(10);
    assert_eq!(world.count("begin check process a/0"), 10);
    assert!(!world.mentioned("check process b"));
}

#[test]
fn consecutive_failed_checks_restart_the_process() {
    let mut world = checked_world(Restart::ALWAYS);
    world.fail("check process a/0", Fault::new("no answer"));
    world.wait_s(1);
    assert!(!world.saw("stop a/0"), "one failure is not enough");
    world.wait_s(1);
    assert!(world.saw("unresponsive a") && world.saw("stop a/0"));
    world.heal("check process a/0");
    world.wait_s(1);
    assert_eq!((world.count("spawn a/0"), world.instance(0)), (2, Some(InstanceState::Ready)));
    world.wait_s(5);
    assert_eq!(world.count("spawn a/0"), 2);
}

#[test]
fn a_passed_liveness_check_resets_the_failure_count() {
    let mut world = checked_world(Restart::ALWAYS);
    for _ in 0..3 {
        world.fail("check process a/0", Fault::new("no answer"));
        world.wait_s(1);
        world.heal("check process a/0");
        world.wait_s(1);
    }
    assert!(!world.saw("stop a/0"));
}

#[test]
fn a_process_that_ignores_its_signal_is_killed_after_its_grace() {
    let mut world = checked_world(Restart::ALWAYS);
    world.ignore_stop_signal("a/0");
    world.fail("check process a/0", Fault::new("no answer"));
    world.wait_s(2);
    assert!(world.saw("stop a/0") && world.runs("a/0"));
    world.wait_s(STOP_GRACE.as_secs() - 1);
    assert!(!world.saw("kill a/0"));
    world.heal("check process a/0");
    world.wait_s(3);
    assert!(world.saw("kill a/0"));
    assert_eq!((world.count("spawn a/0"), world.instance(0)), (2, Some(InstanceState::Ready)));
}

#[test]
fn failed_checks_fail_a_process_that_is_never_restarted() {
    let mut world = checked_world(Restart::NEVER);
    world.fail("check process a/0", Fault::new("no answer"));
    world.wait_s(5);
    assert_eq!((world.count("spawn a/0"), world.instance(0)), (1, Some(InstanceState::Failed)));
    let (_, reason) = world.reducer.problems().remove(0);
    assert!(reason.starts_with("process `a` failed 2 liveness checks in a row: no answer; "), "{reason}");
}

#[test]
fn liveness_checks_do_not_run_during_a_copy_or_stop() {
    let mut world = checked_world(Restart::ALWAYS);
    world.block("perform 1");
    world.request(RequestKind::Copy);
    world.wait_s(10);
    assert!(!world.mentioned("begin check process"));
    world.finish_with("perform 1", Outcome::Answered(Box::new(Reply::Ended)));
    world.block("hook a").request(RequestKind::Stop);
    let before = world.count("begin check process a/0");
    world.wait_s(10);
    assert_eq!(world.count("begin check process a/0"), before);
}
