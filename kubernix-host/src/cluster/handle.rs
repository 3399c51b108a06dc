//! The handle of one existing cluster: operations on it from outside.

use super::down::refuse_orphan;
use super::{Call, ClusterError, HostError, REQUEST_TIMEOUT, StopError};
use crate::boot::{self, Boot, BootFile};
use crate::control::{Client, ControlError, Reply, Report, Request};
use crate::events::Sink;
use crate::root_dir::{self, ClusterFile, Integrity, Root};
use crate::sandbox::carriers::{self, Carrier};
use crate::sandbox::{self, SandboxIds, lock};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time limit of a request that the cluster queues behind a running change.
pub(super) const QUEUED_REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// The time limit of an ordered stop of all processes. Each process has a limit of its own.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// One cluster that exists, running or stopped.
pub struct Cluster {
    pub(super) call: Call,
    root: Root,
}

impl Cluster {
    /// Opens the cluster that `call` names.
    ///
    /// # Errors
    /// It doesn't exist, it is damaged, its directory was removed, or a newer version made it.
    pub fn find(call: Call) -> Result<Self, HostError> {
        let root = Root::new(call.base(), call.name());
        let error = match root.open_existing() {
            Ok(state) => {
                let cluster = Self { call, root };
                if state.renamed {
                    cluster.complete_rename();
                }
                return Ok(cluster);
            }
            Err(error) => error,
        };
        refuse_orphan(&call)?;
        Err(match error {
            root_dir::Error::Missing { .. } => Self::missing(call)?,
            error @ root_dir::Error::NewerFormat { .. } => error.into(),
            error => match root.integrity(!carriers::of(&root).is_empty()) {
                Ok(Integrity::Damaged(why)) => ClusterError::Damaged { call, why: Box::new(why) }.into(),
                _ => error.into(),
            },
        })
    }

    /// As [`Cluster::find`], in any condition: to inspect the cluster, or to end it.
    ///
    /// # Errors
    /// It doesn't exist.
    pub fn find_any(call: Call) -> Result<Self, HostError> {
        let root = Root::new(call.base(), call.name());
        match root.integrity(false) {
            Ok(integrity) => {
                let cluster = Self { call, root };
                if let Integrity::Intact(state) = integrity
                    && state.renamed
                {
                    cluster.complete_rename();
                }
                Ok(cluster)
            }
            // The directory was removed, and perhaps created again by running processes.
            Err(_) if !carriers::of(&root).is_empty() => Ok(Self { call, root }),
            Err(root_dir::Error::Missing { .. }) => Err(Self::missing(call)?),
            Err(error) => Err(error.into()),
        }
    }

    fn missing(call: Call) -> Result<HostError, HostError> {
        let others: Vec<String> = root_dir::list(call.base())?.into_iter().map(|(name, _)| name).collect();
        let hint = match others.as_slice() {
            [] => String::new(),
            others => crate::settings::nearest(call.name(), others.iter().map(String::as_str)),
        };
        Ok(ClusterError::NotFound { call, hint }.into())
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        self.call.name()
    }

    /// The cluster's root directory.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether the cluster runs, boots or ends.
    pub fn is_running(&self) -> bool {
        lock::is_taken(&self.root)
    }

    pub(super) fn client(&self) -> Result<Client, HostError> {
        Ok(Client::connect(&self.root, REQUEST_TIMEOUT)?)
    }

    /// The report of a running cluster, without new probes of its components.
    pub(super) fn report(&self) -> Result<Report, HostError> {
        Ok(self.client()?.report(false)?)
    }

    pub(super) fn sandbox(&self) -> Result<SandboxIds, HostError> {
        SandboxIds::find(&self.root).ok_or_else(|| ClusterError::Stopped(self.call.clone()).into())
    }

    /// Stops the cluster in order: the container runtimes end all pods, then the components end in
    /// reverse order of their start. The root directory stays.
    ///
    /// # Errors
    /// The cluster doesn't run, doesn't answer, or exceeds the time limit. Or keeper or init are
    /// suspended; nothing was done then.
    pub fn stop(&self, sink: &dyn Sink) -> Result<(), HostError> {
        self.check_carriers()?;
        let ids = self.sandbox()?;
        let begun = Instant::now();
        match Client::connect(&self.root, REQUEST_TIMEOUT) {
            Ok(client) => {
                for record in client.request_events(&Request::Stop, STOP_TIMEOUT)? {
                    sink.emit(record.event.seen_outside(&self.root));
                }
            }
            // Without a control socket, a signal to the keeper stops the cluster too.
            Err(error) => {
                log::debug!("{}: {error}", self.name());
                ids.keeper.signal(Signal::SIGTERM);
            }
        }
        // Init and keeper end right after the last event.
        let left = STOP_TIMEOUT.saturating_sub(begun.elapsed()).max(REQUEST_TIMEOUT);
        if lock::wait(&self.root, left)?.is_some() {
            return Ok(());
        }
        self.check_carriers()?;
        let left = carriers::of(&self.root).iter().map(ToString::to_string).collect();
        Err(StopError::NotStopped { call: self.call.clone(), limit: begun.elapsed(), left }.into())
    }

    /// Rejects a stop while the keeper or the init is suspended: it would never end.
    fn check_carriers(&self) -> Result<(), HostError> {
        // The keeper first: a command waits for its end.
        match carriers::of(&self.root).into_iter().rev().find(Carrier::is_stopped) {
            Some(stopped) => {
                let (call, part, pid) = (self.call.clone(), stopped.part, stopped.pid);
                Err(StopError::Suspended { call, part, pid }.into())
            }
            None => Ok(()),
        }
    }

    /// Runs a program inside the sandbox with this process's terminal: on a node, or without one
    /// beside the control plane. Returns its exit code.
    ///
    /// # Errors
    /// The cluster is stopped, has no such node, or the program can't be started.
    pub fn enter(&self, node: Option<&str>, argv: &[OsString]) -> Result<i32, HostError> {
        let ids = self.sandbox()?;
        let process = node.map(|node| self.first_process(node)).transpose()?.flatten();
        let what = format!("`{}` can't be run inside", argv.first().map(|a| a.to_string_lossy()).unwrap_or_default());
        // Inside the sandbox, the root directory of every cluster has the same path.
        let variables = self.environment_at(&Root::inside())?;
        sandbox::enter::run(ids, process, argv, &variables).map_err(HostError::io(what))
    }

    /// The environment variables of clients of the cluster: `KUBECONFIG`, `PATH`,
    /// `CONTAINER_RUNTIME_ENDPOINT`, `IMAGE_SERVICE_ENDPOINT`, `KUBERNIX_CLUSTER`, and those that
    /// components declare.
    ///
    /// # Errors
    /// The cluster was never booted.
    pub fn environment(&self) -> Result<Vec<(String, String)>, HostError> {
        self.environment_at(&self.root)
    }

    fn environment_at(&self, root: &Root) -> Result<Vec<(String, String)>, HostError> {
        let shell = boot::shell_environment(root, &self.boot_in_force()?.environment);
        let path = std::env::var_os("PATH");
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let variables = shell.variables(path.as_deref()).into_iter().map(|(key, value)| (key, text(value)));
        Ok(variables.chain([("KUBERNIX_CLUSTER".to_owned(), self.name().to_owned())]).collect())
    }

    /// The path of a binary that belongs to the cluster: `kubectl`, `crictl`, ...
    ///
    /// # Errors
    /// The cluster was never booted, or has no such binary.
    pub fn tool(&self, name: &str) -> Result<PathBuf, HostError> {
        let missing = || ClusterError::NoSuchBinary { cluster: self.name().to_owned(), binary: name.to_owned() };
        let binaries = self.boot_in_force()?.environment.binaries;
        Ok(binaries.get(name).map(|path| self.root.to_outside(path)).ok_or_else(missing)?)
    }

    /// All log files, each with the name of its component.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let boot = self.boot_in_force().ok();
        let nodes = boot.iter().flat_map(|boot| &boot.environment.nodes).map(|node| self.root.node(&node.name));
        let mut found = Vec::new();
        for parent in std::iter::once(self.root.path().join("control")).chain(nodes) {
            for directory in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                let component = directory.file_name().to_string_lossy().into_owned();
                let files = std::fs::read_dir(directory.path()).into_iter().flatten().flatten();
                let logs = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
                found.extend(logs.filter(|path| path.is_file()).map(|path| (component.clone(), path)));
            }
        }
        found.push(("keeper".to_owned(), self.root.run().join("keeper.log")));
        found.sort();
        found
    }

    /// The state in force. A running cluster is asked for it; otherwise, or if it doesn't answer,
    /// it is read from `cluster.json`.
    ///
    /// # Errors
    /// The cluster was started by a version without this request, it was never booted, or its file
    /// is damaged.
    pub(super) fn state_in_force(&self) -> Result<ClusterFile, HostError> {
        match self.client().and_then(|mut client| Ok(client.ask(&Request::State)?)) {
            Ok(Reply::State { state }) => Ok(*state),
            Err(older @ HostError::Control(ControlError::Unsupported(_))) => Err(older),
            _ => self.state_file(),
        }
    }

    /// The part of the state in force that the init boots from.
    ///
    /// # Errors
    /// As [`Cluster::state_in_force`].
    pub(super) fn boot_in_force(&self) -> Result<Boot, HostError> {
        parse_boot(&self.state_in_force()?)
    }

    /// As [`Cluster::boot_in_force`], always read from the file.
    pub(super) fn boot_file(&self) -> Result<Boot, HostError> {
        parse_boot(&self.state_file()?)
    }

    fn state_file(&self) -> Result<ClusterFile, HostError> {
        ClusterFile::read(&self.root)?.ok_or_else(|| ClusterError::Stopped(self.call.clone()).into())
    }
}

/// The part of a state that the init boots from.
pub(super) fn parse_boot(state: &ClusterFile) -> Result<Boot, HostError> {
    BootFile::parse(state).map_err(HostError::io("the state of the cluster can't be understood"))
}
