//! Work on a thread of its own, for what a thread can't take back: entering a namespace.

use std::io;
use std::thread::{Builder, scope};

/// Runs work on a new thread and waits for its end. Unlike [`std::thread::spawn`], it doesn't panic
/// where the kernel has no more threads: PID 1 of a cluster uses it, and must outlive that.
///
/// # Errors
/// No thread can be made, or the work panicked.
pub fn run<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    run_with(Builder::new(), work)
}

fn run_with<T: Send>(builder: Builder, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scope(|scope| {
        let thread = builder.spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the thread panicked"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_cannot_be_made_and_a_panic_are_errors() {
        assert_eq!(run(|| 7).unwrap(), 7);
        assert!(run(|| panic!("on purpose")).is_err());
        // No address space holds such a stack.
        let too_large = Builder::new().stack_size(usize::MAX / 2);
        assert!(run_with(too_large, || ()).is_err());
    }
}
