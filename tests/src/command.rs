//! Runs programs with a time limit: a test fails instead of hanging. Returns the output and the
//! exit status.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// The default time limit of a program: longer than a boot on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A directory that doesn't exist and can't be created.
const NOWHERE: &str = "/proc/nowhere";

/// The result of a program.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line.
    pub what: String,
    /// The exit status; 128 + N if signal N ended it, as in a shell.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A command for a program by name or path, without standard input.
#[expect(clippy::disallowed_methods, reason = "tests run commands as users do, outside of any cluster")]
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

/// The `kubernix` under test, without the settings of the user that runs the tests.
pub fn kubernix() -> Command {
    let mut command = program(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KUBERNIX_")) {
        command.env_remove(name);
    }
    // Its components are plugins if `cargo xtask test` says so.
    if let Some(plugins) = std::env::var_os("KUBERNIX_TEST_PLUGINS") {
        command.env("KUBERNIX_PLUGIN_PATH", plugins);
    }
    // Neither `/` nor NOWHERE has a kubernix.toml or a kubeconfig, and Go can't create a cache
    // there when it builds a tool. `down` reads the user's kubeconfig otherwise.
    command.current_dir("/").env("XDG_CONFIG_HOME", NOWHERE).env("KUBECONFIG", format!("{NOWHERE}/kubeconfig"));
    command
}

/// Runs a program until it exits.
///
/// # Panics
/// It can't be started, or runs longer than three minutes.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    run_for(command, LIMIT)
}

/// Runs a program until it exits, at most for `limit`.
///
/// # Panics
/// It can't be started, or runs longer; then its process group is killed.
#[track_caller]
pub fn run_for(command: &mut Command, limit: Duration) -> Outcome {
    let what = format!("{command:?}");
    // In a process group of its own, so that its children can be killed as well.
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
    finish(what.clone(), child.unwrap_or_else(|error| panic!("can't run {what}: {error}")), limit)
}

/// Copies the environment of a command to another one: variables that are set, and those that are
/// removed.
pub fn copy_environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// A program in the background, killed when this value is dropped.
pub struct Background {
    child: Child,
    output: PathBuf,
}

impl Background {
    /// Starts a program with its output in this file.
    ///
    /// # Panics
    /// It can't be started.
    #[track_caller]
    pub fn start(command: &mut Command, output: PathBuf) -> Self {
        let file = std::fs::File::create(&output).expect("a file for output");
        let child = command.stdout(file.try_clone().expect("a second handle")).stderr(file).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("can't run {command:?}: {error}")), output }
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `find` returns a value for the program's output.
    ///
    /// # Panics
    /// There is none within half a minute.
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
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a program whose outputs are pipes exits.
///
/// # Panics
/// It doesn't exit within the limit; then it is killed.
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
                    "{what} didn't exit within {limit:?} ({other:?}); its output:\n{}\n{}",
                    stdout.text(),
                    stderr.text()
                );
            }
        }
    };
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    Outcome { what, code, stdout: stdout.text(), stderr: stderr.text() }
}

/// A thread that reads a pipe until it is closed.
struct Reader(JoinHandle<String>);

fn collect(pipe: Option<impl Read + Send + 'static>) -> Reader {
    Reader(spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A read error ends the output.
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
    /// Checks that the program exited with this code.
    ///
    /// # Panics
    /// It exited with another code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\nstdout:\n{}\nstderr:\n{}", self.what, self.stdout, self.stderr);
        self
    }

    /// Checks that the program exited with 0.
    ///
    /// # Panics
    /// It exited with another code.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Checks that standard error contains all of these texts.
    ///
    /// # Panics
    /// One is missing.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{}\n`{part}` isn't in:\n{}", self.what, self.stderr);
        }
        self
    }

    /// Checks that standard output contains all of these texts.
    ///
    /// # Panics
    /// One is missing.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "{}\n`{part}` isn't in:\n{}{}", self.what, self.stdout, self.stderr);
        }
        self
    }

    /// Parses standard output as JSON.
    ///
    /// # Panics
    /// It isn't JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{}: {error} in:\n{}", self.what, self.stdout))
    }
}
