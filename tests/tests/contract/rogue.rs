//! Tests plugins with defects: each panic and each invalid value becomes an error of the call, and
//! log messages arrive.

use crate::workshop::Workshop;
use kubernix_core::abi::Handle;
use kubernix_core::{Error, ErrorKind, Plan, Result};
use kubernix_host::plugins::load;
use kubernix_testkit::FakeContext;
use log::{Level, LevelFilter};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Loads the rogue without a defect.
fn rogue() -> Handle {
    load(&Workshop::open().sample("rogue")).expect("the rogue loads").handle
}

fn context(does: &str) -> FakeContext {
    FakeContext::new().parameter("does", does)
}

fn plan(component: &Handle, does: &str) -> Result<Plan> {
    kubernix_testkit::plan(component, &context(does))
}

/// Loads the rogue with a defect.
fn rogue_with(does: &str) -> Handle {
    let component = rogue();
    // The kit describes it after the plan as well, and this may fail.
    let _ = plan(&component, does);
    component
}

#[test]
fn a_panic_in_any_method_is_an_error_that_names_it() {
    let described = ["name", "title", "phase", "scope", "provides", "requires", "binaries", "parameters"];
    for method in described {
        panicked(method, rogue_with(&format!("panic {method}")).describe().err());
    }
    panicked("plan", plan(&rogue(), "panic plan").err());
    let kit = context("right");
    panicked("preflight", kubernix_testkit::preflight(&rogue_with("panic preflight"), &kit).err());
    panicked("before_stop", kubernix_testkit::before_stop(&rogue_with("panic before_stop"), &kit).err());
    let imported = kubernix_testkit::import_image(&rogue_with("panic import_image"), &kit, "oci-archive:/x", "x");
    panicked("import_image", imported.err());
}

#[track_caller]
fn panicked(method: &str, error: Option<Error>) {
    let error = error.unwrap_or_else(|| panic!("`{method}` returned"));
    assert_eq!(error.kind(), ErrorKind::PANIC);
    assert_eq!(error.frames(), [format!("`{method}` panicked"), format!("the rogue panics in {method}")]);
    // The plugin still works after a panic.
    assert_eq!(plan(&rogue(), "right").expect("the plugin still works").processes.len(), 1);
}

#[test]
fn a_panic_in_drop_is_logged() {
    let _log = capture_log(LevelFilter::Info);
    drop(rogue_with("panic drop"));
    let messages = take_messages();
    let logged =
        |text: &str| messages.iter().any(|(level, _, message)| *level == Level::Error && message.contains(text));
    assert!(logged("`drop` panicked: the rogue panics in drop"), "{messages:?}");
    // The location, from the plugin's own panic hook.
    assert!(logged("rogue.rs:") && logged(": the rogue panics in drop"), "{messages:?}");
    assert!(plan(&rogue(), "right").is_ok());
}

#[test]
fn invalid_values_are_rejected_by_name() {
    for (does, problem) in [
        ("garbage name", "its name is \"\", which isn't a DNS label"),
        ("garbage control", "its name is \"ro\\0gue\\n\", which isn't a DNS label"),
        ("garbage title", "its title \" \" is empty or has control characters"),
        ("garbage roles", "it provides no role, so no component can use it"),
        ("garbage role", "a role is \"No Role\", which isn't a DNS label"),
        ("garbage twice", "it names role `dns` twice"),
        ("garbage circle", "it requires role `dns`, which it provides itself"),
    ] {
        let error = rogue_with(does).describe().expect_err(does);
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
fn a_chain_of_errors_crosses_the_boundary() {
    let error = plan(&rogue(), "error").expect_err("no plan");
    assert_eq!(error.kind(), ErrorKind::INVALID);
    assert_eq!(error.frames(), ["no plan", "reading `port`", "not a port: 70000"]);
    let sources = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    assert_eq!(sources.map(ToString::to_string).collect::<Vec<_>>(), error.frames());
}

#[test]
fn messages_keep_their_level_and_target_and_follow_the_log_level() {
    let message = |level, target: &str, text: &str| (level, target.to_owned(), text.to_owned());
    let error = message(Level::Error, "rogue::loud", "an error");
    let info = message(Level::Info, "rogue::usual", "for test");
    let trace = message(Level::Trace, "rogue::quiet", "a trace");
    let component = rogue();
    let mut log = capture_log(LevelFilter::Info);
    for (level, expected) in [
        (LevelFilter::Info, vec![error.clone(), info.clone()]),
        (LevelFilter::Trace, vec![error.clone(), info, trace]),
        (LevelFilter::Error, vec![error]),
        (LevelFilter::Off, Vec::new()),
    ] {
        drop(log);
        log = capture_log(level);
        plan(&component, "log").expect("it has a plan");
        let messages: Vec<_> =
            take_messages().into_iter().filter(|(_, target, _)| target.starts_with("rogue::")).collect();
        assert_eq!(messages, expected, "{level}");
    }
}

type Message = (Level, String, String);

struct TestLogger(Mutex<Vec<Message>>);

static LOGGER: TestLogger = TestLogger(Mutex::new(Vec::new()));
/// Locked while a test reads messages: a process has only one logger and one level.
static LOG_LOCK: Mutex<()> = Mutex::new(());

/// Captures the log messages of this process up to a level.
fn capture_log(level: LevelFilter) -> MutexGuard<'static, ()> {
    let guard = LOG_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // It fails from the second call on.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
    take_messages();
    guard
}

/// Takes the messages logged since the last call.
fn take_messages() -> Vec<Message> {
    std::mem::take(&mut *LOGGER.0.lock().unwrap_or_else(PoisonError::into_inner))
}

impl log::Log for TestLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let message = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    fn flush(&self) {}
}
