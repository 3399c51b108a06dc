//! Clusters that are removed at the end of their test, also if the test fails.

use crate::command::{Outcome, kubernix, run, run_for};
use crate::host::Snapshot;
use crate::parts::Parts;
use crate::running::RunningCommand;
use crate::wait::until;
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The time limit of operations that usually take a second.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A directory for clusters, removed at the end of the test.
pub struct Base(TempDir);

impl Default for Base {
    fn default() -> Self {
        Self::new()
    }
}

impl Base {
    /// Creates an empty directory.
    ///
    /// # Panics
    /// It can't be created.
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("kxt-").tempdir().expect("a temporary directory"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A cluster with a unique name. It may run or not.
pub struct Cluster {
    /// Its name.
    pub name: String,
    place: PathBuf,
    _base: Base,
}

/// Flags of `up` for a cluster without addons and cluster DNS.
pub const NO_ADDONS: [&str; 2] = ["--addons", "none"];

/// The exit code of `status` for a degraded or broken cluster.
const DEGRADED: i32 = 9;

impl Cluster {
    /// A cluster that isn't booted yet.
    pub fn new(tag: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = Base::new();
        let place = base.path().to_owned();
        Self { name: format!("t-{tag}-{}-{number}", std::process::id()), place, _base: base }
    }

    /// As [`Cluster::new`], in a directory that doesn't exist yet, and whose parent doesn't exist
    /// either.
    pub fn in_missing_directory(tag: &str) -> Self {
        let mut cluster = Self::new(tag);
        cluster.place.push("new/clusters");
        cluster
    }

    /// As [`Cluster::new`], in the directory of this cluster. This cluster has to be dropped last.
    pub fn sibling(&self, tag: &str) -> Self {
        let mut cluster = Self::new(tag);
        cluster.place.clone_from(&self.place);
        cluster
    }

    /// Boots a cluster without addons: most tests need no DNS, and DNS takes a third of the boot.
    ///
    /// # Panics
    /// The boot fails.
    #[track_caller]
    pub fn boot(tag: &str) -> Self {
        Self::boot_of(tag, Parts::default())
    }

    /// Boots a cluster of these parts, without addons.
    ///
    /// # Panics
    /// The boot fails.
    #[track_caller]
    pub fn boot_of(tag: &str, parts: Parts) -> Self {
        let cluster = Self::new(tag);
        cluster.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
        cluster
    }

    /// Boots a cluster of these parts, with the default addons.
    ///
    /// # Panics
    /// The boot fails.
    #[track_caller]
    pub fn boot_with_addons(tag: &str, parts: Parts) -> Self {
        let cluster = Self::new(tag);
        cluster.up(&parts.settings()).ok();
        cluster
    }

    /// The directory that contains its root directory.
    pub fn base(&self) -> &Path {
        &self.place
    }

    /// Its root directory.
    pub fn root(&self) -> PathBuf {
        self.base().join(&self.name)
    }

    /// Its ID, from its state file. Its cgroups are named by the ID.
    ///
    /// # Panics
    /// It has no state file yet.
    #[track_caller]
    pub fn id(&self) -> String {
        let text = fs::read(self.root().join("state.json")).expect("a state.json");
        let state: Value = serde_json::from_slice(&text).expect("JSON");
        state["id"].as_str().expect("an ID").to_owned()
    }

    /// The differences between the host and an earlier snapshot. Cgroups of other clusters are left
    /// out: other tests create and remove them meanwhile.
    pub fn changes_since(&self, before: &Snapshot, id: &str) -> Vec<String> {
        let own = format!("/kubernix/{id}");
        let mut changes = before.changes(&Snapshot::take(&self.name, self.base()));
        changes.retain(|change| !change.contains(": cgroup ") || change.contains(&own));
        changes
    }

    /// A `kubernix` command for this cluster.
    pub fn command(&self, command: &[&str]) -> Command {
        let mut kubernix = kubernix();
        kubernix.arg("--name").arg(&self.name).arg("--root").arg(self.base()).args(command);
        kubernix
    }

    /// Runs a `kubernix` command for this cluster. #[track_caller]
    pub fn run(&self, command: &[&str]) -> Outcome {
        run(&mut self.command(command))
    }

    /// Runs `up` with these settings.
    #[track_caller]
    pub fn up(&self, settings: &[&str]) -> Outcome {
        self.run(&[&["up"], settings].concat())
    }

    /// Runs a `kubernix` command for this cluster and parses its JSON output.
    ///
    /// # Panics
    /// It fails, or its output isn't JSON.
    #[track_caller]
    pub fn json(&self, command: &[&str]) -> Value {
        self.run(&[&["--output", "json"], command].concat()).ok().json()
    }

    /// The output of `status`. The cluster may be degraded: the exit code has to agree with the
    /// state.
    ///
    /// # Panics
    /// It fails, or the exit code doesn't agree with the state.
    #[track_caller]
    pub fn status(&self) -> Value {
        let outcome = self.run(&["--output", "json", "status"]);
        let status = outcome.json();
        let expected = if matches!(status["state"].as_str(), Some("degraded" | "broken")) { DEGRADED } else { 0 };
        assert_eq!(outcome.code, expected, "{}{}", outcome.stdout, outcome.stderr);
        status
    }

    /// Runs kubectl for this cluster.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> Outcome {
        self.run(&[&["kubectl", "--"], args].concat())
    }

    /// Runs `kubectl get` for this cluster and returns its output.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        self.kubectl(&[&["get", "--output", "json"], args].concat()).ok().json()
    }

    /// Applies a manifest.
    ///
    /// # Panics
    /// The API server rejects it.
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
    /// They aren't ready in time; the message has the pod's status.
    #[track_caller]
    pub fn ready_pod(&self, pod: &str) -> Value {
        until(&format!("pod {pod} that is ready"), TIMEOUT, || {
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

    /// Starts a `kubernix` command for this cluster in the background.
    ///
    /// # Panics
    /// It can't be started.
    pub fn start_command(&self, command: &mut Command) -> RunningCommand {
        let what = format!("{command:?}");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
        RunningCommand {
            what,
            child: child.expect("kubernix can be started"),
            events: self.root().join("events.jsonl"),
        }
    }

    /// Waits until `status` reports the state `running`, and returns the status.
    ///
    /// # Panics
    /// It doesn't.
    #[track_caller]
    pub fn wait_until_running(&self) -> Value {
        until("running cluster", TIMEOUT, || {
            let status = self.status();
            if status["state"] == "running" { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// The keeper and the init.
    ///
    /// # Panics
    /// It doesn't run.
    #[track_caller]
    pub fn keeper_and_init(&self) -> (Pid, Pid) {
        let status = self.status();
        let pids: Vec<i32> = serde_json::from_value(status["own_pids"].clone()).unwrap_or_default();
        match pids[..] {
            [keeper, init] => (Pid::from_raw(keeper), Pid::from_raw(init)),
            _ => panic!("no keeper and init in {status}"),
        }
    }

    /// Whether `list` shows it, even if its directory is gone.
    fn is_listed(&self) -> bool {
        let list = run_for(&mut self.command(&["list", "--output", "json"]), TIMEOUT);
        list.code == 0 && list.stdout.contains(&format!("{:?}", self.name))
    }

    /// Starts `up` with these settings in the background.
    ///
    /// # Panics
    /// It can't be started.
    pub fn start_up(&self, settings: &[&str]) -> RunningCommand {
        self.start_command(&mut self.command(&[&["up"], settings].concat()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let has_state = ["state.json", "removing.json"].iter().any(|file| self.root().join(file).exists());
        // The test may have damaged the cluster.
        let there = has_state || self.is_listed();
        if there && std::thread::panicking() {
            let status = run_for(&mut self.command(&["status"]), TIMEOUT);
            eprintln!("{}{}", status.stdout, status.stderr);
        }
        if there {
            let down = run_for(&mut self.command(&["down"]), TIMEOUT);
            // A second panic while one unwinds would abort all tests.
            if down.code != 0 {
                eprintln!("{} can't be destroyed: {}", self.name, down.stderr);
                assert!(std::thread::panicking(), "{} can't be destroyed: {}", self.name, down.stderr);
            }
        }
    }
}

/// The first instance of a component with a process in the output of `status`, and the PID of its
/// main process on the host.
pub fn working_instance<'a>(status: &'a Value, component: &str) -> Option<(&'a Value, Pid)> {
    let all = status["components"].as_array()?;
    all.iter().filter(|one| one["component"] == component).find_map(|one| {
        let pid = one["pids"][0].as_i64()?;
        Some((one, Pid::from_raw(i32::try_from(pid).ok()?)))
    })
}

/// The PID on the host of a component's main process, from the output of `status`.
pub fn main_process(status: &Value, component: &str) -> Option<Pid> {
    working_instance(status, component).map(|(_, pid)| pid)
}
