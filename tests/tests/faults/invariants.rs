//! Checks the invariants of a cluster: `down` works, nothing remains, and nothing is lost without a
//! report.

use super::remains::remains;
use kubernix_tests::{Cluster, Outcome, Snapshot, alive, for_none, oci_archive, pod, processes_below, run_for, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// The time limit until a cluster is healthy again, on a busy machine.
const HEALING_TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit until the remains of a cluster are removed.
pub const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a command: longer than the boot timeout of the clusters.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(150);
/// Settings of all clusters here: without cluster DNS, which no part uses, and with a boot timeout
/// below the test's own.
pub const SETTINGS: [&str; 4] = ["--addons", "none", "--boot-timeout", "60"];
/// The same, with volumes.
pub const WITH_VOLUMES: [&str; 4] = ["--addons", "local-path", "--boot-timeout", "60"];

/// The objects that must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Objects {
    config: Value,
    secret: Value,
    pod: Option<Value>,
    volume: Option<String>,
}

/// A cluster with checks of the invariants.
pub struct CheckedCluster {
    /// The cluster.
    pub cluster: Cluster,
    settings: &'static [&'static str],
    before: Snapshot,
    kept: Option<Objects>,
}

impl CheckedCluster {
    /// A cluster that isn't booted yet.
    pub fn new(tag: &str) -> Self {
        Self::with_settings(tag, &SETTINGS)
    }

    /// As [`CheckedCluster::new`], with other settings than [`SETTINGS`].
    pub fn with_settings(tag: &str, settings: &'static [&'static str]) -> Self {
        let cluster = Cluster::new(tag);
        let before = Snapshot::take(&cluster.name, cluster.base());
        Self { cluster, settings, before, kept: None }
    }

    /// Runs `up` with the cluster's settings, because a failed boot may have saved none.
    #[track_caller]
    pub fn up(&self) -> Outcome {
        self.cluster.up(self.settings)
    }

    /// The command of [`CheckedCluster::up`].
    pub fn up_command(&self) -> Command {
        self.cluster.command(&[&["up"], self.settings].concat())
    }

    /// Whether objects were created.
    pub fn has_objects(&self) -> bool {
        self.kept.is_some()
    }

    /// Creates a ConfigMap and a Secret that must not be lost.
    #[track_caller]
    pub fn create_objects(&mut self) {
        self.cluster.kubectl(&["create", "configmap", "kept", "--from-literal=answer=42"]).ok();
        self.cluster.kubectl(&["create", "secret", "generic", "kept", "--from-literal=word=secret"]).ok();
        self.kept = Some(self.read_objects(false, false));
    }

    /// Creates the same objects and a pod.
    #[track_caller]
    pub fn create_objects_and_pod(&mut self) {
        self.create_objects();
        self.cluster.run(&["image", "load", &oci_archive(self.cluster.base()).to_string_lossy()]).ok();
        self.cluster.apply(&pod("main", "sleep 36000", &json!({})));
        alive(&self.cluster, "main");
        self.kept = Some(self.read_objects(true, false));
    }

    /// Creates the same objects, a pod, and a volume with a file. The cluster needs the settings
    /// [`WITH_VOLUMES`].
    #[track_caller]
    pub fn create_objects_and_volume(&mut self) {
        self.create_objects_and_pod();
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } },
        });
        let script = "[ -e /data/x ] || cat /proc/sys/kernel/random/uuid > /data/x; sleep 36000";
        let mut writer = pod("writer", script, &json!({}));
        writer["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
        writer["spec"]["volumes"] = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
        self.cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [claim, writer] }));
        alive(&self.cluster, "writer");
        self.kept = Some(self.read_objects(true, true));
    }

    /// Reads the objects, and the pod and the volume if the cluster has them.
    fn read_objects(&self, pod: bool, volume: bool) -> Objects {
        let get = |what: &[&str]| {
            let found = self.cluster.kubectl(&[&["get", "--output", "json"], what].concat());
            if found.code == 0 { found.json() } else { Value::String(found.stderr) }
        };
        let (config, secret) = (get(&["configmap", "kept"]), get(&["secret", "kept"]));
        let read = || self.cluster.kubectl(&["exec", "writer", "--", "cat", "/data/x"]).stdout;
        Objects {
            config: json!([config["metadata"]["uid"], config["data"]]),
            secret: json!([secret["metadata"]["uid"], secret["data"]]),
            pod: pod.then(|| get(&["pod", "main"])["metadata"]["uid"].clone()),
            volume: volume.then(read),
        }
    }

    /// Checks that no object, pod or volume was lost.
    #[track_caller]
    pub fn check_objects(&self) {
        let Some(kept) = &self.kept else { return };
        until("object, pod or volume that was there before", HEALING_TIMEOUT, || {
            let now = self.read_objects(kept.pod.is_some(), kept.volume.is_some());
            if now == *kept { Ok(()) } else { Err(format!("{now:?} instead of {kept:?}")) }
        });
        if kept.pod.is_some() {
            alive(&self.cluster, "main");
        }
    }

    /// The exit code and the output of `status`.
    pub fn status(&self) -> (i32, Value) {
        let outcome = run_for(&mut self.cluster.command(&["status", "--output", "json"]), COMMAND_TIMEOUT);
        let status = serde_json::from_str(&outcome.stdout).unwrap_or(Value::String(outcome.stderr));
        (outcome.code, status)
    }

    /// Waits until the cluster is healthy by the output and the exit code of `status`. Returns the
    /// time it took.
    #[track_caller]
    pub fn wait_until_healthy(&self) -> Duration {
        let started = Instant::now();
        until("healthy cluster", HEALING_TIMEOUT, || {
            let (code, status) = self.status();
            let nodes = status["kubernetes"]["nodes"].as_array().cloned().unwrap_or_default();
            let ready = !nodes.is_empty() && nodes.iter().all(|node| node["ready"] == true);
            if code == 0 && status["state"] == "running" && ready { Ok(()) } else { Err(format!("{code}: {status}")) }
        });
        let healed = started.elapsed();
        self.check_objects();
        healed
    }

    /// As [`CheckedCluster::wait_until_healthy`]. If the keeper or init was ended, nothing may
    /// remain, and `up` has to continue the cluster.
    #[track_caller]
    pub fn check_recovery(&self) -> Duration {
        let started = Instant::now();
        // When the keeper or the init ends, the other processes end a moment later.
        let state = until("state that stays", HEALING_TIMEOUT, || {
            let first = self.status().1["state"].clone();
            std::thread::sleep(Duration::from_millis(300));
            let second = self.status().1["state"].clone();
            let passing = ["starting", "stopping", "changing", "booting"].iter().any(|state| second == *state);
            if first == second && !passing { Ok(second) } else { Err(format!("{first}, then {second}")) }
        });
        if state == "stopped" || !self.cluster.root().exists() {
            self.check_nothing_runs();
            let up = self.up().ok();
            self.check_outcome(&up);
        }
        self.wait_until_healthy();
        started.elapsed()
    }

    /// The state that all commands have to report alike, and that has to be the same after `stop`
    /// and `up`.
    #[track_caller]
    pub fn view(&self) -> Value {
        let rows = |command: &[&str], keys: &[&str]| -> Vec<Vec<Value>> {
            let all = self.cluster.json(command).as_array().cloned().unwrap_or_default();
            all.iter().map(|row| keys.iter().map(|key| row[*key].clone()).collect()).collect()
        };
        json!({
            "nodes": rows(&["node", "list"], &["name", "ip", "pod_cidr", "zone", "cri"]),
            "ports": rows(&["port", "list"], &["spec"]),
            "roles": rows(&["component", "list"], &["role", "component"]),
            "settings": rows(&["config", "show"], &["key", "value"]),
        })
    }

    /// Checks that commands report the same state of a running cluster.
    #[track_caller]
    pub fn check_consistency(&self) {
        let names = |rows: &Value| -> Vec<String> {
            let rows = rows.as_array().cloned().unwrap_or_default();
            let mut names: Vec<_> = rows.iter().filter_map(|row| Some(row["name"].as_str()?.to_owned())).collect();
            names.sort();
            names
        };
        until("commands that agree on the nodes", HEALING_TIMEOUT, || {
            let listed = names(&self.cluster.json(&["node", "list"]));
            let known = names(&self.status().1["kubernetes"]["nodes"]);
            let counted = self.cluster.json(&["list"])[0]["nodes"].as_u64().unwrap_or_default();
            let agree = listed == known && u64::try_from(listed.len()) == Ok(counted);
            if agree { Ok(()) } else { Err(format!("`node list`: {listed:?}, API: {known:?}, `list`: {counted}")) }
        });
    }

    /// Checks that `stop` and `up` restore the same cluster.
    #[track_caller]
    pub fn check_stop_and_up(&self) {
        let before = self.view();
        self.cluster.run(&["stop"]).ok();
        self.check_nothing_runs();
        self.up().ok();
        assert_eq!(before, self.view(), "before `stop` and after `up`");
        self.wait_until_healthy();
        self.check_consistency();
    }

    /// Checks that a cluster that doesn't run has left nothing outside of its directory.
    #[track_caller]
    pub fn check_nothing_runs(&self) {
        for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || {
            remains(&self.before, &self.cluster)
        });
    }

    /// Runs `down`: it has to work at the first attempt, and nothing may remain.
    #[track_caller]
    pub fn down(&self) {
        let down = run_for(&mut self.cluster.command(&["down"]), COMMAND_TIMEOUT).ok();
        self.check_outcome(&down);
        self.check_removed();
    }

    /// Destroys the cluster, unless a fault has done so.
    #[track_caller]
    pub fn destroy(&self) {
        if self.cluster.root().exists() {
            self.down();
        }
    }

    /// Checks that nothing of a destroyed cluster remains.
    #[track_caller]
    pub fn check_removed(&self) {
        assert!(!self.cluster.root().exists(), "{} is still there", self.cluster.root().display());
        self.check_nothing_runs();
    }

    /// Checks that a command didn't panic, wasn't killed by an unexpected signal, and didn't fail
    /// without a message.
    #[track_caller]
    pub fn check_outcome(&self, outcome: &Outcome) {
        let Outcome { what, code, stdout, stderr } = outcome;
        let interrupted = *code == 130;
        let own = *code != 101 && (*code < 128 || interrupted);
        assert!(own, "{what} ended with {code}:\n{stdout}{stderr}");
        assert!(!stderr.contains("panicked at"), "{what} panicked:\n{stderr}");
        assert!(
            *code == 0 || interrupted || !stderr.trim().is_empty(),
            "{what} failed with {code} and without a message"
        );
    }

    /// Checks that a command succeeded or that its message has one of these errors.
    pub fn check_error(&self, outcome: &Outcome, errors: &[&str]) {
        self.check_outcome(outcome);
        let Outcome { what, code, stderr, .. } = outcome;
        let reported = errors.iter().any(|error| stderr.contains(error));
        assert!(*code == 0 || reported, "{what} failed with {code} without reporting one of {errors:?}:\n{stderr}");
    }
}

impl Drop for CheckedCluster {
    /// Continues stopped processes, so that a failed test leaves nothing behind.
    fn drop(&mut self) {
        for process in processes_below(self.cluster.base()) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGCONT);
        }
    }
}
