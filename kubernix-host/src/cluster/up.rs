//! `up`: boots a new or a stopped cluster, or changes a running one.

use super::boot::Acquired;
use super::interrupt::Interrupts;
use super::{
    ClusterError, Host, HostError, IfExists, InUseError, PROBE_LOCK_WAIT, kubeconfig, need_root, port, ports, prepare,
};
use crate::events::{Event, Sink};
use crate::kubeconfig::Merged;
use crate::network::Published;
use crate::network::plan::routed_by_host;
use crate::pki::Renewal;
use crate::root_dir::{self, Allotment, CreatedDirs, Root};
use crate::sandbox::lock::{self, LockError};
use crate::settings::{Resolved, Settings};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Exists only while the kernel module br_netfilter is loaded.
const BRIDGE_SETTINGS: &str = "/proc/sys/net/bridge";
/// Directories over which every sandbox mounts its own.
pub(super) const REPLACED_DIRECTORIES: &[&str] =
    &["/proc", "/sys", "/run", "/dev", "/var/log", "/var/lib/kubelet", "/var/lib/cni"];

/// The result of `up`.
#[derive(Debug, Clone, Serialize)]
pub struct UpReport {
    /// The cluster's name.
    pub name: String,
    /// Its ID.
    pub id: String,
    /// Its root directory.
    pub root: PathBuf,
    /// The admin's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The API server's URL on this host.
    pub api: String,
    /// The user's own kubeconfig, if the cluster's context was merged into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// The duration of the command, in seconds.
    pub seconds: f64,
    /// The restarted instances of a cluster that ran already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
}

impl Host {
    /// Boots a new or a stopped cluster; `if_exists` selects what happens to an existing one.
    /// Returns when all nodes are Ready and pods can be created. The cluster then runs in the
    /// background. Creates keys of the kinds in `renew` again. Ctrl-C stops the boot in order and
    /// cleans up, a second Ctrl-C kills it.
    ///
    /// # Errors
    /// See [`HostError`]. Everything that was started has ended then. A root directory that this
    /// call created is kept only if its logs explain the error.
    pub fn up(
        &self,
        resolved: &Resolved,
        if_exists: IfExists,
        renew: BTreeSet<Renewal>,
        sink: Arc<dyn Sink>,
    ) -> Result<UpReport, HostError> {
        let began = Instant::now();
        let settings = &resolved.settings;
        need_root("up")?;
        let root = Root::new(&settings.root, &settings.name);
        let allotment = match if_exists {
            IfExists::Recreate => prepare::allot(self, settings, Allotment::default())?,
            IfExists::Update | IfExists::Refuse => self.allot(settings)?,
        };
        self.check(resolved, &allotment, &[], &*sink)?;
        check_location(&root)?;
        super::down::refuse_orphan(&self.call(settings))?;
        let report = |kubeconfig, api, changed| UpReport {
            name: settings.name.clone(),
            id: root.open_existing().ok().and_then(|state| state.id).map(String::from).unwrap_or_default(),
            root: root.path().to_owned(),
            kubeconfig,
            api,
            merged: None,
            seconds: began.elapsed().as_secs_f64(),
            changed,
        };
        match if_exists {
            IfExists::Recreate => {}
            _ if !lock::is_taken(&root) => {}
            IfExists::Refuse => return Err(InUseError::Running(self.call(settings)).into()),
            IfExists::Update if !renew.is_empty() => {
                let changes = vec!["its keys can't be created again".to_owned()];
                return Err(InUseError::NeedsBoot { call: self.call(settings), changes }.into());
            }
            IfExists::Update => {
                let (changed, api_port) = self.apply_change(resolved, &allotment, &root, &*sink)?;
                let merged = kubeconfig::after_boot(&root, settings, &*sink);
                let (kubeconfig, api) = (root.kubeconfig("admin"), port::api_url(api_port));
                return Ok(UpReport { merged, ..report(kubeconfig, api, Some(changed)) });
            }
        }
        warn_of_routes(settings, &*sink);
        if !Path::new(BRIDGE_SETTINGS).exists() {
            // Not loaded here: it would change how the host's own bridges treat their traffic.
            let message = "the kernel module br_netfilter is not loaded: \
                a pod may fail to reach a Service whose pod is on its own node.\n\
                `modprobe br_netfilter` loads it, but the host's own bridges then use netfilter too";
            sink.emit(Event::Warning { message: message.into() });
        }
        kubeconfig::before_boot(&root, settings)?;
        // Reserved early, so that neither another process nor the API server's port search takes
        // these ports.
        let own = if if_exists == IfExists::Recreate { self.own_ports(resolved) } else { Vec::new() };
        let others: Vec<Published> = settings.publish.iter().filter(|one| !own.contains(one)).copied().collect();
        let mut reserved = ports::reserve(&others)?;
        let tools = self.tools_of(settings, &allotment, &[], &*sink)?;

        let interrupts = Interrupts::install().map_err(HostError::io("signals can't be handled"))?;
        let (mut made, warnings) = (CreatedDirs::default(), sink.clone());
        let lock = match if_exists {
            IfExists::Recreate => self.clear_for_recreation(resolved, &root, &*sink)?,
            _ => None,
        };
        reserved.extend(ports::reserve(&own)?);
        let result = lock
            .map_or_else(|| self.lock(&root, settings, &mut made), Ok)
            .and_then(|lock| self.boot(resolved, &root, Acquired { lock, reserved, tools, renew }, &interrupts, sink))
            .map(|(kubeconfig, api)| UpReport {
                merged: kubeconfig::after_boot(&root, settings, &*warnings),
                ..report(kubeconfig, api, None)
            });
        if let Err(error) = &result {
            if made.contains(root.path()) && !error.leaves_cluster() {
                remove_unused(&root)?;
            }
            made.undo();
        }
        result
    }

    /// Creates the root directory and takes its lock. Adds new directories to `made`.
    fn lock(&self, root: &Root, settings: &Settings, made: &mut CreatedDirs) -> Result<lock::Lock, HostError> {
        loop {
            made.extend(root.create_directory()?);
            match lock::wait(root, PROBE_LOCK_WAIT) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) => return Err(InUseError::Running(self.call(settings)).into()),
                // A `down` removed it in between.
                Err(LockError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Checks that a root directory can lie there.
///
/// # Errors
/// Every sandbox mounts its own directory there.
pub(super) fn check_location(root: &Root) -> Result<(), ClusterError> {
    match REPLACED_DIRECTORIES.iter().find(|directory| root.path().starts_with(directory)) {
        Some(directory) => Err(ClusterError::UnsuitableRoot(PathBuf::from(directory))),
        None => Ok(()),
    }
}

fn warn_of_routes(settings: &Settings, sink: &dyn Sink) {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    for route in routed_by_host(settings.cidr, &table) {
        let message = format!(
            "this host routes {route}, which overlaps the cluster's {}: \
             pods won't reach hosts there, choose another --cidr if they need to",
            settings.cidr
        );
        sink.emit(Event::Warning { message });
    }
}

/// Removes a root directory after a failed boot, unless another command uses it by now.
pub(super) fn remove_unused(root: &Root) -> Result<(), root_dir::Error> {
    match lock::take(root) {
        Ok(Some(_lock)) => match root.remove() {
            Err(root_dir::Error::Missing { .. }) => Ok(()),
            removed => removed,
        },
        Ok(None) | Err(LockError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
