//! Runs programs inside a running sandbox.

use super::SandboxIds;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

/// Runs a program in a sandbox, attached to this process's terminal, and waits for it. Returns its
/// exit code as a shell would: 128 + N if signal N killed it. The program runs in the namespaces of
/// `process`, a host PID, or in those of the init.
///
/// # Errors
/// The sandbox is gone, or the program can't be started.
pub fn run(
    ids: SandboxIds,
    process: Option<i32>,
    argv: &[OsString],
    environment: &[(String, String)],
) -> io::Result<i32> {
    let [program, args @ ..] = argv else { return Err(io::ErrorKind::InvalidInput.into()) };
    let open = |kind: &str| File::open(format!("/proc/{}/ns/{kind}", process.unwrap_or(ids.init.pid)));
    let (pid, mount, net, uts, ipc) = (open("pid")?, open("mnt")?, open("net")?, open("uts")?, open("ipc")?);
    if !ids.init.is_alive() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the sandbox has just ended"));
    }
    // Applies only to children. So the program is a child and doesn't replace this process.
    setns(&pid, CloneFlags::CLONE_NEWPID)?;
    let enter = move || {
        setns(&net, CloneFlags::CLONE_NEWNET)?;
        setns(&uts, CloneFlags::CLONE_NEWUTS)?;
        setns(&ipc, CloneFlags::CLONE_NEWIPC)?;
        Ok(setns(&mount, CloneFlags::CLONE_NEWNS)?)
    };
    #[allow(clippy::disallowed_methods)] // The user's process in the user's terminal, not the cluster's.
    let mut command = Command::new(program);
    command.args(args).envs(environment.iter().map(|(key, value)| (key, value)));
    // SAFETY: between fork and exec only setns(2) is called, on descriptors that the closure owns;
    // nothing is allocated.
    unsafe { command.pre_exec(enter) };
    foreground(command)
}

/// Runs a program in the foreground of this process's terminal and waits for it. The terminal's
/// interrupts go to the program only. Returns its exit code like [`run`].
///
/// # Errors
/// The program can't be started.
fn foreground(mut command: Command) -> io::Result<i32> {
    let mut child = command.spawn()?;
    // After the start, because a child inherits blocked signals.
    SigSet::from_iter([Signal::SIGINT, Signal::SIGQUIT]).thread_block()?;
    let status = child.wait()?;
    Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1))
}
