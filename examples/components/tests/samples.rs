//! Runs the kit on the samples: each defect has to be found by exactly the check that the sample
//! names, and the good sample has to pass.

use kubernix_core::abi::Handle;
use kubernix_testkit::kit::{self, Declared, Report, Subject};
use std::collections::BTreeSet;
use std::time::Duration;

/// Samples by file.
macro_rules! samples {
    ($($name:ident = $file:literal;)+) => {
        $(#[path = $file] mod $name;)+

        const SAMPLES: &[(&str, &str, fn() -> Handle)] = &[
            $(($file, include_str!($file), $name::sample)),+
        ];
    };
}

samples! {
    good = "../good.rs";
    bad_binary_path = "../bad-binary-path.rs";
    bad_clock = "../bad-clock.rs";
    bad_counter = "../bad-counter.rs";
    bad_default = "../bad-default.rs";
    bad_empty_name = "../bad-empty-name.rs";
    bad_endpoint = "../bad-endpoint.rs";
    bad_fixed_path = "../bad-fixed-path.rs";
    bad_hang_in_phase = "../bad-hang-in-phase.rs";
    bad_hang_in_plan = "../bad-hang-in-plan.rs";
    bad_host_program = "../bad-host-program.rs";
    bad_image = "../bad-image.rs";
    bad_long_socket = "../bad-long-socket.rs";
    bad_manifest = "../bad-manifest.rs";
    bad_memory = "../bad-memory.rs";
    bad_modes = "../bad-modes.rs";
    bad_no_probe = "../bad-no-probe.rs";
    bad_panic_in_drop = "../bad-panic-in-drop.rs";
    bad_panic_in_name = "../bad-panic-in-name.rs";
    bad_panic_in_plan = "../bad-panic-in-plan.rs";
    bad_parameter = "../bad-parameter.rs";
    bad_parameter_help = "../bad-parameter-help.rs";
    bad_path_climbs = "../bad-path-climbs.rs";
    bad_path_outside = "../bad-path-outside.rs";
    bad_preflight = "../bad-preflight.rs";
    bad_probe_abroad = "../bad-probe-abroad.rs";
    bad_process_twice = "../bad-process-twice.rs";
    bad_relative_program = "../bad-relative-program.rs";
    bad_role_missing = "../bad-role-missing.rs";
    bad_role_name = "../bad-role-name.rs";
    bad_role_undeclared = "../bad-role-undeclared.rs";
    bad_run_in_plan = "../bad-run-in-plan.rs";
    bad_secret = "../bad-secret.rs";
    bad_shell_import = "../bad-shell-import.rs";
    bad_stop_grace = "../bad-stop-grace.rs";
    bad_stop_signal = "../bad-stop-signal.rs";
    bad_stop_twice = "../bad-stop-twice.rs";
    bad_swallow = "../bad-swallow.rs";
    bad_threads = "../bad-threads.rs";
    bad_undeclared_binary = "../bad-undeclared-binary.rs";
    bad_undeclared_endpoint = "../bad-undeclared-endpoint.rs";
    bad_unstable_title = "../bad-unstable-title.rs";
    bad_unwrap = "../bad-unwrap.rs";
}

/// The check that a sample names.
fn wanted(text: &str) -> &str {
    text.split('`').nth(1).expect("a sample names its check")
}

fn report(file: &str, make: fn() -> Handle) -> Report {
    // A sample that hangs does so on purpose, so its limit is short.
    let limit = Duration::from_secs(if file.contains("hang") { 1 } else { 30 });
    let mut subject = Subject::new(move || Ok(make())).limit(limit);
    if file.ends_with("bad-manifest.rs") {
        let list = |name: &str| vec![name.to_owned()];
        let (provides, binaries) = (list("another"), vec!["sample".into()]);
        let declared =
            Declared { name: "sample".into(), version: "2.0.0".into(), provides, requires: Vec::new(), binaries };
        subject = subject.declared(declared, "1.0.0");
    }
    kit::check(&subject)
}

#[test]
fn each_sample_is_caught_by_the_check_that_it_names_and_by_no_other() {
    let mut wrong = Vec::new();
    for (file, text, make) in SAMPLES {
        let report = report(file, *make);
        let wanted: &[&str] = match wanted(text) {
            "nothing" => &[],
            id => &[id],
        };
        if report.failed() != wanted {
            wrong.push(format!("{file} is caught by {:?} and not by {wanted:?}:\n{report}", report.failed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_check_has_a_sample() {
    let shown: BTreeSet<&str> = SAMPLES.iter().map(|(_, text, _)| wanted(text)).collect();
    let missing: Vec<_> = kit::checks().iter().map(|check| check.id).filter(|id| !shown.contains(id)).collect();
    assert!(missing.is_empty(), "no sample is caught by {missing:?}");
}

#[test]
fn the_documentation_has_every_check_with_its_samples() {
    let paper = include_str!("../../../docs/conformance.md");
    for check in kit::checks() {
        let files = SAMPLES.iter().filter(|(_, text, _)| wanted(text) == check.id);
        let names = files.map(|(file, ..)| format!("`{}`", file.trim_start_matches("../").trim_end_matches(".rs")));
        let samples = names.collect::<Vec<_>>().join(", ");
        let line = format!("| `{}` | {} | {} | {samples} |", check.id, check.demands, check.contract);
        assert!(paper.contains(&line), "docs/conformance.md has no line\n{line}");
    }
}
