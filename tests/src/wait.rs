//! Waits with a time limit. A failure shows the last observed state.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Polls until `ask` returns a value, and returns it. `Err` describes the observed state.
///
/// # Panics
/// There is none within `limit`; the message has the last observed state.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let seen = match ask() {
            Ok(answer) => return answer,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "no {what} within {limit:?}; seen last: {seen}");
        sleep(POLL_INTERVAL);
    }
}

/// Waits until a list is empty.
///
/// # Panics
/// It isn't empty within `limit`; the message has the list.
#[track_caller]
pub fn for_none(what: &str, limit: Duration, mut list: impl FnMut() -> Vec<String>) {
    until(what, limit, || {
        let left = list();
        if left.is_empty() { Ok(()) } else { Err(format!("\n  {}", left.join("\n  "))) }
    });
}
