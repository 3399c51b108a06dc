//! One cluster that exists: what can be done with it from outside.

use super::end::refuse_orphan;
use super::{ANSWER, Call, HostError};
use crate::boot::{self, Boot, BootFile};
use crate::control::{Client, ControlError, Reply, Report, Request};
use crate::events::Sink;
use crate::root::{self, ClusterFile, Root, Standing};
use crate::sandbox::carriers::{self, Carrier};
use crate::sandbox::{self, SandboxIds, lock};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long what waits for a change of the cluster may take: as long as that change, by default.
pub(super) const IN_TURN: Duration = Duration::from_secs(600);
/// How long a stop may take in all; each process has a limit of its own.
const STOP: Duration = Duration::from_secs(120);

/// One cluster that exists, running or stopped.
pub struct Cluster {
    pub(super) call: Call,
    root: Root,
}

impl Cluster {
    /// The cluster that a user names so.
    ///
    /// # Errors
    /// There is none, or it can't be worked with: it is damaged, its directory is gone, or a newer version made it.
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
            root::Error::Missing { .. } => Self::missing(call)?,
            error @ root::Error::NewerFormat { .. } => error.into(),
            error => match root.standing(!carriers::of(&root).is_empty()) {
                Ok(Standing::Damaged(why)) => HostError::Damaged { call, why: Box::new(why) },
                _ => error.into(),
            },
        })
    }

    /// As [`Cluster::find`], in whatever condition: to look at it, or to end it.
    ///
    /// # Errors
    /// There is none.
    pub fn find_any(call: Call) -> Result<Self, HostError> {
        let root = Root::new(call.base(), call.name());
        match root.standing(false) {
            Ok(standing) => {
                let cluster = Self { call, root };
                if let Standing::Whole(state) = standing
                    && state.renamed
                {
                    cluster.complete_rename();
                }
                Ok(cluster)
            }
            // Its directory is gone, or made again by what runs.
            Err(_) if !carriers::of(&root).is_empty() => Ok(Self { call, root }),
            Err(root::Error::Missing { .. }) => Err(Self::missing(call)?),
            Err(error) => Err(error.into()),
        }
    }

    fn missing(call: Call) -> Result<HostError, HostError> {
        let others: Vec<String> = root::list(call.base())?.into_iter().map(|(name, _)| name).collect();
        let hint = match others.as_slice() {
            [] => String::new(),
            others => crate::settings::nearest(call.name(), others.iter().map(String::as_str)),
        };
        Ok(HostError::NoSuchCluster { call, hint })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.call.name()
    }

    /// Its root directory.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        lock::is_taken(&self.root)
    }

    pub(super) fn client(&self) -> Result<Client, HostError> {
        Ok(Client::connect(&self.root, ANSWER)?)
    }

    /// What a running cluster says of itself at once, without a look at its components.
    pub(super) fn report(&self) -> Result<Report, HostError> {
        Ok(self.client()?.report(false)?)
    }

    pub(super) fn sandbox(&self) -> Result<SandboxIds, HostError> {
        SandboxIds::find(&self.root).ok_or_else(|| HostError::Stopped(self.call.clone()))
    }

    /// Ends it in order: pods through the runtime first, data written. The root directory stays.
    ///
    /// # Errors
    /// It doesn't run, doesn't answer, or takes too long; or one of the processes that carry it is stopped, and nothing was
    /// done.
    pub fn stop(&self, sink: &dyn Sink) -> Result<(), HostError> {
        self.check_carriers()?;
        let ids = self.sandbox()?;
        let begun = Instant::now();
        match Client::connect(&self.root, ANSWER) {
            Ok(client) => {
                for record in client.request_events(&Request::Stop, STOP)? {
                    sink.emit(record.event.seen_outside(&self.root));
                }
            }
            // Without its socket it still takes orders through its keeper.
            Err(error) => {
                log::debug!("{}: {error}", self.name());
                ids.keeper.signal(Signal::SIGTERM);
            }
        }
        // What ends all of it comes right after the last event.
        let left = STOP.saturating_sub(begun.elapsed()).max(ANSWER);
        if lock::wait(&self.root, left)?.is_some() {
            return Ok(());
        }
        self.check_carriers()?;
        let left = carriers::of(&self.root).iter().map(ToString::to_string).collect();
        Err(HostError::NotStopped { call: self.call.clone(), limit: begun.elapsed(), left })
    }

    /// Refuses what can't come to its end because the keeper or the init is stopped.
    fn check_carriers(&self) -> Result<(), HostError> {
        // The keeper first: it is what a command waits for.
        match carriers::of(&self.root).into_iter().rev().find(Carrier::is_stopped) {
            Some(stopped) => Err(HostError::Frozen { call: self.call.clone(), part: stopped.part, pid: stopped.pid }),
            None => Ok(()),
        }
    }

    /// Runs a program inside, on a node or (without one) beside the control plane, with this process's terminal.
    ///
    /// # Errors
    /// The cluster is stopped, has no such node, or the program can't be started.
    pub fn enter(&self, node: Option<&str>, argv: &[OsString]) -> Result<i32, HostError> {
        let ids = self.sandbox()?;
        let process = node.map(|node| self.first_process(node)).transpose()?.flatten();
        let what = format!("`{}` can't be run inside", argv.first().map(|a| a.to_string_lossy()).unwrap_or_default());
        // Inside, the cluster's directory has one path.
        let variables = self.environment_at(&Root::inside())?;
        sandbox::enter::run(ids, process, argv, &variables).map_err(HostError::io(what))
    }

    /// Variables that a program needs to work with the cluster: `KUBECONFIG`, `PATH`, `CONTAINER_RUNTIME_ENDPOINT`,
    /// `IMAGE_SERVICE_ENDPOINT`, `KUBERNIX_CLUSTER`, and those that components name.
    ///
    /// # Errors
    /// The cluster was never booted.
    pub fn environment(&self) -> Result<Vec<(String, String)>, HostError> {
        self.environment_at(&self.root)
    }

    fn environment_at(&self, root: &Root) -> Result<Vec<(String, String)>, HostError> {
        let shell = boot::shell(root, &self.boot_in_force()?.environment);
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
        let missing = || HostError::NoSuchTool { cluster: self.name().to_owned(), tool: name.to_owned() };
        let binaries = self.boot_in_force()?.environment.binaries;
        binaries.get(name).map(|path| self.root.to_outside(path)).ok_or_else(missing)
    }

    /// All logs, with the name of the component that each belongs to.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let boot = self.boot_in_force().ok();
        let nodes = boot.iter().flat_map(|boot| &boot.environment.nodes).map(|node| self.root.node(&node.name));
        let mut found = Vec::new();
        for place in std::iter::once(self.root.path().join("control")).chain(nodes) {
            for directory in std::fs::read_dir(place).into_iter().flatten().flatten() {
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

    /// The state that a running cluster works with, from itself; of one that is stopped or doesn't answer, from its file.
    ///
    /// # Errors
    /// It was started by a version that doesn't say, it was never booted, or its file is damaged.
    pub(super) fn state_in_force(&self) -> Result<ClusterFile, HostError> {
        match self.client().and_then(|mut client| Ok(client.ask(&Request::State)?)) {
            Ok(Reply::State { state }) => Ok(*state),
            Err(older @ HostError::Control(ControlError::Unsupported(_))) => Err(older),
            _ => self.state_file(),
        }
    }

    /// What a running cluster was booted with, and changed to since.
    ///
    /// # Errors
    /// As [`Cluster::state_in_force`].
    pub(super) fn boot_in_force(&self) -> Result<Boot, HostError> {
        parse_boot(&self.state_in_force()?)
    }

    /// As [`Cluster::boot_in_force`], from the file alone.
    pub(super) fn boot_file(&self) -> Result<Boot, HostError> {
        parse_boot(&self.state_file()?)
    }

    fn state_file(&self) -> Result<ClusterFile, HostError> {
        ClusterFile::read(&self.root)?.ok_or_else(|| HostError::Stopped(self.call.clone()))
    }
}

/// What the init of this state boots from.
pub(super) fn parse_boot(state: &ClusterFile) -> Result<Boot, HostError> {
    BootFile::parse(state).map_err(HostError::io("the state of the cluster can't be understood"))
}
