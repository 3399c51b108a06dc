//! Clusters that end with the test that booted them, however that ends.

use crate::command::{Outcome, finish, kubernix, run, run_for};
use crate::host::Snapshot;
use crate::parts::Parts;
use crate::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long a thing in a cluster may take that usually takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory for clusters, which goes with the test.
pub struct Base(TempDir);

impl Default for Base {
    fn default() -> Self {
        Self::new()
    }
}

impl Base {
    /// An empty one.
    ///
    /// # Panics
    /// It can't be made.
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("kxt-").tempdir().expect("a temporary directory"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A cluster of a unique name, running or not.
pub struct Cluster {
    /// Its name.
    pub name: String,
    place: PathBuf,
    _base: Base,
}

/// For `up`: no addons, not even cluster DNS.
pub const NO_ADDONS: [&str; 2] = ["--addons", "none"];

/// The exit code of `status` for a cluster that runs with a part that isn't as it should be.
const DEGRADED: i32 = 9;

impl Cluster {
    /// A name and a place, and nothing booted yet.
    pub fn new(tag: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = Base::new();
        let place = base.path().to_owned();
        Self { name: format!("t-{tag}-{}-{number}", std::process::id()), place, _base: base }
    }

    /// As [`Cluster::new`], in a directory two levels below one that is there.
    pub fn in_new_place(tag: &str) -> Self {
        let mut cluster = Self::new(tag);
        cluster.place.push("new/clusters");
        cluster
    }

    /// As [`Cluster::new`], in the same place as this one, which has to last as long.
    pub fn beside(&self, tag: &str) -> Self {
        let mut cluster = Self::new(tag);
        cluster.place.clone_from(&self.place);
        cluster
    }

    /// A running one without addons: most tests need no DNS, and it takes a third of the boot.
    ///
    /// # Panics
    /// It doesn't come up.
    #[track_caller]
    pub fn boot(tag: &str) -> Self {
        Self::boot_of(tag, Parts::default())
    }

    /// A running one of these parts, without addons.
    ///
    /// # Panics
    /// It doesn't come up.
    #[track_caller]
    pub fn boot_of(tag: &str, parts: Parts) -> Self {
        let cluster = Self::new(tag);
        cluster.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
        cluster
    }

    /// A running one of these parts, with the addons that users get.
    ///
    /// # Panics
    /// It doesn't come up.
    #[track_caller]
    pub fn boot_with_addons(tag: &str, parts: Parts) -> Self {
        let cluster = Self::new(tag);
        cluster.up(&parts.settings()).ok();
        cluster
    }

    /// The directory that it lies in.
    pub fn base(&self) -> &Path {
        &self.place
    }

    /// Its root directory.
    pub fn root(&self) -> PathBuf {
        self.base().join(&self.name)
    }

    /// Its ID, from its state file. Its cgroups are named after it.
    ///
    /// # Panics
    /// It has no state file yet.
    #[track_caller]
    pub fn id(&self) -> String {
        let text = fs::read(self.root().join("state.json")).expect("a state.json");
        let state: Value = serde_json::from_slice(&text).expect("JSON");
        state["id"].as_str().expect("an ID").to_owned()
    }

    /// How the host differs from an earlier look, without the cgroups of other clusters: these come
    /// and go meanwhile.
    pub fn changes_since(&self, before: &Snapshot, id: &str) -> Vec<String> {
        let own = format!("/kubernix/{id}");
        let mut changes = before.changes(&Snapshot::take(&self.name, self.base()));
        changes.retain(|change| !change.contains(": cgroup ") || change.contains(&own));
        changes
    }

    /// A command of `kubernix` on it.
    pub fn command(&self, command: &[&str]) -> Command {
        let mut kubernix = kubernix();
        kubernix.arg("--name").arg(&self.name).arg("--root").arg(self.base()).args(command);
        kubernix
    }

    /// Runs a command of `kubernix` on it.
    #[track_caller]
    pub fn run(&self, command: &[&str]) -> Outcome {
        run(&mut self.command(command))
    }

    /// `up`, with these settings.
    #[track_caller]
    pub fn up(&self, settings: &[&str]) -> Outcome {
        self.run(&[&["up"], settings].concat())
    }

    /// Runs a command of `kubernix` on it that answers in JSON.
    ///
    /// # Panics
    /// It fails, or answers otherwise.
    #[track_caller]
    pub fn json(&self, command: &[&str]) -> Value {
        self.run(&[&["--output", "json"], command].concat()).ok().json()
    }

    /// What `status` says, of a cluster that is degraded as well: its exit code says the same as
    /// its state.
    ///
    /// # Panics
    /// It fails, or the exit code isn't that of the state.
    #[track_caller]
    pub fn status(&self) -> Value {
        let outcome = self.run(&["--output", "json", "status"]);
        let status = outcome.json();
        let expected = if matches!(status["state"].as_str(), Some("degraded" | "broken")) { DEGRADED } else { 0 };
        assert_eq!(outcome.code, expected, "{}{}", outcome.stdout, outcome.stderr);
        status
    }

    /// Runs kubectl on it.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> Outcome {
        self.run(&[&["kubectl", "--"], args].concat())
    }

    /// Runs `kubectl get` on it and returns the answer.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        self.kubectl(&[&["get", "--output", "json"], args].concat()).ok().json()
    }

    /// Makes what a manifest says.
    ///
    /// # Panics
    /// It is refused.
    #[track_caller]
    pub fn apply(&self, manifest: &Value) {
        // Tests that share a cluster apply manifests at the same time.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let file = self.base().join(format!("manifest-{}.json", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, manifest.to_string()).expect("the base can be written");
        self.kubectl(&["apply", "--filename", &file.to_string_lossy()]).ok();
    }

    /// Waits until the containers of a pod are ready, and returns the pod.
    ///
    /// # Panics
    /// They don't become so; with the pod's status.
    #[track_caller]
    pub fn ready_pod(&self, pod: &str) -> Value {
        until(&format!("pod {pod} that is ready"), PATIENCE, || {
            let found = self.kubectl(&["get", "pod", pod, "--output", "json"]);
            if found.code != 0 {
                return Err(found.stderr);
            }
            let found = found.json();
            let statuses = found["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
            let ready = !statuses.is_empty() && statuses.iter().all(|status| status["ready"] == true);
            if ready { Ok(found) } else { Err(found["status"].to_string()) }
        })
    }

    /// Starts a command of `kubernix` on it and returns while it is at work.
    ///
    /// # Panics
    /// It can't be started.
    pub fn working(&self, command: &mut Command) -> Booting {
        let what = format!("{command:?}");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
        Booting { what, child: child.expect("kubernix can be started"), events: self.root().join("events.jsonl") }
    }

    /// Waits until `status` says that all of it is ready, and returns the status.
    ///
    /// # Panics
    /// It doesn't.
    #[track_caller]
    pub fn running(&self) -> Value {
        until("running cluster", PATIENCE, || {
            let status = self.status();
            if status["state"] == "running" { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// The keeper and the init.
    ///
    /// # Panics
    /// It doesn't run.
    #[track_caller]
    pub fn carriers(&self) -> (Pid, Pid) {
        let status = self.status();
        let pids: Vec<i32> = serde_json::from_value(status["own_pids"].clone()).unwrap_or_default();
        match pids[..] {
            [keeper, init] => (Pid::from_raw(keeper), Pid::from_raw(init)),
            _ => panic!("no keeper and init in {status}"),
        }
    }

    /// Whether `list` shows it: also where its directory is gone.
    fn is_listed(&self) -> bool {
        let list = run_for(&mut self.command(&["list", "--output", "json"]), PATIENCE);
        list.code == 0 && list.stdout.contains(&format!("{:?}", self.name))
    }

    /// Starts `up` with these settings and returns while it is at work.
    ///
    /// # Panics
    /// It can't be started.
    pub fn booting(&self, settings: &[&str]) -> Booting {
        self.working(&mut self.command(&[&["up"], settings].concat()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let has_state = ["state.json", "removing.json"].iter().any(|file| self.root().join(file).exists());
        // A test may have damaged it.
        let there = has_state || self.is_listed();
        if there && std::thread::panicking() {
            let status = run_for(&mut self.command(&["status"]), PATIENCE);
            eprintln!("{}{}", status.stdout, status.stderr);
        }
        if there {
            let down = run_for(&mut self.command(&["down"]), PATIENCE);
            // A panic while one unwinds would end all tests.
            if down.code != 0 {
                eprintln!("{} can't be destroyed: {}", self.name, down.stderr);
                assert!(std::thread::panicking(), "{} can't be destroyed: {}", self.name, down.stderr);
            }
        }
    }
}

/// The first instance of a component that has a process, in what `status` says, and its main
/// process as the host numbers it.
pub fn working_instance<'a>(status: &'a Value, component: &str) -> Option<(&'a Value, Pid)> {
    let all = status["components"].as_array()?;
    all.iter().filter(|one| one["component"] == component).find_map(|one| {
        let pid = one["pids"][0].as_i64()?;
        Some((one, Pid::from_raw(i32::try_from(pid).ok()?)))
    })
}

/// The main process of a component, in what `status` says, as the host numbers it.
pub fn main_process(status: &Value, component: &str) -> Option<Pid> {
    working_instance(status, component).map(|(_, pid)| pid)
}

/// An `up`, or another command, at work.
pub struct Booting {
    what: String,
    child: Child,
    events: PathBuf,
}

impl Booting {
    /// Waits until the boot has come so far that this stands in its events; from `boot-started` to
    /// `boot-ready`.
    ///
    /// # Panics
    /// It doesn't come so far.
    #[track_caller]
    pub fn reaches(&self, event: &str) {
        until(event, PATIENCE, || {
            let events = fs::read_to_string(&self.events).unwrap_or_default();
            if events.contains(event) { Ok(()) } else { Err(events) }
        });
    }

    /// Sends the command a signal.
    ///
    /// # Panics
    /// It is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("`up` is still there");
    }

    /// Sends the command SIGINT again and again, as an impatient user does, and waits for its end.
    ///
    /// # Panics
    /// It doesn't end.
    #[track_caller]
    pub fn interrupt_until_it_ends(mut self) -> Outcome {
        until("end of an interrupted boot", PATIENCE, || {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Ok(());
            }
            self.signal(Signal::SIGINT);
            Err("`up` goes on".to_owned())
        });
        self.end()
    }

    /// Waits for the end of the command.
    ///
    /// # Panics
    /// It doesn't end.
    #[track_caller]
    pub fn end(self) -> Outcome {
        self.end_within(PATIENCE)
    }

    /// Waits for the end of the command, which has to come within `limit`.
    ///
    /// # Panics
    /// It doesn't end.
    #[track_caller]
    pub fn end_within(self, limit: Duration) -> Outcome {
        finish(self.what, self.child, limit)
    }

    /// Whether the command is still at work.
    pub fn is_at_work(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }
}
