//! The pause program: holds a pod's namespaces open, and reaps the orphans of a shared PID
//! namespace.
//!
//! It must know nothing of KuberNix or Kubernetes, and use no crates: it is compiled twice, as a
//! target of this crate and by `build.rs` with bare rustc. All waiting is one `sigwait`, so it
//! costs no CPU.

#![no_main]

use std::ffi::c_int;
use std::ptr;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const SIG_BLOCK: c_int = 0;
const WNOHANG: c_int = 1;

/// `sigset_t` of Linux's C libraries: 1024 bits, in glibc and musl alike.
#[repr(C)]
struct SignalSet([u64; 16]);

// SAFETY: these are the C library's own declarations, for 64-bit Linux, where `pid_t` is a C int.
unsafe extern "C" {
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// Waits for signals until one says to end. Returns the exit code: 0; 1 where signals can't be
/// waited for.
///
/// C's entry point and not Rust's: the runtime that Rust would start first is a seventh of the
/// program and serves nothing.
// SAFETY: the name is that of the one entry point, with the signature that C gives it.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> c_int {
    let mut set = SignalSet([0; 16]);
    for signal in [SIGINT, SIGTERM, SIGCHLD] {
        // SAFETY: `set` is a live, initialised (empty) signal set.
        unsafe { sigaddset(&mut set, signal) };
    }
    // Blocked signals are queued even for PID 1, whom the kernel else spares those that it has no
    // handler for. SAFETY: `set` is initialised; a null pointer for the old mask is allowed.
    let blocked = unsafe { sigprocmask(SIG_BLOCK, &set, ptr::null_mut()) };
    if blocked != 0 {
        return 1;
    }
    loop {
        // Before waiting as well: a child may have ended before SIGCHLD was blocked.
        reap();
        let mut signal = 0;
        // SAFETY: both pointers are to live values.
        let failed = unsafe { sigwait(&set, &mut signal) };
        match (failed, signal) {
            (0, SIGCHLD) => {}
            (0, _) => return 0,
            _ => return 1,
        }
    }
}

/// Collects every child that has ended. One SIGCHLD may stand for many.
fn reap() {
    // SAFETY: a null pointer for the status is allowed.
    while unsafe { waitpid(-1, ptr::null_mut(), WNOHANG) } > 0 {}
}
