//! Runs work on a separate thread, because a thread can't leave a namespace that it has entered.

use std::io;
use std::thread::{Builder, scope};

/// Runs `work` on a new thread and waits for it. Unlike [`std::thread::spawn`], it returns an error
/// if the kernel has no more threads: a panic would end PID 1, and so the cluster.
///
/// # Errors
/// The thread can't be created, or `work` panicked.
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
    fn a_failed_thread_start_and_a_panic_are_errors() {
        assert_eq!(run(|| 7).unwrap(), 7);
        assert!(run(|| panic!("on purpose")).is_err());
        // No address space can hold such a stack.
        let too_large = Builder::new().stack_size(usize::MAX / 2);
        assert!(run_with(too_large, || ()).is_err());
    }
}
