//! The main functions of keeper and init, with what the sandbox doesn't know: the cluster's files,
//! and the form of events.

use super::{Boot, BootFile};
use crate::events::{Event, Sink, WriterSink};
use crate::graph::Environment;
use crate::root::Root;
use crate::sandbox::{self, ChannelEnd, SandboxSetup};
use std::ffi::OsString;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;

/// What the engine finds when the sandbox stands: the sandbox, and what to boot in it.
pub struct Inside {
    /// The cluster's directory, as it is seen inside.
    pub root: Root,
    /// What to boot.
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
/// The sandbox can't be made; nothing of it is left.
pub fn run_keeper(args: &[OsString]) -> io::Result<()> {
    sandbox::run_keeper(args, report_failure)
}

/// Furnishes the sandbox for what the cluster's state says, see [`sandbox::enter_sandbox`].
///
/// # Errors
/// The state can't be read, or the kernel refuses something; the text says what.
pub fn enter_sandbox(args: &[OsString]) -> io::Result<Inside> {
    let (sandbox, boot) = sandbox::enter_sandbox(
        args,
        |found| {
            let boot = BootFile::read(&Root::from(found.clone()))?;
            Ok((furnishing(&boot), boot))
        },
        report_failure,
    )?;
    Ok(Inside { root: Root::inside(), boot, sandbox })
}

fn furnishing(boot: &Boot) -> SandboxSetup {
    let environment = &boot.environment;
    let beside = environment.nodes.iter().find(|node| node.placement.is_in_sandbox());
    SandboxSetup {
        hostname: boot.hostname.clone(),
        id: environment.id.to_string(),
        private: beside.map(|node| private_directories(environment, &node.name)).unwrap_or_default(),
        resolv_conf: Root::inside().resolv_conf(),
    }
}

/// Tells the command why there is no cluster: what the engine can't say, because it doesn't run yet
/// or not any more.
fn report_failure(channel: &ChannelEnd, error: String) {
    // A command that went away needs no word.
    WriterSink::new(channel).emit(Event::BootFailed { error, timed_out: false });
}

/// Fixed paths of the kubelet and CNI, which clusters and nodes would fight over, become the node's
/// own.
pub fn private_directories(environment: &Environment, node: &str) -> Vec<(PathBuf, PathBuf)> {
    let kept = environment.node_dir(node).join("host");
    // CNI's cache describes addresses whose leases are volatile: the two live and die together.
    let volatile = environment.volatile_dir("cni", Some(node));
    vec![
        (kept.join("log"), "/var/log".into()),
        (kept.join("kubelet"), "/var/lib/kubelet".into()),
        (volatile, "/var/lib/cni".into()),
    ]
}
