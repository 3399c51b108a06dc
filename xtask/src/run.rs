//! Spawns programs. The only module of this crate that does.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time without output after which a step prints that it is still running.
const QUIET_INTERVAL: Duration = Duration::from_secs(60);

/// A program to spawn. It isn't supervised: it ends before xtask does.
#[allow(
    clippy::disallowed_methods,
    reason = "nothing of a cluster is started here: cargo, git, apt, qemu and `kubernix` are"
)]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// The cargo that started xtask, without the variables that `cargo run` sets. Build scripts that
/// depend on them (ring's does) would otherwise run again after each cargo command of the user.
pub fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    remove_cargo_variables(&mut cargo);
    cargo
}

/// Removes the variables that `cargo run` sets from a program's environment.
pub fn remove_cargo_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "CARGO" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// A command as a user would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end and returns its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let name = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("can't start `{name}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed ({}): {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("the output of `{name}` isn't UTF-8"))
}

/// Runs a command to its end with this text as its standard input. The error has its output.
pub fn with_input(command: &mut Command, input: &str) -> Result<()> {
    let name = shown(command);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("can't start `{name}`"))?;
    // A program that ends before it has read all of it says why by its status.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Runs a command to its end, with the standard output and error of xtask.
pub fn checked(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("can't start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end, writes its output to a log file, and calls `line` for each line. If
/// there is no output for a while, prints that it still runs, with the last line, so that a hang is
/// visible. Returns `true` if it succeeded.
pub fn logged(command: &mut Command, log: &Path, line: impl Fn(&str) + Sync) -> Result<bool> {
    let name = shown(command);
    let mut file = File::options().create(true).append(true).open(log)?;
    writeln!(file, "$ {name}")?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("can't start `{name}`"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let sink = Mutex::new(Sink { file, last: String::new(), read: Instant::now() });
    let copy = |stream: Box<dyn std::io::Read>| -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            sink.file.write_all(text.as_bytes())?;
            sink.read = Instant::now();
            if !text.trim().is_empty() {
                text.trim().clone_into(&mut sink.last);
            }
            line(text.trim_end());
            drop(sink);
            bytes.clear();
        }
        Ok(())
    };
    let started = Instant::now();
    let status = std::thread::scope(|scope| -> Result<_> {
        let readers = [
            stdout.map(|stream| scope.spawn(|| copy(Box::new(stream)))),
            stderr.map(|stream| scope.spawn(|| copy(Box::new(stream)))),
        ];
        let status = wait_with_progress(&mut child, started, || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            let quiet = sink.read.elapsed() >= QUIET_INTERVAL;
            quiet.then(|| {
                sink.read = Instant::now();
                sink.last.clone()
            })
        })?;
        for reader in readers.into_iter().flatten() {
            reader.join().map_err(|_| anyhow::anyhow!("reading the output of `{name}` panicked"))??;
        }
        Ok(status)
    })?;
    Ok(status.success())
}

/// The output of a program so far.
struct Sink {
    file: File,
    /// Its last line that isn't empty.
    last: String,
    /// When output was last read.
    read: Instant,
}

/// Waits for a child. Whenever `quiet` returns the last line of its output, prints that the child
/// still runs.
fn wait_with_progress(
    child: &mut Child,
    started: Instant,
    mut quiet: impl FnMut() -> Option<String>,
) -> Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(last) = quiet() {
            println!("     still running after {}, last line: {last}", duration(started.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Formats a duration: `0.4 s`, `3 min 20 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// The last lines of a log file.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted() {
        assert_eq!(duration(Duration::from_millis(449)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
    }

    #[test]
    fn both_streams_are_logged_and_the_exit_status_is_returned() {
        let log = std::env::temp_dir().join(format!("kubernix-xtask-{}.log", std::process::id()));
        let seen = Mutex::new(Vec::new());
        let mut sh = command("sh");
        sh.args(["-c", "echo out; echo err >&2; printf end; exit 3"]);
        let good = logged(&mut sh, &log, |line| seen.lock().unwrap().push(line.to_owned())).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert!(!good);
        assert_eq!(seen, ["end", "err", "out"]);
        assert!(text.starts_with("$ sh -c") && text.contains("out\n") && text.contains("err\n"), "{text}");
    }

    #[test]
    fn a_command_reads_its_input() {
        with_input(command("grep").arg("needle"), "hay\nneedle\n").unwrap();
        let error = with_input(command("sh").args(["-c", "cat >&2; exit 3"]), "why\n").unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn the_error_of_a_failed_command_has_its_output() {
        let error = output(command("sh").args(["-c", "echo because >&2; exit 7"])).unwrap_err().to_string();
        assert!(error.contains("because") && error.contains("7"), "{error}");
    }
}
