//! The floor: the lower bound of a boot's time. The same datastore and API server with the same
//! flags are started alone, at the same time, with an empty datastore. Measured from their start
//! until the API server is ready.

use super::cluster::Cluster;
use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The roles whose components are started.
const ROLES: [&str; 2] = ["datastore", "apiserver"];
/// The time limit for the API server, in seconds.
const TIMEOUT_S: u32 = 60;

/// The floor of a cluster.
pub struct Floor {
    script: String,
    /// The `--data-dir` of each component that has one. Emptied before each run.
    data: Vec<PathBuf>,
    logs: PathBuf,
}

impl Floor {
    /// The floor of a stopped cluster, with its certificates and files.
    pub fn of(cluster: &Cluster) -> Result<Self> {
        let printed = cluster.json(&["plan"])?;
        let plans = plans(&printed)?;
        let logs = cluster.root().join("floor");
        fs::create_dir_all(&logs)?;
        let probe =
            plans.iter().find_map(|plan| provided(plan, ROLES[1])).context("no plan provides the API server")?;
        let url = text(&probe["probe"], "target")?;
        let address = address(url).with_context(|| format!("the API server's probe `{url}` has no address"))?;
        let mut script =
            format!("set -e\nip link set lo up\nip address add {}/32 dev lo\necho started\n", quoted(address));
        let mut data = Vec::new();
        for process in plans.iter().flat_map(|plan| list(plan, "processes")) {
            let log = logs.join(format!("{}.log", text(process, "name")?));
            writeln!(script, "{} >{} 2>&1 &", command_line(process)?, quoted(&log.display().to_string()))?;
            let args = list(process, "args").filter_map(Value::as_str);
            data.extend(args.filter_map(|arg| arg.strip_prefix("--data-dir=")).map(PathBuf::from));
        }
        let pki = cluster.root().join("pki");
        let wait = cluster.command(&[]);
        let kubernix = wait.get_program().to_string_lossy().into_owned();
        write!(script, "{} __wait-http {} --timeout {TIMEOUT_S}", quoted(&kubernix), quoted(url))?;
        write!(script, " --ca {}", file(&pki, "ca.crt"))?;
        if let Some(identity) = probe["probe"]["identity"].as_str() {
            write!(script, " --cert {}", file(&pki, &format!("{identity}.crt")))?;
            write!(script, " --key {}", file(&pki, &format!("{identity}.key")))?;
        }
        script.push_str("\necho ready\n");
        if data.is_empty() {
            bail!("no process of the floor has a `--data-dir` that could be emptied");
        }
        Ok(Self { script, data, logs })
    }

    /// Measures once. All processes end with the first process of their namespaces.
    pub fn measure(&self) -> Result<Duration> {
        for directory in &self.data {
            match fs::remove_dir_all(directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("can't empty {}", directory.display()));
                }
                _ => fs::create_dir_all(directory)?,
            }
            fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        let mut floor = run::command("unshare");
        floor.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &self.script]);
        let mut child = floor.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().context("the floor has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut wait_for = |word: &str| matches!(lines.next(), Some(Ok(line)) if line == word).then(Instant::now);
        let took = wait_for("started").zip(wait_for("ready")).map(|(started, ready)| ready.duration_since(started));
        child.kill()?;
        child.wait()?;
        took.with_context(|| {
            format!("datastore and API server alone didn't become ready; their logs are in {}", self.logs.display())
        })
    }
}

/// The plans of the components that fill [`ROLES`].
fn plans(printed: &Value) -> Result<Vec<&Value>> {
    let is_in_floor = |plan: &&Value| ROLES.iter().any(|role| provided(plan, role).is_some());
    let plans: Vec<_> = list(printed, "instances").map(|instance| &instance["plan"]).filter(is_in_floor).collect();
    if plans.is_empty() {
        bail!("`kubernix plan` names no instance that provides {}", ROLES.join(" or "));
    }
    Ok(plans)
}

/// The entry of a role in a plan, if the plan provides it.
fn provided<'a>(plan: &'a Value, role: &str) -> Option<&'a Value> {
    list(plan, "provides").find(|endpoint| endpoint["role"] == role)
}

/// The shell's command line for a process.
fn command_line(process: &Value) -> Result<String> {
    let mut line = String::new();
    for (name, value) in process["env"].as_object().into_iter().flatten() {
        write!(line, "{name}={} ", quoted(value.as_str().unwrap_or_default()))?;
    }
    line.push_str(&quoted(text(process, "program")?));
    for arg in list(process, "args").filter_map(Value::as_str) {
        write!(line, " {}", quoted(arg))?;
    }
    Ok(line)
}

/// `10.0.0.1` of `https://10.0.0.1:6443/readyz`.
fn address(url: &str) -> Option<&str> {
    let (host, _) = url.strip_prefix("https://")?.split_once(':')?;
    Some(host)
}

fn file(directory: &Path, name: &str) -> String {
    quoted(&directory.join(name).display().to_string())
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("`kubernix plan` has no `{key}` where one is needed"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_floor_selects_components_by_role() {
        let printed = json!({ "instances": [
            { "instance": "store", "plan": { "processes": [{ "name": "a" }], "provides": [{ "role": "datastore" }] } },
            { "instance": "api", "plan": { "provides": [{ "role": "apiserver-port" }, { "role": "apiserver", "url": "u" }] } },
            { "instance": "scheduler", "plan": { "provides": [{ "role": "scheduler" }] } },
        ]});
        let found = plans(&printed).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(provided(found[1], "apiserver").unwrap()["url"], "u");
        assert!(plans(&json!({ "instances": [] })).is_err());
    }

    #[test]
    fn a_process_keeps_its_words() {
        let process = json!({ "program": "/bin/x y", "args": ["--a=it's", "$b"], "env": { "K": "v w" } });
        assert_eq!(command_line(&process).unwrap(), r"K='v w' '/bin/x y' '--a=it'\''s' '$b'");
        assert_eq!(address("https://10.10.192.1:6443/readyz"), Some("10.10.192.1"));
        assert_eq!(address("unix:///x"), None);
    }
}
