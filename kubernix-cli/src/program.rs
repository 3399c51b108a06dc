//! Other programs in place of this one, or in front of it: kubectl and shells. The only module of the command that starts
//! any; the cluster's own processes are the host's business.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// A program to become or to run.
pub struct Program {
    path: PathBuf,
    command: Command,
}

impl Program {
    /// This program with these arguments and, beside our own, these variables.
    pub fn new<V: AsRef<OsStr>>(
        path: impl Into<PathBuf>,
        args: &[OsString],
        variables: impl IntoIterator<Item = (V, V)>,
    ) -> Self {
        let path = path.into();
        #[expect(clippy::disallowed_methods, reason = "a user's own program in front, no part of a cluster")]
        let mut command = Command::new(&path);
        command.args(args).envs(variables);
        Self { path, command }
    }

    /// Becomes the program: its exit code and its signals are ours from here on. Returns only if that fails.
    pub fn become_it(mut self) -> anyhow::Error {
        let error = self.command.exec();
        anyhow::Error::new(error).context(format!("can't run `{}`", self.path.display()))
    }

    /// Runs the program in front and waits for its end. Ctrl-C is the program's alone, and when we are asked to end, or the
    /// terminal goes away, the program is told to hang up: whoever waits for it has cleaning up to do.
    ///
    /// # Errors
    /// It can't be run.
    pub fn run(mut self) -> Result<ExitStatus> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
            // To have a handler is to outlive it; the program begins with the default again.
            let _ignored = (signal(SignalKind::interrupt())?, signal(SignalKind::quit())?);
            let child = self.command.spawn().with_context(|| format!("can't run `{}`", self.path.display()))?;
            let pid = pid(&child)?;
            let mut end = tokio::task::spawn_blocking(move || {
                let mut child = child;
                child.wait()
            });
            loop {
                tokio::select! {
                    status = &mut end => return Ok(status.context("waiting for the program broke off")??),
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                // It may have gone just now.
                let _ = kill(pid, Signal::SIGHUP);
            }
        })
    }
}

fn pid(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id()).context("a process id out of range")?))
}

/// The exit code of a shell for this status: 128 + N where signal N ended the program.
pub fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The user's shell.
pub fn shell() -> PathBuf {
    env::var_os("SHELL").filter(|shell| !shell.is_empty()).map_or_else(|| "/bin/sh".into(), PathBuf::from)
}

/// What a user types to call this program again: its path as it was called, or just the name where the shell found it.
pub fn name(first: Option<&OsString>) -> String {
    let given = first.map(Path::new).filter(|path| path.components().count() > 1);
    given.map_or_else(|| "kubernix".to_owned(), |path| kubernix_host::cluster::quoted(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// Signals reach the whole process, so one test at a time.
    static SIGNALS: Mutex<()> = Mutex::new(());

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh", &["-c".into(), script.into()], [("GREETING", "hello")])
    }

    #[test]
    fn codes_and_signals_come_through() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(code(sh("[ $GREETING = hello ] && exit 42").run().unwrap()), 42);
        assert_eq!(code(sh("kill -9 $$").run().unwrap()), 137);
        let error = Program::new("/nowhere/sh", &[], [("A", "b")]).run().unwrap_err();
        assert!(format!("{error:#}").starts_with("can't run `/nowhere/sh`: "), "{error:#}");
    }

    #[test]
    fn ctrl_c_ends_the_program_and_not_us() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        let status = sh("kill -INT $PPID; kill -INT $$; sleep 5").run().unwrap();
        assert_eq!(status.signal(), Some(2));
    }

    #[test]
    fn a_terminal_that_goes_away_hangs_the_program_up() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        let status = sh("trap 'exit 7' HUP; kill -TERM $PPID; while :; do sleep 0.05; done").run().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn the_name_is_what_can_be_typed_again() {
        assert_eq!(name(Some(&"kubernix".into())), "kubernix");
        assert_eq!(name(Some(&"/a b/kubernix".into())), "'/a b/kubernix'");
        assert_eq!(name(None), "kubernix");
    }
}
