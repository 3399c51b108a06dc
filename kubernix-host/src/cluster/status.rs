//! The status of one cluster, and the list of all.

use super::condition::Condition;
use super::{Cluster, HostError, pids};
use crate::api_client::Summary;
use crate::boot::Boot;
use crate::control::{ClusterState, InstanceState, Reply, Report, Request};
use crate::plugins::Source;
use crate::root_dir::{self, Root};
use crate::sandbox::SandboxIds;
use crate::sandbox::carriers::{self, Carrier};
use crate::settings::NONE;
use kubernix_core::roles;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All components are ready.
    Running,
    /// It runs, but a component isn't ready.
    Degraded,
    /// A command changes it.
    Changing,
    /// It boots.
    Starting,
    /// It ends.
    Stopping,
    /// Its root directory exists, but no process runs.
    Stopped,
    /// It runs, but doesn't answer.
    Broken,
    /// Its root directory can't be read. Only `down` works.
    Damaged,
    /// It runs, but its root directory was removed. Only `down` works.
    Orphaned,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Changing => "changing",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Broken => "broken",
            Self::Damaged => "damaged",
            Self::Orphaned => "orphaned",
        })
    }
}

impl From<ClusterState> for State {
    fn from(state: ClusterState) -> Self {
        match state {
            ClusterState::Booting => Self::Starting,
            ClusterState::Running => Self::Running,
            ClusterState::Degraded => Self::Degraded,
            ClusterState::Changing => Self::Changing,
            ClusterState::Stopping => Self::Stopping,
        }
    }
}

/// One instance of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// The display name: `CRI-O (node 0)`.
    pub instance: String,
    /// The component's name.
    pub component: String,
    /// The origin of the component.
    pub source: Source,
    /// The component's version.
    pub version: String,
    /// Roles that it fills.
    pub roles: Vec<String>,
    /// Its phase.
    pub phase: String,
    /// Its state.
    pub state: InstanceState,
    /// Why it isn't ready, if the state alone doesn't explain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its processes, by their IDs on the host.
    pub pids: Vec<i32>,
    /// How often a process of it was restarted.
    pub restarts: u32,
    /// The resident memory of its processes, in KiB.
    pub rss_kib: u64,
    /// Its log files.
    pub logs: Vec<PathBuf>,
}

/// The status of one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its ID. Empty for a cluster of an older version, until its next boot.
    #[serde(default)]
    pub id: String,
    /// Its state.
    pub state: State,
    /// Its problems, a sentence each.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Its root directory.
    pub root: PathBuf,
    /// The API server's URL on this host. Empty before the first boot.
    pub api: String,
    /// The local registry's address on this host, with which the names of its images begin:
    /// `127.0.0.1:5000`. `None` without a registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// The admin's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The time since its boot began, in seconds.
    pub uptime_s: Option<u64>,
    /// The status by the Kubernetes API; `None` if it doesn't answer.
    pub kubernetes: Option<Summary>,
    /// All instances in boot order. Empty for a cluster that doesn't run.
    pub components: Vec<ComponentStatus>,
    /// The processes of KuberNix itself: keeper and init.
    pub own_pids: Vec<i32>,
    /// The resident memory of keeper and init, in KiB.
    pub own_rss_kib: u64,
}

impl Cluster {
    /// The status of the cluster, running or not. Probes all of its components.
    ///
    /// # Errors
    /// Its directory can't be read.
    pub fn status(&self) -> Result<Status, HostError> {
        self.inspect(true)
    }

    /// As [`Cluster::status`], without new probes, and without the status by the Kubernetes API.
    ///
    /// # Errors
    /// As [`Cluster::status`].
    pub fn quick_status(&self) -> Result<Status, HostError> {
        self.inspect(false)
    }

    fn inspect(&self, probe: bool) -> Result<Status, HostError> {
        let carriers = carriers::of(self.root());
        let condition = Condition::inspect(self.root(), &carriers);
        let own_pids = condition.ids.map(|ids| vec![ids.keeper.pid, ids.init.pid]).unwrap_or_default();
        let mut status = Status {
            name: self.name().to_owned(),
            id: condition.id(),
            state: condition.state,
            root: self.root().path().to_owned(),
            api: condition.api(),
            registry: condition.boot.as_ref().and_then(registry),
            problems: condition.problems,
            kubeconfig: self.root().kubeconfig("admin"),
            uptime_s: None,
            kubernetes: None,
            components: Vec::new(),
            own_rss_kib: own_pids.iter().copied().map(pids::resident_kib).sum(),
            own_pids,
        };
        if matches!(status.state, State::Damaged | State::Orphaned) {
            status.own_pids = carriers.iter().map(|carrier| carrier.pid).collect();
            return Ok(status);
        }
        // A suspended init doesn't answer, so there is nothing to wait for.
        let Some(ids) = condition.ids.filter(|ids| !ids.init.is_stopped()) else { return Ok(status) };
        let Ok(mut client) = self.client() else { return Ok(status) };
        let Ok(report) = client.report(probe) else { return Ok(status) };
        status.state = match report {
            Report { state: Some(state), .. } => state.into(),
            Report { ending: true, .. } => State::Stopping,
            Report { ready: true, .. } => State::Running,
            _ => State::Starting,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        status.uptime_s = u64::try_from(now.saturating_sub(u128::from(report.booted_at_ms)) / 1000).ok();
        status.components = components(&report, ids, self.root());
        let api_hangs = status.components.iter().any(|one| {
            one.state == InstanceState::Unresponsive && one.roles.iter().any(|role| role == roles::APISERVER)
        });
        if api_hangs || !probe {
            // A request to an unresponsive API server would only exceed its time limit.
            return Ok(status);
        }
        if let Ok(Reply::Summary { summary }) = client.ask(&Request::Summary) {
            status.kubernetes = Some(summary.into());
        }
        Ok(status)
    }
}

fn components(report: &Report, ids: SandboxIds, root: &Root) -> Vec<ComponentStatus> {
    let outer = pids::by_inner(ids);
    let convert = |one: &crate::control::InstanceReport| {
        let pids: Vec<i32> = one.pids.iter().filter_map(|pid| outer.get(pid).copied()).collect();
        ComponentStatus {
            instance: one.instance.clone(),
            component: one.component.clone(),
            source: one.source.clone().into(),
            version: one.version.clone(),
            roles: one.roles.clone(),
            phase: one.phase.clone(),
            state: one.state,
            reason: one.reason.clone(),
            restarts: one.restarts,
            rss_kib: pids.iter().copied().map(pids::resident_kib).sum(),
            pids,
            logs: one.logs.iter().map(|log| root.to_outside(log)).collect(),
        }
    };
    report.instances.iter().map(convert).collect()
}

fn registry(boot: &Boot) -> Option<String> {
    let filled = boot.slots.get(roles::REGISTRY).is_some_and(|component| component != NONE);
    filled.then(|| format!("127.0.0.1:{}", boot.environment.registry_port))
}

/// One line of `kubernix list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntry {
    /// The cluster's name.
    pub name: String,
    /// Its ID. Empty for a cluster of an older version, until its next boot.
    #[serde(default)]
    pub id: String,
    /// Its state.
    pub state: State,
    /// Its problems, a sentence each.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Its root directory.
    pub root: PathBuf,
    /// The API server's URL on this host. Empty before the first boot.
    pub api: String,
    /// The time of its creation, RFC 3339.
    pub created: String,
    /// Its number of nodes.
    pub nodes: usize,
}

/// All clusters below a base directory, by name. Includes damaged clusters, and clusters that run
/// without their directory.
///
/// # Errors
/// The directory can't be read.
pub fn list(base: &Path) -> Result<Vec<ListEntry>, HostError> {
    let all = carriers::all();
    let of = |root: &Root| all.iter().filter(|one| one.root == root.path()).cloned().collect::<Vec<Carrier>>();
    let entry = |(name, root): (String, Root)| {
        let condition = Condition::inspect(&root, &of(&root));
        let (id, api) = (condition.id(), condition.api());
        let created = condition.known.map(|known| known.created.to_string()).unwrap_or_default();
        let nodes = condition.boot.map_or(0, |boot| boot.environment.nodes.len());
        let (state, problems) = (condition.state, condition.problems);
        // Running clusters aren't asked for their state here.
        let state = if state == State::Broken && problems.is_empty() { State::Running } else { state };
        ListEntry { name, id, state, problems, root: root.path().to_owned(), api, created, nodes }
    };
    let mut clusters: BTreeMap<String, Root> = root_dir::list(base)?.into_iter().collect();
    for carrier in &all {
        let root = Root::new(base, &carrier.cluster());
        if root.path() == carrier.root {
            clusters.entry(root.name()).or_insert(root);
        }
    }
    Ok(clusters.into_iter().map(entry).collect())
}
