//! Programs with an end: what one printed and how it ended, or a test that fails instead of
//! hanging.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// How long a program may take if nothing else is said: longer than a boot on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A directory that isn't there, and never will be.
const NOWHERE: &str = "/proc/nowhere";

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run.
    pub what: String,
    /// The exit status; 128 + N where signal N ended it, as a shell puts it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// A program by its name or path, without input.
#[expect(clippy::disallowed_methods, reason = "tests start what users start; nothing of it belongs to a cluster")]
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

/// The `kubernix` under test: `KUBERNIX_BIN`, else the workspace's build of the dev profile.
///
/// # Panics
/// There is none.
pub fn binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
        let built = target.join("debug/kubernix");
        let path = std::env::var_os("KUBERNIX_BIN").map_or(built, PathBuf::from);
        let path = std::path::absolute(&path).unwrap_or(path);
        assert!(path.is_file(), "there is no {}: build it (cargo build), or set KUBERNIX_BIN", path.display());
        path
    })
}

/// The `kubernix` under test, untouched by the settings of the user that runs the tests.
pub fn kubernix() -> Command {
    let mut command = program(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KUBERNIX_")) {
        command.env_remove(name);
    }
    // No kubernix.toml lies there: neither the working directory's nor the user's counts.
    // Set by the user for a `kubernix` that has its components from there.
    if let Some(plugins) = std::env::var_os("KUBERNIX_TEST_PLUGINS") {
        command.env("KUBERNIX_PLUGIN_PATH", plugins);
    }
    // Nor does a kubeconfig: `down` looks into the user's own. Nobody can make anything there, as
    // Go would that builds a tool.
    command.current_dir("/").env("XDG_CONFIG_HOME", NOWHERE).env("KUBECONFIG", format!("{NOWHERE}/kubeconfig"));
    command
}

/// Runs a program to its end.
///
/// # Panics
/// It can't be started, or takes longer than three minutes.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    run_for(command, LIMIT)
}

/// Runs a program to its end, which has to come within `limit`.
///
/// # Panics
/// It can't be started, or takes longer; it and what it started are ended then.
#[track_caller]
pub fn run_for(command: &mut Command, limit: Duration) -> Outcome {
    let what = format!("{command:?}");
    // A group of its own, so that all of it can be ended.
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
    finish(what.clone(), child.unwrap_or_else(|error| panic!("can't run {what}: {error}")), limit)
}

/// Gives a command what another one has for its environment: the variables that it sets, and those
/// that it removes.
pub fn copy_environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// A program in the background, which ends with this value.
pub struct Background {
    child: Child,
    output: PathBuf,
}

impl Background {
    /// Starts a program that prints into this file.
    ///
    /// # Panics
    /// It can't be started.
    #[track_caller]
    pub fn start(command: &mut Command, output: PathBuf) -> Self {
        let file = std::fs::File::create(&output).expect("a file for output");
        let child = command.stdout(file.try_clone().expect("a second handle")).stderr(file).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("can't run {command:?}: {error}")), output }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something can be found in what it printed.
    ///
    /// # Panics
    /// It can't within half a minute.
    #[track_caller]
    pub fn prints<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        crate::wait::until(what, Duration::from_secs(30), || {
            let printed = std::fs::read_to_string(&self.output).unwrap_or_default();
            find(&printed).ok_or(printed)
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a program whose outputs are pipes.
///
/// # Panics
/// It doesn't end within the limit, and is killed then.
#[track_caller]
pub fn finish(what: String, mut child: Child, limit: Duration) -> Outcome {
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            other => {
                let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
                let _ = child.wait();
                panic!(
                    "{what} didn't end within {limit:?} ({other:?}); it said:\n{}\n{}",
                    stdout.text(),
                    stderr.text()
                );
            }
        }
    };
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    Outcome { what, code, stdout: stdout.text(), stderr: stderr.text() }
}

/// A thread that reads a pipe to its end.
struct Reader(JoinHandle<String>);

fn collect(pipe: Option<impl Read + Send + 'static>) -> Reader {
    Reader(spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What can't be read wasn't said.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}

impl Reader {
    fn text(self) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.0.is_finished() {
            if Instant::now() > deadline {
                return "(a process that it started still holds its output open)".to_owned();
            }
            sleep(Duration::from_millis(2));
        }
        self.0.join().unwrap_or_default()
    }
}

impl Outcome {
    /// Fails the test unless the program ended with this code.
    ///
    /// # Panics
    /// It ended with another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\nstdout:\n{}\nstderr:\n{}", self.what, self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the program ended well.
    ///
    /// # Panics
    /// It didn't.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless all of these stand in what the program complained about.
    ///
    /// # Panics
    /// One doesn't.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{}\n`{part}` isn't in:\n{}", self.what, self.stderr);
        }
        self
    }

    /// The same outcome, if it printed all of this.
    ///
    /// # Panics
    /// It lacks one.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "{}\n`{part}` isn't in:\n{}{}", self.what, self.stdout, self.stderr);
        }
        self
    }

    /// What the program printed, as JSON.
    ///
    /// # Panics
    /// It isn't.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{}: {error} in:\n{}", self.what, self.stdout))
    }
}
