//! Fails chosen calls of libc, and moves the clock, in a process that loads it by `LD_PRELOAD`, so
//! that the product needs no code for tests.
//!
//! Two variables configure it. `FAULT_RULES` names a file of rules (see [`rules`]). `FAULT_CLOCK`
//! is a number of seconds that is added to the time of day.
//!
//! It affects callers of libc, such as the standard library and nix. rustix and Go programs make
//! system calls themselves, so they see no faults. Components see none either, because they have
//! their own environment.

#[cfg(not(target_os = "linux"))]
compile_error!("kubernix runs on Linux alone");

mod calls;
mod clock;
mod real;
mod rules;
