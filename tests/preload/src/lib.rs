//! Fails chosen calls of libc, and moves the clock, in a process that loads it by `LD_PRELOAD`: the
//! product carries no code for tests.
//!
//! Two variables configure it. `FAULT_RULES` names a file of rules (see [`rules`]). `FAULT_CLOCK`
//! is a number of seconds that is added to the time of day.
//!
//! It reaches what goes through libc: the standard library and nix do. rustix makes system calls
//! itself, and so do Go programs: these see no faults. Components don't either, as they are started
//! with an environment of their own.

#[cfg(not(target_os = "linux"))]
compile_error!("kubernix runs on Linux alone");

mod calls;
mod clock;
mod real;
mod rules;
