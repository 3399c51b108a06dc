//! A cluster, driven only by the `kubernix` command and observed only by its events and /proc.

use super::processes::Processes;
use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A cluster that is measured.
pub struct Cluster {
    kubernix: PathBuf,
    directory: PathBuf,
    name: String,
}

/// Durations from the call of `up`.
#[derive(Debug, Clone, Copy)]
pub struct Up {
    /// Until the last node is Ready.
    pub node_ready: Duration,
    /// Until `up` returns: pods can be created, and addons are ready.
    pub returned: Duration,
}

impl Cluster {
    /// The cluster of this name in a base directory. It may not exist yet.
    pub fn new(kubernix: &Path, directory: &Path, name: &str) -> Self {
        Self { kubernix: kubernix.to_owned(), directory: directory.to_owned(), name: name.to_owned() }
    }

    /// Its root directory.
    pub fn root(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// A `kubernix` command for this cluster.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = run::command(&self.kubernix);
        command.arg("--name").arg(&self.name).arg("--root").arg(&self.directory).args(args);
        command
    }

    /// Runs a `kubernix` command for this cluster. Returns its JSON output.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let printed = run::output(self.command(args).args(["--output", "json"]))?;
        serde_json::from_str(&printed).with_context(|| format!("`kubernix {}` printed no JSON", args.join(" ")))
    }

    /// Runs a `kubernix` command for this cluster. Returns its duration.
    pub fn timed(&self, args: &[&str]) -> Result<Duration> {
        let started = Instant::now();
        run::output(&mut self.command(args))?;
        Ok(started.elapsed())
    }

    /// Boots the cluster without addons.
    pub fn up(&self) -> Result<Up> {
        self.up_with(&["--addons", "none"])
    }

    /// Boots the cluster with these flags.
    pub fn up_with(&self, settings: &[&str]) -> Result<Up> {
        let called = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let returned = self.timed(&[&["up", "--quiet"], settings].concat())?;
        let events = self.root().join("events.jsonl");
        let events = std::fs::read_to_string(&events).with_context(|| format!("can't read {}", events.display()))?;
        let ready = last_node_ready(&events).context("the events of the boot have no node that became ready")?;
        let Some(node_ready) = ready.checked_sub(called) else { bail!("the events are those of an earlier boot") };
        Ok(Up { node_ready, returned })
    }

    /// Creates a pod of the pause image, which every cluster has, and waits until it runs.
    pub fn run_pod(&self) -> Result<()> {
        let images = self.json(&["image", "list"])?;
        let image = find_text(&images, &|text| text.contains("/pause:")).context("the cluster has no pause image")?;
        let image = format!("--image={image}");
        let pod = ["kubectl", "--", "run", "bench", &image, "--image-pull-policy=Never"];
        run::output(&mut self.command(&pod))?;
        let wait = ["kubectl", "--", "wait", "--for=jsonpath={.status.phase}=Running", "pod/bench", "--timeout=60s"];
        run::output(&mut self.command(&wait)).map(drop)
    }

    /// The components that can fill a role, the default first.
    pub fn fillers(&self, role: &str) -> Result<Vec<String>> {
        let rows = self.json(&["component", "list"])?;
        let mut rows: Vec<_> = rows.as_array().into_iter().flatten().filter(|row| row["role"] == role).collect();
        rows.sort_by_key(|row| row["state"] != "chosen");
        Ok(rows.iter().filter_map(|row| row["component"].as_str().map(String::from)).collect())
    }

    /// The cluster's present processes.
    pub fn processes(&self) -> Result<Processes> {
        let found = Processes::of(&self.directory, &self.name)?;
        if found.is_empty() {
            bail!("cluster `{}` has no processes", self.name);
        }
        Ok(found)
    }

    /// Destroys the cluster if it exists.
    pub fn down_if_exists(&self) {
        if self.root().exists()
            && let Err(error) = self.timed(&["down"])
        {
            eprintln!("warning: {error:#}");
        }
    }
}

/// The Unix time at which the last node of the last boot became ready.
fn last_node_ready(events: &str) -> Option<Duration> {
    let mut ready = None;
    for line in events.lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        if record["event"] == "boot-started" {
            ready = None;
        } else if record["event"] == "role-ready" && record["role"] == "node" {
            ready = record["at_us"].as_u64().map(Duration::from_micros);
        }
    }
    ready
}

/// The first text in a JSON value for which `fits` returns true.
fn find_text<'a>(value: &'a Value, fits: &impl Fn(&str) -> bool) -> Option<&'a str> {
    match value {
        Value::String(text) => fits(text).then_some(text),
        Value::Array(values) => values.iter().find_map(|value| find_text(value, fits)),
        Value::Object(fields) => fields.values().find_map(|value| find_text(value, fits)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_node_of_the_last_boot_counts() {
        let events = r#"{"at_us":1,"event":"boot-started","cluster":"c","version":"1"}
{"at_us":2000,"event":"role-ready","instance":"kubelet (node 0)","role":"node"}
{"at_us":5000,"event":"boot-started","cluster":"c","version":"1"}
{"at_us":7000,"event":"role-ready","instance":"kubelet (node 0)","role":"node"}
{"at_us":8000,"event":"role-ready","instance":"scheduler","role":"scheduler"}
{"at_us":9000,"event":"role-ready","instance":"kubelet (node 1)","role":"node"}
"#;
        assert_eq!(last_node_ready(events), Some(Duration::from_millis(9)));
        let unfinished: Vec<&str> = events.lines().take(3).collect();
        assert_eq!(last_node_ready(&unfinished.join("\n")), None);
    }

    #[test]
    fn texts_are_found_at_any_depth() {
        let images = serde_json::json!([{ "names": ["a/b:1", "local/pause:1.0"], "size": 3 }]);
        assert_eq!(find_text(&images, &|text| text.contains("/pause:")), Some("local/pause:1.0"));
        assert_eq!(find_text(&images, &|text| text.contains("/nginx:")), None);
    }
}
