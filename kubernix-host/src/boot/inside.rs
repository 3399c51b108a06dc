//! The main functions of keeper and init: they connect the sandbox with the cluster's files and
//! with events, neither of which the sandbox knows.

use super::{Boot, BootFile};
use crate::events::{Event, Sink, WriterSink};
use crate::graph::Environment;
use crate::root_dir::Root;
use crate::sandbox::{self, ChannelEnd, SandboxSetup};
use std::ffi::OsString;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;

/// The engine's view of the complete sandbox: the sandbox itself, and what to boot in it.
pub struct Inside {
    /// The cluster's directory, by its path inside.
    pub root: Root,
    /// The input of the boot.
    pub boot: Boot,
    sandbox: sandbox::Inside,
}

impl Deref for Inside {
    type Target = sandbox::Inside;

    fn deref(&self) -> &Self::Target {
        &self.sandbox
    }
}

/// The keeper's main, see [`sandbox::run_keeper`].
///
/// # Errors
/// The sandbox can't be created. Everything that was created is removed again.
pub fn run_keeper(args: &[OsString]) -> io::Result<()> {
    sandbox::run_keeper(args, report_failure)
}

/// Sets up the sandbox as the cluster's state describes it, see [`sandbox::enter_sandbox`].
///
/// # Errors
/// The state can't be read, or a system call failed.
pub fn enter_sandbox(args: &[OsString]) -> io::Result<Inside> {
    let (sandbox, boot) = sandbox::enter_sandbox(
        args,
        |found| {
            let boot = BootFile::read(&Root::from(found.clone()))?;
            Ok((sandbox_setup(&boot), boot))
        },
        report_failure,
    )?;
    Ok(Inside { root: Root::inside(), boot, sandbox })
}

fn sandbox_setup(boot: &Boot) -> SandboxSetup {
    let environment = &boot.environment;
    let beside = environment.nodes.iter().find(|node| node.placement.is_in_sandbox());
    SandboxSetup {
        hostname: boot.hostname.clone(),
        id: environment.id.to_string(),
        private: beside.map(|node| private_directories(environment, &node.name)).unwrap_or_default(),
        resolv_conf: Root::inside().resolv_conf(),
    }
}

/// Sends a failure to the command that boots, while the engine doesn't run and can't send it.
fn report_failure(channel: &ChannelEnd, error: String) {
    // If the command has exited, the event is lost, which is harmless.
    WriterSink::new(channel).emit(Event::BootFailed { error, timed_out: false });
}

/// Mounts that give a node its own directories at fixed paths of the kubelet and CNI, as pairs of
/// source and target. Otherwise clusters and nodes would share these paths.
pub fn private_directories(environment: &Environment, node: &str) -> Vec<(PathBuf, PathBuf)> {
    let persistent = environment.node_dir(node).join("host");
    // CNI's cache describes addresses whose leases are volatile, so it has the same lifetime.
    let volatile = environment.volatile_dir("cni", Some(node));
    vec![
        (persistent.join("log"), "/var/log".into()),
        (persistent.join("kubelet"), "/var/lib/kubelet".into()),
        (volatile, "/var/lib/cni".into()),
    ]
}
