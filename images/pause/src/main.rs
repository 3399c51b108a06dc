//! The pause program: holds the namespaces of a pod open, and reaps orphans in a shared PID
//! namespace.
//!
//! It must not know KuberNix or Kubernetes, and must not use crates: it is compiled twice, as a
//! target of this crate and by `build.rs` with rustc alone. It only waits in `sigwait`, so it uses
//! no CPU time.

#![no_main]

use std::ffi::c_int;
use std::ptr;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const SIG_BLOCK: c_int = 0;
const WNOHANG: c_int = 1;

/// `sigset_t` of Linux's C libraries: 1024 bits in glibc and musl.
#[repr(C)]
struct SignalSet([u64; 16]);

// SAFETY: these are the C library's declarations for 64-bit Linux, where `pid_t` is a C int.
unsafe extern "C" {
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// Waits for SIGINT or SIGTERM. Returns the exit code: 0, or 1 if signals can't be waited for.
///
/// This is C's entry point, not Rust's. Rust's runtime would be a seventh of the program, and isn't
/// needed.
// SAFETY: this is the only entry point, and it has the signature of C's `main`.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> c_int {
    let mut set = SignalSet([0; 16]);
    for signal in [SIGINT, SIGTERM, SIGCHLD] {
        // SAFETY: `set` is a live, initialised (empty) signal set.
        unsafe { sigaddset(&mut set, signal) };
    }
    // A blocked signal is queued even for PID 1, for which the kernel otherwise ignores signals
    // without a handler. SAFETY: `set` is initialised; the pointer for the old mask may be null.
    let blocked = unsafe { sigprocmask(SIG_BLOCK, &set, ptr::null_mut()) };
    if blocked != 0 {
        return 1;
    }
    loop {
        // Also before the first wait: a child may have ended before SIGCHLD was blocked.
        reap();
        let mut signal = 0;
        // SAFETY: both pointers point to live values.
        let failed = unsafe { sigwait(&set, &mut signal) };
        match (failed, signal) {
            (0, SIGCHLD) => {}
            (0, _) => return 0,
            _ => return 1,
        }
    }
}

/// Reaps every child that has ended. One SIGCHLD may stand for several children.
fn reap() {
    // SAFETY: the pointer for the status may be null.
    while unsafe { waitpid(-1, ptr::null_mut(), WNOHANG) } > 0 {}
}
