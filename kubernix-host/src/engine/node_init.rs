//! Starts a node's init, its first process, by the node's placement.

use super::Cluster;
use crate::boot::private_directories;
use crate::chain::chain;
use crate::graph::{Environment, NodeSpec};
use crate::placement::{PODMAN, Placement};
use crate::process::{Launch, Running, Spawner};
use crate::sandbox::node;
use kubernix_core::{Command, Process, Restart};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The subdirectory of a node's directory for files that belong to no component.
const HOST_DIRECTORY: &str = "host";

/// How long a podman command may take. It usually takes a tenth of a second.
const PODMAN_TIMEOUT: Duration = Duration::from_secs(60);

/// A node's init that was started.
pub(super) struct NodeInit {
    pub namespaces: node::Namespaces,
    pub process: Running,
    /// Its container, which has to be removed when the init ends.
    pub container: Option<node::Container>,
    pub starting: node::PendingNode,
}

fn program<'e>(environment: &'e Environment, name: &str) -> io::Result<&'e Path> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the cluster has no program `{name}`"));
    environment.binaries.get(name).map(|path| &**path).ok_or_else(missing)
}

impl Cluster {
    /// Starts a node's init, which then sets up the node.
    ///
    /// # Errors
    /// The node runs in the sandbox itself and has no init, or the init can't be started.
    pub(super) async fn start_init(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<NodeInit> {
        let name = &spec.name;
        let volatile = environment.volatile_dir("", Some(name));
        let directory = environment.node_dir(name).join(HOST_DIRECTORY);
        // Volatile data doesn't survive the end of a node, as in a reboot.
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
            Placement::Sandbox => Err(io::Error::other("it runs in the cluster's sandbox and has no init")),
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
    ) -> io::Result<NodeInit> {
        let (start, starting) = node::NewNamespaces::prepare(environment.id.as_str(), &spec.name, furniture)?;
        let program = program(environment, "kubernix")?;
        let mut process = Process::new("node", program.to_string_lossy()).args(start.arguments());
        process.restart = Restart::NEVER;
        let spawner = Spawner { target: Arc::new(start), ..self.spawner() };
        let process = spawner.spawn(&Launch { process: &process, directory }).map_err(io::Error::other)?;
        let namespaces = node::Namespaces::of(process.pid, starting.cgroups.clone())?;
        Ok(NodeInit { namespaces, process, container: None, starting })
    }

    async fn start_in_container(
        &self,
        spec: &NodeSpec,
        environment: &Environment,
        furniture: node::NodeSetup,
    ) -> io::Result<NodeInit> {
        let podman = program(environment, PODMAN)?;
        let container = node::Container::new(podman, &environment.volatile_dir(PODMAN, None), &spec.name);
        let furniture = node::NodeSetup { resolv_conf: environment.files.get("resolv.conf").cloned(), ..furniture };
        let (run, starting) = container.clone().prepare(environment.id.as_str(), furniture)?;
        let mut mounts: Vec<&Path> = environment.binaries.values().filter_map(|path| path.parent()).collect();
        mounts.extend([&*environment.root, &environment.image_cache]);
        let command = run.command(program(environment, "kubernix")?, &mounts)?;
        let spawner = Spawner { target: Arc::new(run), ..self.spawner() };
        if which::which_in(node::OCI_RUNTIME, Some(&spawner.path), "/").is_err() {
            let missing = format!("podman needs {0}, which isn't on PATH: install the package {0}", node::OCI_RUNTIME);
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        }
        let started = async {
            run_podman(&spawner, &command).await?;
            let process = spawner.watch(container.first_process()?, "node")?;
            Ok((node::Namespaces::of(process.pid, starting.cgroups.clone())?, process))
        };
        match started.await {
            Ok((namespaces, process)) => Ok(NodeInit { namespaces, process, container: Some(container), starting }),
            Err(error) => {
                self.remove_container(&container).await;
                Err(error)
            }
        }
    }

    /// Removes a container. If it runs, podman kills it.
    pub(super) async fn remove_container(&self, container: &node::Container) {
        let spawner = Spawner { target: Arc::new(container.clone()), ..self.spawner() };
        if let Err(error) = run_podman(&spawner, &container.removal()).await {
            log::warn!("{error}");
        }
    }
}

async fn run_podman(spawner: &Spawner, command: &Command) -> io::Result<()> {
    let output = tokio::time::timeout(PODMAN_TIMEOUT, spawner.output(command)).await;
    let output = output.map_err(|_| io::Error::other(format!("podman took longer than {PODMAN_TIMEOUT:?}")))?;
    let output = output.map_err(|error| io::Error::other(chain(&error)))?;
    match (output.code, output.stderr.trim()) {
        (0, _) => Ok(()),
        (code, "") => Err(io::Error::other(format!("podman exited with status {code}"))),
        (_, message) => Err(io::Error::other(format!("podman: {message}"))),
    }
}
