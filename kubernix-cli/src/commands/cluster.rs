//! `status`, `list`, `rename` and `stop`.

use super::App;
use crate::exit::{Exit, Refusal};
use crate::output::{self, Table, size, span};
use crate::progress::Progress;
use crate::settings;
use anyhow::Result;
use kubernix_host::api_client::NodeSummary;
use kubernix_host::cluster::{self, Cluster, ListEntry, State, Status};
use kubernix_host::settings::Place;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

impl App {
    /// The exit code is 9 for a running cluster with a component that isn't ready, and 1 for one
    /// that can only be ended.
    pub(super) fn status(&self) -> Result<ExitCode> {
        let (place, cluster) = self.any_cluster()?;
        let found = cluster.status()?;
        output::show(self.output(), &found, status)?;
        match found.state {
            State::Damaged | State::Orphaned => Err(Refusal::error(Exit::Failure, self.only_down(&place, &found))),
            State::Degraded | State::Broken => Ok(Exit::Degraded.into()),
            _ => Ok(Exit::Ok.into()),
        }
    }

    pub(super) fn list(&self) -> Result<()> {
        let place = settings::locate(&self.flags)?;
        let entries = cluster::list(&place.root)?;
        if entries.is_empty() {
            log::info!("no clusters in {}", place.root.display());
        }
        let down = |name: &str| self.call("down", &Place { name: name.to_owned(), root: place.root.clone() });
        output::show(self.output(), &entries, |entries| list(entries, down))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let place = Place { name: from.to_owned(), ..settings::locate(&self.flags)? };
        let progress = Progress::new(&self.flags);
        let renamed = Cluster::find(self.named(&place))?.rename(to, &*progress);
        progress.finish();
        output::show(self.output(), &renamed?, |renamed| {
            let running = if renamed.running { ", and continues to run" } else { "" };
            let head = format!("cluster `{from}` is renamed to `{}`{running}", renamed.name);
            let merged = renamed.merged.iter().map(|file| {
                format!("\ncontext `kubernix-{from}` in {} is renamed to `kubernix-{}`", file.display(), renamed.name)
            });
            std::iter::once(head).chain(merged).collect::<String>()
        })
    }

    pub(super) fn stop(&self) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let (begun, progress) = (Instant::now(), Progress::new(&self.flags));
        let stopped = cluster.stop(&*progress);
        progress.finish();
        stopped?;
        let seconds = begun.elapsed().as_secs_f64();
        let up = self.call("up", &place);
        output::show(self.output(), &json!({ "name": place.name, "state": "stopped", "seconds": seconds }), |_| {
            format!("cluster `{}` is stopped after {seconds:.2} s; `{up}` starts it again", place.name)
        })
    }
}

fn status(status: &Status) -> String {
    let uptime = status.uptime_s.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
    let mut head = vec![
        ("cluster", format!("{} ({}{uptime})", status.name, status.state)),
        ("API", or_dash(&status.api)),
        ("kubeconfig", status.kubeconfig.display().to_string()),
        ("root", status.root.display().to_string()),
    ];
    head.extend(status.problems.iter().map(|problem| ("problem", problem.clone())));
    if let Some(registry) = &status.registry {
        head.push(("registry", registry.clone()));
    }
    if let Some(kubernetes) = &status.kubernetes {
        head.extend(kubernetes.nodes.iter().map(|node| ("node", self::node(node))));
        let pods: Vec<String> = kubernetes.pods.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
        head.push(("pods", or_dash(&pods.join(", "))));
    }
    if !status.own_pids.is_empty() {
        head.push((
            "kubernix",
            format!("{} in processes {}", size(status.own_rss_kib * 1024), joined(&status.own_pids)),
        ));
    }
    let mut text: String = head.iter().map(|(key, value)| format!("{key:10}  {value}\n")).collect();
    if status.components.is_empty() {
        return text;
    }
    for component in &status.components {
        if let Some(reason) = &component.reason {
            text.push_str(&format!("{:10}  {}: {reason}\n", "problem", component.instance));
        }
    }
    let table = Table::new(&["INSTANCE", "PHASE", "STATE", ">PID", ">RESTARTS", ">MEMORY"]);
    let table = status.components.iter().fold(table, |table, component| {
        table.row([
            component.instance.clone(),
            component.phase.clone(),
            component.state.to_string(),
            or_dash(&joined(&component.pids)),
            component.restarts.to_string(),
            if component.pids.is_empty() { "-".into() } else { size(component.rss_kib * 1024) },
        ])
    });
    text.push_str(&format!("\n{table}"));
    text
}

/// A time without fractions of a second. A text that isn't a time is returned as it is.
pub(super) fn created(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(|_| or_dash(time), |time| format!("{time:.0}"))
}

fn node(node: &NodeSummary) -> String {
    let ready = match (node.ready, node.reason.as_str()) {
        (true, _) => "ready".to_owned(),
        (false, "") => "not ready".to_owned(),
        (false, reason) => format!("not ready: {reason}"),
    };
    format!("{} ({ready}, {}, {})", node.name, node.version, node.runtime)
}

fn joined(pids: &[i32]) -> String {
    pids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

fn list(entries: &[ListEntry], down: impl Fn(&str) -> String) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let table = Table::new(&["NAME", "STATE", "API", ">NODES", "CREATED", "ROOT"]);
    let table = entries.iter().fold(table, |table, entry| {
        table.row([
            entry.name.clone(),
            entry.state.to_string(),
            or_dash(&entry.api),
            entry.nodes.to_string(),
            created(&entry.created),
            entry.root.display().to_string(),
        ])
    });
    let mut text = table.to_string();
    for entry in entries.iter().filter(|entry| !entry.problems.is_empty()) {
        text.push_str(&format!("\n{}: {}", entry.name, entry.problems.join("; ")));
        if matches!(entry.state, State::Damaged | State::Orphaned) {
            text.push_str(&format!("; `{}` ends its processes and removes its files", down(&entry.name)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_running_cluster_is_a_head_and_a_table() {
        let text = status(
            &serde_json::from_value(json!({
                "name": "a", "state": "running", "root": "/r/a", "api": "https://127.0.0.1:6443",
                "kubeconfig": "/r/a/kubeconfig/admin.kubeconfig", "uptime_s": 192,
                "own_pids": [10, 11], "own_rss_kib": 20_480,
                "kubernetes": {
                    "nodes": [{ "name": "node-0", "ready": false, "reason": "no network", "version": "v1", "runtime": "x" }],
                    "pods": { "Running": 2 },
                },
                "components": [{
                    "instance": "CRI-O (node 0)", "component": "crio", "source": { "kind": "built-in" }, "version": "1.0.0", "roles": ["cri"],
                    "phase": "Controller", "state": "ready",
                    "pids": [12], "restarts": 1, "rss_kib": 65_536, "logs": [],
                }],
            }))
            .unwrap(),
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cluster     a (running for 3 m 12 s)");
        assert!(lines.contains(&"node        node-0 (not ready: no network, v1, x)"), "{text}");
        assert!(lines.contains(&"kubernix    20.0 MiB in processes 10,11"), "{text}");
        let words: Vec<&str> = lines[lines.len() - 1].split_whitespace().collect();
        assert_eq!(words, ["CRI-O", "(node", "0)", "Controller", "ready", "12", "1", "64.0", "MiB"], "{text}");
    }

    #[test]
    fn problems_are_shown_below_the_table() {
        let entry = |name: &str, state: &str, problems: &[&str]| {
            let entry = json!({
                "name": name, "state": state, "problems": problems, "root": "/r", "api": "", "created": "", "nodes": 0,
            });
            serde_json::from_value::<ListEntry>(entry).unwrap()
        };
        let entries = [
            entry("good", "running", &[]),
            entry("gone", "orphaned", &["its root directory was removed"]),
            entry("frozen", "running", &["its keeper is stopped"]),
        ];
        let text = list(&entries, |name| format!("kubernix down --name {name}"));
        let shown: Vec<&str> = text.lines().skip(4).filter(|line| !line.is_empty()).collect();
        assert_eq!(
            shown,
            [
                "gone: its root directory was removed; `kubernix down --name gone` ends its processes and removes its files",
                "frozen: its keeper is stopped"
            ],
            "{text}"
        );
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(created("2026-11-23T20:26:15.287241455Z"), "2026-11-23T20:26:15Z");
        assert_eq!([created(""), created("long ago")], ["-", "long ago"]);
    }

    #[test]
    fn a_stopped_cluster_has_no_table() {
        let stopped = json!({
            "name": "a", "state": "stopped", "root": "/r/a", "api": "", "kubeconfig": "/k", "uptime_s": null,
            "own_pids": [], "own_rss_kib": 0, "kubernetes": null, "components": [],
        });
        let text = status(&serde_json::from_value(stopped).unwrap());
        assert_eq!(text, "cluster     a (stopped)\nAPI         -\nkubeconfig  /k\nroot        /r/a\n");
    }
}
