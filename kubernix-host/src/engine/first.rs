//! The start of a node's first process, by what the node is placed into.

use super::Cluster;
use crate::boot::private_directories;
use crate::chain::chain;
use crate::graph::{Environment, NodeSpec};
use crate::placement::PODMAN;
use crate::placement::Placement;
use crate::process::{Launch, Running, Spawner};
use crate::sandbox::node;
use kubernix_core::{Command, Process, Restart};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The name of the directory of a node that holds what is the node's, and no component's.
const HOST: &str = "host";

/// How long podman may take for one container: it takes a tenth of a second.
const PODMAN_LIMIT: Duration = Duration::from_secs(60);

/// A first process that was started.
pub(super) struct First {
    pub namespaces: node::Namespaces,
    pub process: Running,
    /// The container that it is the first process of, which leaves something when it ends.
    pub container: Option<node::Container>,
    pub starting: node::PendingNode,
}

fn program<'e>(environment: &'e Environment, name: &str) -> io::Result<&'e Path> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} isn't known to the cluster"));
    environment.binaries.get(name).map(|path| &**path).ok_or_else(missing)
}

impl Cluster {
    /// Starts a node's first process; it goes on to furnish the node.
    ///
    /// # Errors
    /// The node is placed beside the control plane, and has none; or it can't be started.
    pub(super) async fn start_first(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<First> {
        let name = &spec.name;
        let (volatile, directory) = (environment.volatile_dir("", Some(name)), environment.node_dir(name).join(HOST));
        // What a node had before it ended is gone, as after a reboot.
        match fs::remove_dir_all(&volatile) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for directory in [&volatile, &directory] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let furniture = node::NodeSetup {
            hostname: name.clone(),
            volatile: volatile.components().collect(),
            private: private_directories(environment, name),
            resolv_conf: None,
        };
        match spec.placement {
            Placement::Sandbox => Err(io::Error::other("it is where its cluster is, and has no first process")),
            Placement::Namespaces => self.start_in_namespaces(spec, environment, furniture, &directory),
            Placement::Podman => self.start_in_container(spec, environment, furniture).await,
        }
    }

    fn start_in_namespaces(
        &self,
        spec: &NodeSpec,
        environment: &Environment,
        furniture: node::NodeSetup,
        directory: &Path,
    ) -> io::Result<First> {
        let (start, starting) = node::NewNamespaces::prepare(environment.id.as_str(), &spec.name, furniture)?;
        let program = program(environment, "kubernix")?;
        let mut process = Process::new("node", program.to_string_lossy()).args(start.arguments());
        process.restart = Restart::NEVER;
        let spawner = Spawner { target: Arc::new(start), ..self.spawner() };
        let process = spawner.spawn(&Launch { process: &process, directory }).map_err(io::Error::other)?;
        let namespaces = node::Namespaces::of(process.pid, starting.cgroups.clone())?;
        Ok(First { namespaces, process, container: None, starting })
    }

    async fn start_in_container(
        &self,
        spec: &NodeSpec,
        environment: &Environment,
        furniture: node::NodeSetup,
    ) -> io::Result<First> {
        let podman = program(environment, PODMAN)?;
        let container = node::Container::new(podman, &environment.volatile_dir(PODMAN, None), &spec.name);
        let furniture = node::NodeSetup { resolv_conf: environment.files.get("resolv.conf").cloned(), ..furniture };
        let (run, starting) = container.clone().prepare(environment.id.as_str(), furniture)?;
        let mut needed: Vec<&Path> = environment.binaries.values().filter_map(|path| path.parent()).collect();
        needed.extend([&*environment.root, &environment.image_cache]);
        let command = run.command(program(environment, "kubernix")?, &needed)?;
        let spawner = Spawner { target: Arc::new(run), ..self.spawner() };
        if which::which_in(node::OCI_RUNTIME, Some(&spawner.path), "/").is_err() {
            let missing = format!("podman needs {0}, which isn't on PATH: install the package {0}", node::OCI_RUNTIME);
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        }
        let started = async {
            podman_says(&spawner, &command).await?;
            let process = spawner.watch(container.first_process()?, "node")?;
            Ok((node::Namespaces::of(process.pid, starting.cgroups.clone())?, process))
        };
        match started.await {
            Ok((namespaces, process)) => Ok(First { namespaces, process, container: Some(container), starting }),
            Err(error) => {
                self.take_away(&container).await;
                Err(error)
            }
        }
    }

    /// Takes away what is left of a container that ended, or ends it with all that is in it.
    pub(super) async fn take_away(&self, container: &node::Container) {
        let spawner = Spawner { target: Arc::new(container.clone()), ..self.spawner() };
        if let Err(error) = podman_says(&spawner, &container.removal()).await {
            log::warn!("{error}");
        }
    }
}

async fn podman_says(spawner: &Spawner, command: &Command) -> io::Result<()> {
    let output = tokio::time::timeout(PODMAN_LIMIT, spawner.output(command)).await;
    let output = output.map_err(|_| io::Error::other(format!("podman took longer than {PODMAN_LIMIT:?}")))?;
    let output = output.map_err(|error| io::Error::other(chain(&error)))?;
    match (output.code, output.stderr.trim()) {
        (0, _) => Ok(()),
        (code, "") => Err(io::Error::other(format!("podman ended with status {code}"))),
        (_, said) => Err(io::Error::other(format!("podman: {said}"))),
    }
}
