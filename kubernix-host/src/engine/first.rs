//! The start of a node's first process, by what the node is placed into.

use super::Cluster;
use crate::chain::chain;
use crate::graph::{Environment, NodeSpec};
use crate::placement::Placement;
use crate::process::{Launch, Place, Running, Spawner};
use crate::sandbox::{PODMAN, node, private_directories};
use kubernix_core::{Command, Process, Restart};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

/// The name of the directory of a node that holds what is the node's, and no component's.
const HOST: &str = "host";

/// What is left of a node that ended, and where the command runs that takes it away.
#[derive(Clone)]
pub(super) struct Remains {
    place: Arc<dyn Place>,
    removal: Command,
}

/// A first process that was started.
pub(super) struct First {
    pub namespaces: node::Namespaces,
    pub pid: Pid,
    /// Ends when it does: itself, or the process that watches over it.
    pub life: Running,
    pub remains: Option<Remains>,
    pub starting: node::Starting,
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
        let furniture = node::Furniture {
            hostname: name.clone(),
            volatile: volatile.components().collect(),
            private: private_directories(environment, name),
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
        furniture: node::Furniture,
        directory: &Path,
    ) -> io::Result<First> {
        let (start, starting) = node::Start::prepare(&environment.cluster, &spec.name, furniture)?;
        let program = program(environment, "kubernix")?;
        let mut process = Process::new("node", program.to_string_lossy()).args(start.arguments());
        process.restart = Restart::NEVER;
        // With it goes our end of the pipe: only the node itself holds it then.
        let spawner = Spawner { place: Arc::new(start), ..self.spawner() };
        let life = spawner.spawn(&Launch { process: &process, directory }).map_err(io::Error::other)?;
        let number = u32::try_from(life.pid.as_raw()).map_err(io::Error::other)?;
        let namespaces = node::Namespaces::of(number, starting.cgroups.clone())?;
        Ok(First { namespaces, pid: life.pid, life, remains: None, starting })
    }

    async fn start_in_container(
        &self,
        spec: &NodeSpec,
        environment: &Environment,
        furniture: node::Furniture,
    ) -> io::Result<First> {
        let podman = program(environment, PODMAN)?;
        let new = || node::Container::new(podman, &environment.volatile_dir(PODMAN, None), &spec.name);
        let (run, starting) = new().prepare(&environment.cluster, furniture)?;
        let resolv_conf = environment.files.get("resolv.conf").ok_or(io::ErrorKind::NotFound)?;
        let command = run.command(program(environment, "kubernix")?, &environment.root, resolv_conf)?;
        let remains = Remains { removal: run.container().removal(), place: Arc::new(new()) };
        let spawner = Spawner { place: Arc::new(run), ..self.spawner() };
        let started = async {
            podman_says(&spawner, &command).await?;
            let (first, watcher) = new().processes()?;
            let life = spawner.adopt(watcher, "conmon");
            // Nobody would say its end who isn't there any more.
            kill(life.pid, None)?;
            let namespaces = node::Namespaces::of(first, starting.cgroups.clone())?;
            Ok((namespaces, Pid::from_raw(first.cast_signed()), life))
        };
        match started.await {
            Ok((namespaces, pid, life)) => Ok(First { namespaces, pid, life, remains: Some(remains), starting }),
            Err(error) => {
                self.take_away(&remains).await;
                Err(error)
            }
        }
    }

    /// Takes away what is left of a node that ended, or ends it with all that is on it.
    pub(super) async fn take_away(&self, remains: &Remains) {
        let spawner = Spawner { place: remains.place.clone(), ..self.spawner() };
        if let Err(error) = podman_says(&spawner, &remains.removal).await {
            log::warn!("{error}");
        }
    }
}

async fn podman_says(spawner: &Spawner, command: &Command) -> io::Result<()> {
    let output = spawner.output(command).await.map_err(|error| io::Error::other(chain(&error)))?;
    match output.code {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("podman: {}", output.stderr.trim()))),
    }
}
