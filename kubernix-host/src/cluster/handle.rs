//! One cluster that exists: what can be done with it from outside.

use super::{Call, HostError};
use crate::control::{Client, Reply, Request};
use crate::events::{Event, Sink};
use crate::root::{self, Root};
use crate::sandbox::{self, BootFile, Ending, SandboxIds, lock};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a stop may take in all; each process has a limit of its own.
const STOP: Duration = Duration::from_secs(120);
/// How long a cluster may take to obey the order to end at once.
const ASKED_TO_END: Duration = Duration::from_secs(2);
/// How long an end at once may take.
const KILL: Duration = Duration::from_secs(10);

/// One cluster that exists, running or stopped.
pub struct Cluster {
    pub(super) call: Call,
    root: Root,
}

impl Cluster {
    /// The cluster that a user names so.
    ///
    /// # Errors
    /// There is none, or a newer version made it.
    pub fn find(call: Call) -> Result<Self, HostError> {
        let root = Root::new(call.base(), call.name());
        match root.open_existing() {
            Ok(_) => Ok(Self { call, root }),
            Err(root::Error::Missing { .. }) => {
                let others: Vec<String> = root::list(call.base())?.into_iter().map(|(name, _)| name).collect();
                let hint = match others.as_slice() {
                    [] => String::new(),
                    others => crate::spec::nearest(call.name(), others.iter().map(String::as_str)),
                };
                Err(HostError::NoSuchCluster { call, hint })
            }
            Err(error) => Err(error.into()),
        }
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

    pub(super) fn sandbox(&self) -> Result<SandboxIds, HostError> {
        SandboxIds::read(&self.root).ok_or_else(|| HostError::Stopped(self.call.clone()))
    }

    /// Ends it in order: pods through the runtime first, data written. The root directory stays.
    ///
    /// # Errors
    /// It doesn't run, doesn't answer, or takes too long.
    pub fn stop(&self, sink: &dyn Sink) -> Result<(), HostError> {
        self.sandbox()?;
        let client = Client::connect(&self.root, ANSWER)?;
        for record in client.order(&Request::Stop, STOP)? {
            sink.emit(record.event);
        }
        lock::wait(&self.root, STOP)?.map(drop).ok_or_else(|| HostError::StillEnding(self.call.clone()))
    }

    /// Ends it at once and removes its root directory with all that is in it.
    ///
    /// # Errors
    /// Something of it can't be ended or removed; the rest is.
    pub fn down(&self, sink: &dyn Sink) -> Result<(), HostError> {
        // Where somebody else removed it meanwhile there is nothing left to do.
        if let Some(lock) = self.end(sink)? {
            self.leave_kubeconfigs(sink);
            // Held until all is gone, so that no `up` of this name comes in between.
            self.root.remove()?;
            drop(lock);
        }
        sink.emit(Event::Stopped { instance: self.name().to_owned() });
        Ok(())
    }

    /// Ends it at once, if it runs, with what a cluster that was killed left outside of its root directory. Returns the lock;
    /// `None` where somebody else removed it meanwhile.
    ///
    /// # Errors
    /// Something of it can't be ended.
    pub(super) fn end(&self, sink: &dyn Sink) -> Result<Option<lock::Lock>, HostError> {
        sink.emit(Event::Stopping { instance: self.name().to_owned() });
        if self.is_running() {
            // Before anything ends, so that whoever boots or looks at it knows why.
            Ending::Down.note(&self.root);
            let asked = Client::connect(&self.root, ASKED_TO_END)
                .and_then(|client| client.order(&Request::Kill, ASKED_TO_END).map(Iterator::count));
            if let Err(error) = asked {
                log::debug!("{}: {error}", self.name());
            }
            // One that hangs is ended from outside: the keeper sees it and cleans up.
            if let Some(ids) = SandboxIds::read(&self.root) {
                ids.init.kill();
            }
        }
        let lock = self.wait_until_ended()?;
        if lock.is_some() {
            sandbox::clean_up_after(&self.root, self.name());
        }
        Ok(lock)
    }

    /// Waits for the lock, ending whatever shows up meanwhile: a boot that had no init yet when it was asked.
    /// `None` where the cluster is gone by then.
    fn wait_until_ended(&self) -> Result<Option<lock::Lock>, HostError> {
        let deadline = Instant::now() + KILL;
        while Instant::now() < deadline {
            match lock::wait(&self.root, Duration::from_millis(200)) {
                Ok(None) => {}
                Err(root::Error::Missing { .. }) => return Ok(None),
                taken => return Ok(taken?),
            }
            if let Some(ids) = SandboxIds::read(&self.root) {
                ids.init.kill();
            }
        }
        Err(HostError::StillEnding(self.call.clone()))
    }

    /// Runs a program inside, on a node or (without one) beside the control plane, with this process's terminal.
    ///
    /// # Errors
    /// The cluster is stopped, has no such node, or the program can't be started.
    pub fn enter(&self, node: Option<&str>, argv: &[OsString]) -> Result<i32, HostError> {
        let ids = self.sandbox()?;
        let process = node.map(|node| self.first_process(node)).transpose()?.flatten();
        let what = format!("`{}` can't be run inside", argv.first().map(|a| a.to_string_lossy()).unwrap_or_default());
        sandbox::enter::run(ids, process, argv, &self.environment()?).map_err(HostError::io(what))
    }

    /// Variables that a program needs to work with the cluster: `KUBECONFIG`, `PATH`, `CONTAINER_RUNTIME_ENDPOINT`,
    /// `IMAGE_SERVICE_ENDPOINT`, `KUBERNIX_CLUSTER`, and those that components name.
    ///
    /// # Errors
    /// The cluster was never booted.
    pub fn environment(&self) -> Result<Vec<(String, String)>, HostError> {
        let shell = sandbox::shell(&self.root, &self.boot_file()?.environment);
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
        self.boot_file()?.environment.binaries.get(name).cloned().ok_or_else(missing)
    }

    /// All logs, with the name of the component that each belongs to.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let boot = self.boot_file().ok();
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

    /// What a running cluster works with, from itself; of one that is stopped or doesn't answer, from its file.
    pub(super) fn boot_in_force(&self) -> Result<sandbox::Boot, HostError> {
        if let Ok(Reply::State { state }) = self.client().and_then(|mut client| Ok(client.ask(&Request::State)?)) {
            let unreadable = HostError::io("the state of the cluster can't be understood");
            return BootFile::parse(&state).map_err(unreadable);
        }
        self.boot_file()
    }

    /// The revision of the state that a running cluster works with.
    pub(super) fn revision(&self) -> Result<u64, HostError> {
        match self.client()?.ask(&Request::Report { check: false })? {
            Reply::Report { report } => Ok(report.revision),
            _ => Ok(0),
        }
    }

    pub(super) fn boot_file(&self) -> Result<sandbox::Boot, HostError> {
        BootFile::read(&self.root).map_err(|_| HostError::Stopped(self.call.clone()))
    }
}
