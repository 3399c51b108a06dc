//! The one law: `down` works, nothing remains, and nothing is lost without a word.

use super::remains::remains;
use kubernix_tests::{Cluster, Outcome, Snapshot, alive, for_none, oci_archive, pod, processes_below, run_for, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a cluster may take until all is well again, on a busy machine.
const HEALED: Duration = Duration::from_secs(60);
/// How long what has to vanish may take.
pub const GONE: Duration = Duration::from_secs(10);
/// How long a command may take: longer than the time limit of what it asks for.
pub const COMMAND: Duration = Duration::from_secs(150);
/// Settings of all clusters here: without cluster DNS, which nothing asks for, and with a time
/// limit that fits the test's own.
pub const SETTINGS: [&str; 4] = ["--addons", "none", "--boot-timeout", "60"];
/// The same, with volumes.
pub const WITH_VOLUMES: [&str; 4] = ["--addons", "local-path", "--boot-timeout", "60"];

/// What must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    config: Value,
    secret: Value,
    pod: Option<Value>,
    volume: Option<String>,
}

/// A cluster that is held to the law.
pub struct Law {
    /// The cluster.
    pub cluster: Cluster,
    settings: &'static [&'static str],
    before: Snapshot,
    kept: Option<Kept>,
}

impl Law {
    /// Nothing booted yet.
    pub fn new(tag: &str) -> Self {
        Self::with_settings(tag, &SETTINGS)
    }

    /// The same, with other settings than [`SETTINGS`].
    pub fn with_settings(tag: &str, settings: &'static [&'static str]) -> Self {
        let cluster = Cluster::new(tag);
        let before = Snapshot::take(&cluster.name, cluster.base());
        Self { cluster, settings, before, kept: None }
    }

    /// `up` with the cluster's settings, as a boot that failed may have saved none.
    #[track_caller]
    pub fn up(&self) -> Outcome {
        self.cluster.up(self.settings)
    }

    /// The command for it.
    pub fn up_command(&self) -> Command {
        self.cluster.command(&[&["up"], self.settings].concat())
    }

    /// Whether there is something in it that must not be lost.
    pub fn is_furnished(&self) -> bool {
        self.kept.is_some()
    }

    /// Makes a ConfigMap and a Secret that must not be lost.
    #[track_caller]
    pub fn furnish(&mut self) {
        self.cluster.kubectl(&["create", "configmap", "kept", "--from-literal=answer=42"]).ok();
        self.cluster.kubectl(&["create", "secret", "generic", "kept", "--from-literal=word=secret"]).ok();
        self.kept = Some(self.look(false, false));
    }

    /// The same, and a pod.
    #[track_caller]
    pub fn furnish_with_pod(&mut self) {
        self.furnish();
        self.cluster.run(&["image", "load", &oci_archive(self.cluster.base()).to_string_lossy()]).ok();
        self.cluster.apply(&pod("main", "sleep 36000", &json!({})));
        alive(&self.cluster, "main");
        self.kept = Some(self.look(true, false));
    }

    /// The same, and a volume with a file. The cluster has to be one [`WITH_VOLUMES`].
    #[track_caller]
    pub fn furnish_with_volume(&mut self) {
        self.furnish_with_pod();
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
        self.kept = Some(self.look(true, true));
    }

    /// What there is now of what must not be lost. Without `pod` and `volume` these aren't looked
    /// for: the cluster has none.
    fn look(&self, pod: bool, volume: bool) -> Kept {
        let get = |what: &[&str]| {
            let found = self.cluster.kubectl(&[&["get", "--output", "json"], what].concat());
            if found.code == 0 { found.json() } else { Value::String(found.stderr) }
        };
        let (config, secret) = (get(&["configmap", "kept"]), get(&["secret", "kept"]));
        let read = || self.cluster.kubectl(&["exec", "writer", "--", "cat", "/data/x"]).stdout;
        Kept {
            config: json!([config["metadata"]["uid"], config["data"]]),
            secret: json!([secret["metadata"]["uid"], secret["data"]]),
            pod: pod.then(|| get(&["pod", "main"])["metadata"]["uid"].clone()),
            volume: volume.then(read),
        }
    }

    /// Fails where an object, a pod or a volume was lost.
    #[track_caller]
    pub fn is_kept(&self) {
        let Some(kept) = &self.kept else { return };
        until("object, pod or volume that was there before", HEALED, || {
            let now = self.look(kept.pod.is_some(), kept.volume.is_some());
            if now == *kept { Ok(()) } else { Err(format!("{now:?} instead of {kept:?}")) }
        });
        if kept.pod.is_some() {
            alive(&self.cluster, "main");
        }
    }

    /// What `status` says, with its exit code.
    pub fn status(&self) -> (i32, Value) {
        let outcome = run_for(&mut self.cluster.command(&["status", "--output", "json"]), COMMAND);
        let said = serde_json::from_str(&outcome.stdout).unwrap_or(Value::String(outcome.stderr));
        (outcome.code, said)
    }

    /// Waits until all is well, also by the exit code of `status`. Returns how long that took.
    #[track_caller]
    pub fn healed(&self) -> Duration {
        let begun = Instant::now();
        until("cluster that is well again", HEALED, || {
            let (code, status) = self.status();
            let nodes = status["kubernetes"]["nodes"].as_array().cloned().unwrap_or_default();
            let ready = !nodes.is_empty() && nodes.iter().all(|node| node["ready"] == true);
            if code == 0 && status["state"] == "running" && ready { Ok(()) } else { Err(format!("{code}: {status}")) }
        });
        let healed = begun.elapsed();
        self.is_kept();
        healed
    }

    /// As [`Law::healed`], also of a cluster whose carriers were ended: nothing of it may remain,
    /// and `up` continues it.
    #[track_caller]
    pub fn carries_on(&self) -> Duration {
        let begun = Instant::now();
        // A keeper or an init that ends takes a moment to end all else.
        let state = until("state that stays", HEALED, || {
            let first = self.status().1["state"].clone();
            std::thread::sleep(Duration::from_millis(300));
            let second = self.status().1["state"].clone();
            let passing = ["starting", "stopping", "changing", "booting"].iter().any(|state| second == *state);
            if first == second && !passing { Ok(second) } else { Err(format!("{first}, then {second}")) }
        });
        if state == "stopped" || !self.cluster.root().exists() {
            self.nothing_runs();
            let up = self.up().ok();
            self.is_no_accident(&up);
        }
        self.healed();
        begun.elapsed()
    }

    /// What can be seen of a cluster that must be the same whichever command tells it, and the same
    /// after `stop` and `up`.
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

    /// Fails where commands contradict each other about a running cluster.
    #[track_caller]
    pub fn agrees(&self) {
        let names = |rows: &Value| -> Vec<String> {
            let rows = rows.as_array().cloned().unwrap_or_default();
            let mut names: Vec<_> = rows.iter().filter_map(|row| Some(row["name"].as_str()?.to_owned())).collect();
            names.sort();
            names
        };
        until("commands that agree on the nodes", HEALED, || {
            let listed = names(&self.cluster.json(&["node", "list"]));
            let known = names(&self.status().1["kubernetes"]["nodes"]);
            let counted = self.cluster.json(&["list"])[0]["nodes"].as_u64().unwrap_or_default();
            let agree = listed == known && u64::try_from(listed.len()) == Ok(counted);
            if agree { Ok(()) } else { Err(format!("`node list`: {listed:?}, API: {known:?}, `list`: {counted}")) }
        });
    }

    /// Fails where what a running cluster is isn't what `stop` and `up` bring back.
    #[track_caller]
    pub fn comes_back(&self) {
        let before = self.view();
        self.cluster.run(&["stop"]).ok();
        self.nothing_runs();
        self.up().ok();
        assert_eq!(before, self.view(), "before `stop` and after `up`");
        self.healed();
        self.agrees();
    }

    /// Fails where something of a cluster that doesn't run is left outside of its directory.
    #[track_caller]
    pub fn nothing_runs(&self) {
        for_none("end of all that a cluster was", GONE, || remains(&self.before, &self.cluster));
    }

    /// Destroys the cluster: it has to work at once, and nothing may be left.
    #[track_caller]
    pub fn down(&self) {
        let down = run_for(&mut self.cluster.command(&["down"]), COMMAND).ok();
        self.is_no_accident(&down);
        self.is_gone();
    }

    /// Destroys the cluster, where a fault hasn't done so.
    #[track_caller]
    pub fn end(&self) {
        if self.cluster.root().exists() {
            self.down();
        }
    }

    /// Fails where something of a cluster that was destroyed is left.
    #[track_caller]
    pub fn is_gone(&self) {
        assert!(!self.cluster.root().exists(), "{} is still there", self.cluster.root().display());
        self.nothing_runs();
    }

    /// Fails where a command ended by a panic or a signal that it wasn't sent, or failed without a
    /// word.
    #[track_caller]
    pub fn is_no_accident(&self, outcome: &Outcome) {
        let Outcome { what, code, stdout, stderr } = outcome;
        let interrupted = *code == 130;
        let own = *code != 101 && (*code < 128 || interrupted);
        assert!(own, "{what} ended with {code}:\n{stdout}{stderr}");
        assert!(!stderr.contains("panicked at"), "{what} panicked:\n{stderr}");
        assert!(*code == 0 || interrupted || !stderr.trim().is_empty(), "{what} failed with {code} and said nothing");
    }
}

impl Drop for Law {
    /// What a fault left stopped goes on, so that a test that failed leaves nothing behind.
    fn drop(&mut self) {
        for process in processes_below(self.cluster.base()) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGCONT);
        }
    }
}
