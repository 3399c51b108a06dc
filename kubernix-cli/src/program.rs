//! Runs kubectl and shells, in place of this process or as its child. The only module of the
//! command that spawns programs. The host spawns the cluster's own processes.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// A program to run.
pub struct Program {
    path: PathBuf,
    command: Command,
}

impl Program {
    /// A program with these arguments, and these environment variables in addition to those of this
    /// process.
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

    /// Replaces this process by the program, which then has its process ID and receives its
    /// signals. Returns only on an error.
    pub fn exec_program(mut self) -> anyhow::Error {
        let error = self.command.exec();
        anyhow::Error::new(error).context(format!("can't run `{}`", self.path.display()))
    }

    /// Runs the program in the foreground and waits for its end. Ctrl-C affects only the program.
    /// On SIGTERM, or if the terminal is closed, sends SIGHUP to the program and keeps waiting, so
    /// that the caller can clean up.
    ///
    /// # Errors
    /// The program can't be spawned.
    pub fn run(mut self) -> Result<ExitStatus> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
            // With a handler, these signals don't end this process. The program has the default
            // handlers.
            let _ignored = (signal(SignalKind::interrupt())?, signal(SignalKind::quit())?);
            let child = self.command.spawn().with_context(|| format!("can't run `{}`", self.path.display()))?;
            let pid = pid(&child)?;
            let mut end = tokio::task::spawn_blocking(move || {
                let mut child = child;
                child.wait()
            });
            loop {
                tokio::select! {
                    status = &mut end => return Ok(status.context("the wait for the program was aborted")??),
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                // Fails if the program has just ended.
                let _ = kill(pid, Signal::SIGHUP);
            }
        })
    }
}

fn pid(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id()).context("a process id out of range")?))
}

/// The exit code as in a shell: 128 + N if signal N ended the program.
pub fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The user's shell.
pub fn shell() -> PathBuf {
    env::var_os("SHELL").filter(|shell| !shell.is_empty()).map_or_else(|| "/bin/sh".into(), PathBuf::from)
}

/// The command by which the user can call this program again: its path as it was called, or its
/// name if the shell found it in `PATH`.
pub fn name(first: Option<&OsString>) -> String {
    let given = first.map(Path::new).filter(|path| path.components().count() > 1);
    given.map_or_else(|| "kubernix".to_owned(), |path| kubernix_host::cluster::quoted(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// Signals are sent to the whole process, so tests with signals run one at a time.
    static SIGNALS: Mutex<()> = Mutex::new(());

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh", &["-c".into(), script.into()], [("GREETING", "hello")])
    }

    #[test]
    fn exit_codes_and_signals_are_returned() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(code(sh("[ $GREETING = hello ] && exit 42").run().unwrap()), 42);
        assert_eq!(code(sh("kill -9 $$").run().unwrap()), 137);
        let error = Program::new("/nowhere/sh", &[], [("A", "b")]).run().unwrap_err();
        assert!(format!("{error:#}").starts_with("can't run `/nowhere/sh`: "), "{error:#}");
    }

    #[test]
    fn ctrl_c_ends_the_program_and_not_this_process() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        let status = sh("kill -INT $PPID; kill -INT $$; sleep 5").run().unwrap();
        assert_eq!(status.signal(), Some(2));
    }

    #[test]
    fn sigterm_is_forwarded_as_sighup() {
        let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
        let status = sh("trap 'exit 7' HUP; kill -TERM $PPID; while :; do sleep 0.05; done").run().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn the_name_can_be_typed_again() {
        assert_eq!(name(Some(&"kubernix".into())), "kubernix");
        assert_eq!(name(Some(&"/a b/kubernix".into())), "'/a b/kubernix'");
        assert_eq!(name(None), "kubernix");
    }
}
