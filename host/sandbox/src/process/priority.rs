//! CPU priority: lets some processes run only when no others want the CPU.

use super::Running;
use crate::proc_stat::numbers;
use nix::errno::Errno;
use nix::libc;

/// How often to look for threads. One pass finds all existing threads; threads that start meanwhile
/// are found by the next pass.
const PASSES: usize = 4;

/// Lets all threads of a process run only when no others want the CPU: SCHED_IDLE, see sched(7).
/// Their children inherit it.
pub fn set_idle_priority(running: &Running) {
    for thread in threads(running.pid.as_raw()) {
        set_policy(thread, libc::SCHED_IDLE);
    }
}

/// Resets all threads of one process to the normal priority. Its children keep theirs.
pub fn set_normal_priority(running: &Running) {
    threads(running.pid.as_raw()).for_each(|thread| set_policy(thread, libc::SCHED_OTHER));
}

/// Resets all idle-priority threads of this PID namespace to the normal priority, including
/// children of such processes, such as containers.
pub fn reset_all_priorities() {
    for _ in 0..PASSES {
        let idle: Vec<_> = numbers("/proc").flat_map(threads).filter(|thread| is_idle(*thread)).collect();
        if idle.is_empty() {
            return;
        }
        idle.into_iter().for_each(|thread| set_policy(thread, libc::SCHED_OTHER));
    }
}

fn threads(process: i32) -> impl Iterator<Item = i32> {
    numbers(format!("/proc/{process}/task"))
}

fn is_idle(thread: i32) -> bool {
    // SAFETY: it takes a number, and changes nothing.
    unsafe { libc::sched_getscheduler(thread) == libc::SCHED_IDLE }
}

fn set_policy(thread: i32, policy: i32) {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters outlive the call, which changes only the scheduling of one thread of
    // this namespace.
    let result = unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ESRCH) => {}
        Err(errno) => log::debug!("the priority of thread {thread} can't be set: {errno}"),
    }
}
