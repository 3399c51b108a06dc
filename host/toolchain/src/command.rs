//! Runs the programs of the toolchain: compilers, the package manager, and tools that are asked for
//! their version.
//!
//! The only place of this module that starts programs. It must not know what they are for.

use super::interrupt::{self, Told};
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

/// What becomes of a program after Ctrl-C.
pub const INTERRUPTED: &str = "interrupted";

/// How much of an answer is read; a version never takes more.
const MAX_ANSWER: u64 = 64 * 1024;

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

/// Lets the program end with the thread that starts it, however that ends: nothing goes on
/// compiling without use.
pub fn tied(command: &mut Command) -> &mut Command {
    let tie = || nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the
    // parent.
    unsafe { command.pre_exec(tie) }
}

/// What a program printed, to both outputs, and how it ended.
pub struct Answer {
    /// Standard output and standard error as they came.
    pub text: String,
    /// How it ended.
    pub status: ExitStatus,
}

/// Runs a program that should answer at once, and kills it when it doesn't.
pub fn answer(mut command: Command, limit: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + limit;
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends, and with them open the pipe has no end.
    drop(command);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = reader.take(MAX_ANSWER).read_to_end(&mut bytes);
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
        let message = format!("didn't answer within {} s", limit.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    };
    Ok(Answer { text: String::from_utf8_lossy(&printed?).into_owned(), status })
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

/// Runs a program that takes its time, and passes on every line as it comes. `Err` says why it
/// failed, with the last lines of what it printed but those that `line` took, by returning true.
/// After an interrupt nothing is run any more.
pub fn stream(mut command: Command, mut line: impl FnMut(&str) -> bool) -> Result<(), String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |error: io::Error| format!("running {name} failed: {error}");
    if interrupt::seen() {
        return Err(INTERRUPTED.to_owned());
    }
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    drop(command);
    let told = Told::of(child.id());
    let mut rest: Vec<String> = Vec::new();
    for bytes in BufReader::new(reader).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let text = String::from_utf8_lossy(&bytes);
        if !line(&text) {
            rest.push(text.into_owned());
            if rest.len() > LAST_LINES {
                rest.remove(0);
            }
        }
    }
    drop(told);
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    if interrupt::seen() {
        return Err(INTERRUPTED.to_owned());
    }
    Err([format!("{name} failed ({status}):")].into_iter().chain(rest).collect::<Vec<_>>().join("\n"))
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
    fn an_answer_holds_both_outputs_and_the_status() {
        let answer = answer(shell("echo one; echo two >&2; exit 3"), Duration::from_secs(10)).unwrap();
        assert_eq!((answer.text.as_str(), answer.status.code()), ("one\ntwo\n", Some(3)));
    }

    #[test]
    fn a_program_that_doesnt_answer_is_killed() {
        let begun = Instant::now();
        let error = answer(shell("exec sleep 100"), Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_failure_shows_the_last_lines_that_nobody_took() {
        let error = stream(shell("echo taken; seq 30; exit 2"), |line| line == "taken").unwrap_err();
        assert!(error.starts_with("sh failed (exit status: 2):\n11\n12\n") && error.ends_with("\n30"), "{error}");
    }
}
