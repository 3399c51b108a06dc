//! Runs the programs of the toolchain: compilers, the package manager, and tools that report their
//! version.
//!
//! Nothing else in this crate starts programs. It must not know what they are for.

use super::interrupt::{self, Forwarding};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How many lines of a failed program's output an error shows.
const LAST_LINES: usize = 20;

/// How long a query may take: enough for a large program on a cold disk.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a query's output is read. A version never takes more.
const MAX_OUTPUT: u64 = 64 * 1024;

/// Why a program that does some work failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An interrupt ended it, or came before it was started.
    #[error("interrupted")]
    Interrupted,
    /// It can't be started, or its output can't be read.
    #[error("running {program} failed: {cause}")]
    Io {
        /// Its name.
        program: String,
        /// The cause.
        cause: io::Error,
    },
    /// It exited with an error.
    #[error("{program} failed ({status}):{}", output.iter().map(|line| format!("\n{line}")).collect::<String>())]
    Failed {
        /// Its name.
        program: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its output.
        output: Vec<String>,
    },
}

/// A program to run, without input.
#[allow(
    clippy::disallowed_methods,
    reason = "compilers and version questions run before there is a cluster to supervise them"
)]
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

/// Has the kernel end the program when the thread that starts it ends, for whatever reason. A
/// compiler doesn't outlive the process that needs its result.
pub fn kill_with_parent(command: &mut Command) -> &mut Command {
    let set_signal = || nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the
    // parent.
    unsafe { command.pre_exec(set_signal) }
}

/// What a program printed, and how it ended.
pub struct Output {
    /// Standard output and standard error, interleaved as they were written.
    pub text: String,
    /// The exit status.
    pub status: ExitStatus,
}

/// Runs a program that responds at once, and kills it if it doesn't.
pub fn query(command: Command) -> io::Result<Output> {
    query_within(command, QUERY_TIMEOUT)
}

fn query_within(mut command: Command, limit: Duration) -> io::Result<Output> {
    let deadline = Instant::now() + limit;
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command has the writing ends of the pipe: reading ends only when they are closed.
    drop(command);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = reader.take(MAX_OUTPUT).read_to_end(&mut bytes);
        let _ = sender.send(read.map(|_| bytes));
    });
    let printed = receiver.recv_timeout(limit);
    let status = match printed {
        Ok(_) => wait_until(&mut child, deadline)?,
        Err(_) => None,
    };
    let (Some(status), Ok(printed)) = (status, printed) else {
        child.kill()?;
        child.wait()?;
        let message = format!("no response within {} s", limit.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    };
    Ok(Output { text: String::from_utf8_lossy(&printed?).into_owned(), status })
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() >= deadline => return Ok(None),
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Runs a program that may take long, and calls `handle` with every line of its output. An error
/// shows the last lines for which `handle` returned false.
///
/// # Errors
/// The program can't be started or fails. After an interrupt, no program is started any more.
pub fn stream(mut command: Command, mut handle: impl FnMut(&str) -> bool) -> Result<(), RunError> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |cause: io::Error| RunError::Io { program: program.clone(), cause };
    if interrupt::received() {
        return Err(RunError::Interrupted);
    }
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    drop(command);
    let forwarding = Forwarding::to(child.id());
    let mut output: Vec<String> = Vec::new();
    for bytes in BufReader::new(reader).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let line = String::from_utf8_lossy(&bytes);
        if !handle(&line) {
            output.push(line.into_owned());
            if output.len() > LAST_LINES {
                output.remove(0);
            }
        }
    }
    drop(forwarding);
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(())
    } else if interrupt::received() {
        Err(RunError::Interrupted)
    } else {
        Err(RunError::Failed { program, status, output })
    }
}

/// The last lines of a text, as an error shows them.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = program("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_query_returns_both_outputs_and_the_status() {
        let output = query(shell("echo one; echo two >&2; exit 3")).unwrap();
        assert_eq!((output.text.as_str(), output.status.code()), ("one\ntwo\n", Some(3)));
    }

    #[test]
    fn a_query_without_response_is_killed() {
        let begun = Instant::now();
        let error = query_within(shell("exec sleep 100"), Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_failure_shows_the_last_unhandled_lines() {
        let error = stream(shell("echo handled; seq 30; exit 2"), |line| line == "handled").unwrap_err().to_string();
        assert!(error.starts_with("sh failed (exit status: 2):\n11\n12\n") && error.ends_with("\n30"), "{error}");
    }
}
