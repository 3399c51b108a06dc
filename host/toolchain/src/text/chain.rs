//! Formats an error together with all its causes. Must not know any error by name.

use std::error::Error;
use std::io;

/// An error and its causes, outermost first. `io::Error::source` skips the error that it wraps;
/// this function includes it.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    })
}

/// The innermost message of an error, for errors whose outer messages are as general as
/// `transport error`.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// All messages of an error and its causes, joined by `: `. A message that an earlier one contains
/// is left out.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for message in causes(error).map(ToString::to_string) {
        if !text.contains(&message) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot decrypt peer's message")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("etcd failed to start")]
    struct Outer(#[source] io::Error);

    #[test]
    fn each_message_appears_once_and_errors_inside_io_errors_are_included() {
        let inner = io::Error::other(Inner);
        assert_eq!(chain(&inner), "cannot decrypt peer's message");
        assert_eq!(chain(&Outer(inner)), "etcd failed to start: cannot decrypt peer's message");
    }
}
