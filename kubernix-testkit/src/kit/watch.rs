//! Runs calls that may hang or panic: each on its own thread, with a time limit, recording panics
//! that the call doesn't return.
//!
//! It must not know what is called.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Once, OnceLock};
use std::time::Duration;

thread_local! {
    /// The panics of this thread; `None` if the thread isn't watched.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Records a panic; false if this thread isn't watched.
fn note(text: String) -> bool {
    let noted = SEEN.try_with(|seen| seen.try_borrow_mut().ok()?.as_mut().map(|seen| seen.push(text)));
    noted.ok().flatten().is_some()
}

/// Whether log messages arrive here.
static LISTENS: OnceLock<bool> = OnceLock::new();

/// Reads panics from the log. The panic of a shared library's drop is only visible there.
struct Observer;

impl log::Log for Observer {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        if self.enabled(record.metadata()) && text.contains("panicked") {
            note(text);
        }
    }

    fn flush(&self) {}
}

/// The kit's logger. A program with its own logger has to forward errors to it, otherwise the kit
/// can't see panics in a plugin's drop. If no logger is set, the kit sets this one.
pub fn observer() -> Box<dyn log::Log> {
    LISTENS.get_or_init(|| true);
    Box::new(Observer)
}

/// Whether panics in a plugin's drop are visible.
pub(super) fn listens() -> bool {
    *LISTENS.get_or_init(|| {
        let set = log::set_boxed_logger(Box::new(Observer)).is_ok();
        if set {
            log::set_max_level(log::LevelFilter::Error);
        }
        set
    })
}

/// Keeps panics of watched threads out of standard error: they are in the report.
fn silence_panic_output() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !note(panic.payload_as_str().unwrap_or("no message").to_owned()) {
                usual(panic);
            }
        }));
    });
}

/// A running call.
pub(super) struct Call<T>(Receiver<(T, Vec<String>)>);

/// Starts a call on a thread of its own.
pub(super) fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    silence_panic_output();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        SEEN.set(Some(Vec::new()));
        let value = f();
        let panics = SEEN.take().unwrap_or_default();
        // The receiver is dropped after the time limit.
        let _ = sender.send((value, panics));
    });
    Call(receiver)
}

impl<T> Call<T> {
    /// The call's result, and the messages of panics meanwhile.
    ///
    /// # Errors
    /// The call hangs, or ended its thread.
    pub(super) fn end(self, limit: Duration) -> Result<(T, Vec<String>), String> {
        self.0.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("hangs: it didn't return within {limit:?}"),
            RecvTimeoutError::Disconnected => "ended its thread".to_owned(),
        })
    }
}
