//! CPU priority of a process group: who may wait while others are waited for.

use super::Running;
use nix::errno::Errno;
use nix::libc;

/// Sets the nice value of all threads of a process's group: -20 (first) to 19 (last), 0 is usual (setpriority(2)).
pub fn set_nice(running: &Running, nice: i32) {
    let group = running.pid.as_raw().cast_unsigned();
    // SAFETY: takes numbers only, and changes nothing but the scheduling of processes that this one started.
    let result = unsafe { libc::setpriority(libc::PRIO_PGRP, group, nice) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ESRCH) => {}
        Err(errno) => log::debug!("{}'s priority can't be set: {errno}", running.process.name),
    }
}
