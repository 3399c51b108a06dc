//! Spawns processes, each in its own process group.

use super::reaper::Registered;
use super::{Exit, PrivilegeError, Privileges, Reaper, RunFile, SpawnTarget};
use crate::proc_stat::pidfd;
use crate::write::write_atomic;
use kubernix_core::{Command, Output, Process};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// A process can't be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program doesn't exist.
    #[error("`{0}` doesn't exist")]
    Missing(String),
    /// The program can't be executed.
    #[error("`{0}` is not executable")]
    NotExecutable(String),
    /// The log or `run.json` can't be written.
    #[error("`{path}` can't be written")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The host can't provide its directory, user or limits.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Any other cause.
    #[error("`{program}` can't be started")]
    Other {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
}

impl SpawnError {
    fn new(program: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(program.to_owned()),
            io::ErrorKind::PermissionDenied => Self::NotExecutable(program.to_owned()),
            _ => Self::Other { program: program.to_owned(), source },
        }
    }
}

/// A started process.
#[derive(Clone)]
pub struct Running {
    /// Its PID, which is also the ID of its process group.
    pub pid: Pid,
    /// The process as planned.
    pub process: Process,
    /// Its log.
    pub log: PathBuf,
    exit: watch::Receiver<Option<Exit>>,
    is_stopping: Arc<AtomicBool>,
}

impl Running {
    /// The exit, if the process has ended.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// From now on, the exit of the process kills its process group.
    pub(super) fn kill_group_on_exit(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until the process ends.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        // The sender lives as long as the reaper, and so as long as this process.
        match exit.wait_for(Option::is_some).await.map(|exit| *exit) {
            Ok(Some(exit)) => exit,
            _ => Exit::Signal(9),
        }
    }
}

/// What to start, and the directory of its files.
pub struct Launch<'a> {
    /// The process.
    pub process: &'a Process,
    /// The directory of `NAME.log` and `NAME.run.json`.
    pub directory: &'a Path,
}

/// Starts processes.
#[derive(Clone)]
pub struct Spawner {
    /// Reaps the processes.
    pub reaper: Reaper,
    /// `PATH` of every process.
    pub path: String,
    /// Where the processes are started.
    pub target: Arc<dyn SpawnTarget>,
}

impl Spawner {
    /// Starts a process and appends its output to its log.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(&self, launch: &Launch<'_>) -> Result<Running, SpawnError> {
        let process = launch.process;
        let privileges = Privileges::of(process)?;
        let log = launch.directory.join(format!("{}.log", process.name));
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.map_err(|source| SpawnError::File { path: log.clone(), source })?;
        let errors = output.try_clone().map_err(|source| SpawnError::File { path: log.clone(), source })?;
        let mut command = self.command(&process.program, &process.args);
        command.envs(&process.env).stdin(Stdio::null()).stdout(output).stderr(errors);
        let is_plain = privileges.is_empty();
        let child = self.target.spawn(command, privileges).map_err(|source| {
            // The program isn't the cause: the host doesn't allow this user or these limits.
            if !is_plain && source.raw_os_error() == Some(Errno::EPERM as i32) {
                return SpawnError::Other { program: process.program.clone(), source };
            }
            SpawnError::new(&process.program, source)
        })?;
        let running = self.register(child.id(), process.clone(), log);
        let run = RunFile { process: process.clone(), path: self.path.clone(), pid: running.pid.as_raw() };
        let path = launch.directory.join(format!("{}.run.json", process.name));
        // Serialising a struct of strings and numbers can't fail.
        let text = serde_json::to_vec_pretty(&run).unwrap_or_default();
        // Only a warning: the process already runs.
        if let Err(error) = write_atomic(&path, &text, 0o600) {
            log::warn!("{error}");
        }
        Ok(running)
    }

    /// Runs a command until it ends. Keeps at most one MiB of each output.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub async fn output(&self, command: &Command) -> Result<Output, SpawnError> {
        self.run(command, None::<std::future::Ready<()>>).await
    }

    /// Like [`Spawner::output`], but the command runs with idle priority until the future
    /// completes.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub async fn run_idle(&self, command: &Command, until: impl Future<Output = ()>) -> Result<Output, SpawnError> {
        self.run(command, Some(until)).await
    }

    async fn run(&self, command: &Command, idle_until: Option<impl Future<Output = ()>>) -> Result<Output, SpawnError> {
        let fail = |error| SpawnError::new(&command.program, error);
        let mut built = self.command(&command.program, &command.args);
        built.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        built.envs(&command.env);
        let mut child = self.target.spawn(built, Privileges::default()).map_err(fail)?;
        let process = Process::new("command", command.program.clone());
        let running = self.register(child.id(), process, PathBuf::new());
        let guard = KillOnDrop(&running);
        let stdout = child.stdout.take().map(std::os::fd::OwnedFd::from);
        let stderr = child.stderr.take().map(std::os::fd::OwnedFd::from);
        let idle = async {
            let Some(until) = idle_until else { return };
            super::set_idle_priority(&running);
            tokio::select! {
                () = until => super::set_normal_priority(&running),
                _ = running.wait() => {}
            }
        };
        let (stdout, stderr, ()) = tokio::join!(read(stdout), read(stderr), idle);
        let exit = running.wait().await;
        std::mem::forget(guard);
        Ok(Output::new(exit.code(), stdout.map_err(fail)?, stderr.map_err(fail)?))
    }

    /// Watches a process that isn't a child, by a pidfd (pidfd_open(2)). Only the parent can read
    /// the exit status, so the exit is reported as SIGKILL.
    ///
    /// # Errors
    /// There is no process with this PID.
    pub fn watch(&self, pid: Pid, name: &str) -> io::Result<Running> {
        let process = pidfd(pid.as_raw())?;
        // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives, and the
        // `AsyncFd` owns it.
        let process = unsafe { AsyncFd::register(process) }?;
        let (sender, exit) = watch::channel(None);
        tokio::task::spawn_local(async move {
            // It becomes readable once, when the process ends.
            let _ = process.readable().await;
            sender.send_replace(Some(Exit::Signal(Signal::SIGKILL as i32)));
        });
        Ok(Running { pid, process: Process::new(name, name), log: PathBuf::new(), exit, is_stopping: Arc::default() })
    }

    #[allow(clippy::disallowed_methods)] // This is the module that starts programs.
    fn command(&self, program: &str, args: &[String]) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.args(args).env_clear().env("PATH", &self.path).env("HOME", "/root").process_group(0);
        command
    }

    fn register(&self, pid: u32, process: Process, log: PathBuf) -> Running {
        let pid = Pid::from_raw(pid.cast_signed());
        let Registered { exit, is_stopping } = self.reaper.register(pid);
        Running { pid, process, log, exit, is_stopping }
    }
}

/// Kills the process group of a command whose future is dropped.
struct KillOnDrop<'a>(&'a Running);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        super::kill_group(self.0, Signal::SIGKILL);
    }
}

async fn read(fd: Option<std::os::fd::OwnedFd>) -> io::Result<String> {
    const LIMIT: u64 = 1024 * 1024;
    let Some(fd) = fd else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    let mut pipe = pipe::Receiver::from_owned_fd(fd)?;
    (&mut pipe).take(LIMIT).read_to_end(&mut bytes).await?;
    // Reads and discards the rest, so that the command doesn't block on a full pipe.
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
