//! Waits with an end, which say what they saw last.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer, and returns it. `Err` says what was seen instead.
///
/// # Panics
/// There is none within `limit`; with what was waited for and what was seen last.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let seen = match ask() {
            Ok(answer) => return answer,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "no {what} within {limit:?}; seen last: {seen}");
        sleep(PAUSE);
    }
}

/// Waits until a list is empty.
///
/// # Panics
/// It isn't within `limit`; with what is in it.
#[track_caller]
pub fn for_none(what: &str, limit: Duration, mut list: impl FnMut() -> Vec<String>) {
    until(what, limit, || {
        let left = list();
        if left.is_empty() { Ok(()) } else { Err(format!("\n  {}", left.join("\n  "))) }
    });
}
