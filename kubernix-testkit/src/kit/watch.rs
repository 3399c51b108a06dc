//! Calls that may hang or panic: each on a thread of its own, with a limit, and with an eye on
//! panics that no call returns.
//!
//! It must not know what is called.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Once, OnceLock};
use std::time::Duration;

thread_local! {
    /// The panics that this thread has seen; `None` if they aren't recorded.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Records a panic; false if this thread's panics aren't recorded.
fn note(text: String) -> bool {
    let noted = SEEN.try_with(|seen| seen.try_borrow_mut().ok()?.as_mut().map(|seen| seen.push(text)));
    noted.ok().flatten().is_some()
}

/// Whether what is logged arrives here.
static LISTENS: OnceLock<bool> = OnceLock::new();

/// Takes from the log what components of shared libraries can say nowhere else: that they panicked
/// in their drop.
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

/// For programs that have a logger of their own and run the kit: have that pass its errors on to
/// this one. Without it the kit can't see panics in a plugin's drop. Where no logger is set the kit
/// sets it itself.
pub fn observer() -> Box<dyn log::Log> {
    LISTENS.get_or_init(|| true);
    Box::new(Observer)
}

/// Whether panics in the drop of a plugin would be seen.
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
fn quieten() {
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

/// A call under way.
pub(super) struct Call<T>(Receiver<(T, Vec<String>)>);

/// Starts a call on a thread of its own.
pub(super) fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    quieten();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        SEEN.set(Some(Vec::new()));
        let value = f();
        let panics = SEEN.take().unwrap_or_default();
        // The receiver is gone once the time is up.
        let _ = sender.send((value, panics));
    });
    Call(receiver)
}

impl<T> Call<T> {
    /// What it returned, and the texts of panics on the way.
    ///
    /// # Errors
    /// What became of it instead.
    pub(super) fn end(self, limit: Duration) -> Result<(T, Vec<String>), String> {
        self.0.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("hangs: it didn't return within {limit:?}"),
            RecvTimeoutError::Disconnected => "ended its thread".to_owned(),
        })
    }
}
