//! Plugins that load and then do wrong: each panic and each piece of garbage is an error of the
//! call, and messages arrive.

use crate::workshop::Workshop;
use kubernix_core::abi::Handle;
use kubernix_core::{Error, ErrorKind, Plan, Result};
use kubernix_host::plugins::load;
use kubernix_testkit::FakeContext;
use log::{Level, LevelFilter};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A new component of the rogue's file, in its right mind.
fn rogue() -> Handle {
    load(&Workshop::open().sample("rogue")).expect("the rogue loads").handle
}

fn context(does: &str) -> FakeContext {
    FakeContext::new().parameter("does", does)
}

fn plan(component: &Handle, does: &str) -> Result<Plan> {
    kubernix_testkit::plan(component, &context(does))
}

/// A component that will do wrong from now on.
fn told(does: &str) -> Handle {
    let component = rogue();
    // The kit asks what it is after the plan as well, which may fail already.
    let _ = plan(&component, does);
    component
}

#[test]
fn a_panic_in_any_method_is_an_error_that_names_it() {
    let described = ["name", "title", "phase", "scope", "provides", "requires", "binaries", "parameters"];
    for method in described {
        panicked(method, told(&format!("panic {method}")).describe().err());
    }
    panicked("plan", plan(&rogue(), "panic plan").err());
    let kit = context("right");
    panicked("preflight", kubernix_testkit::preflight(&told("panic preflight"), &kit).err());
    panicked("before_stop", kubernix_testkit::before_stop(&told("panic before_stop"), &kit).err());
    let imported = kubernix_testkit::import_image(&told("panic import_image"), &kit, "oci-archive:/x", "x");
    panicked("import_image", imported.err());
}

#[track_caller]
fn panicked(method: &str, error: Option<Error>) {
    let error = error.unwrap_or_else(|| panic!("`{method}` returned"));
    assert_eq!(error.kind(), ErrorKind::PANIC);
    assert_eq!(error.frames(), [format!("`{method}` panicked"), format!("the rogue panics in {method}")]);
    // One panic is no reason to lose the plugin.
    assert_eq!(plan(&rogue(), "right").expect("the plugin goes on").processes.len(), 1);
}

#[test]
fn a_panic_in_drop_ends_in_the_log() {
    let _log = listen(LevelFilter::Info);
    drop(told("panic drop"));
    let heard = heard();
    let said = |text: &str| heard.iter().any(|(level, _, message)| *level == Level::Error && message.contains(text));
    assert!(said("`drop` panicked: the rogue panics in drop"), "{heard:?}");
    // Where it was, by the plugin's own panic hook.
    assert!(said("rogue.rs:") && said(": the rogue panics in drop"), "{heard:?}");
    assert!(plan(&rogue(), "right").is_ok());
}

#[test]
fn garbage_is_refused_by_what_it_is() {
    for (does, problem) in [
        ("garbage name", "its name is \"\", which is no DNS label"),
        ("garbage control", "its name is \"ro\\0gue\\n\", which is no DNS label"),
        ("garbage title", "its title \" \" can't be read"),
        ("garbage roles", "it provides no role, so nothing could ever use it"),
        ("garbage role", "a role is \"No Role\", which is no DNS label"),
        ("garbage twice", "it names role `dns` twice"),
        ("garbage circle", "it requires role `dns`, which it provides itself"),
    ] {
        let error = told(does).describe().expect_err(does);
        let frames = error.frames().join(": ");
        assert!(frames.contains(problem), "{does}: {frames}");
        assert_eq!(error.kind(), ErrorKind::INVALID);
    }
    for (does, problem) in [
        ("garbage process", "process \"two words\" is not named by a DNS label"),
        ("garbage program", "`true` is not an absolute path without `..`"),
        ("garbage path", "/../../passwd` is not an absolute path without `..`"),
        ("garbage again", "the plan names process `rogue` twice"),
    ] {
        let error = plan(&rogue(), does).expect_err(does);
        assert!(error.frames().join(": ").ends_with(problem), "{does}: {:?}", error.frames());
    }
}

#[test]
fn a_chain_of_errors_arrives_whole() {
    let error = plan(&rogue(), "error").expect_err("no plan");
    assert_eq!(error.kind(), ErrorKind::INVALID);
    assert_eq!(error.frames(), ["no plan", "reading `port`", "not a port: 70000"]);
    let sources = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    assert_eq!(sources.map(ToString::to_string).collect::<Vec<_>>(), error.frames());
}

#[test]
fn messages_arrive_with_level_and_target_and_follow_the_level() {
    let message = |level, target: &str, text: &str| (level, target.to_owned(), text.to_owned());
    let error = message(Level::Error, "rogue::loud", "an error");
    let info = message(Level::Info, "rogue::usual", "for test");
    let trace = message(Level::Trace, "rogue::quiet", "a trace");
    let component = rogue();
    let mut log = listen(LevelFilter::Info);
    for (level, expected) in [
        (LevelFilter::Info, vec![error.clone(), info.clone()]),
        (LevelFilter::Trace, vec![error.clone(), info, trace]),
        (LevelFilter::Error, vec![error]),
        (LevelFilter::Off, Vec::new()),
    ] {
        drop(log);
        log = listen(level);
        plan(&component, "log").expect("it has a plan");
        let heard: Vec<_> = heard().into_iter().filter(|(_, target, _)| target.starts_with("rogue::")).collect();
        assert_eq!(heard, expected, "{level}");
    }
}

type Message = (Level, String, String);

struct Ear(Mutex<Vec<Message>>);

static EAR: Ear = Ear(Mutex::new(Vec::new()));
/// Held by tests that read messages: there is one log and one level.
static TURN: Mutex<()> = Mutex::new(());

/// Begins to listen to what this process logs, up to a level.
fn listen(level: LevelFilter) -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // The second time it is there already.
    let _ = log::set_logger(&EAR);
    log::set_max_level(level);
    heard();
    turn
}

/// What was logged since.
fn heard() -> Vec<Message> {
    std::mem::take(&mut *EAR.0.lock().unwrap_or_else(PoisonError::into_inner))
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let message = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    fn flush(&self) {}
}
