//! The init: PID 1 of the sandbox. It furnishes the namespaces that it was born into, and hands over to the engine.

use super::cgroups::{self, Hierarchy};
use super::channel::{ChannelEnd, report_failure};
use super::keeper::inherited;
use super::mounts::Mounts;
use super::{Boot, BootFile};
use crate::HostLock;
use crate::graph::Environment;
use crate::network::{HostNet, uplink};
use crate::root::Root;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, sethostname};
use std::ffi::OsString;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

/// What the engine finds when the sandbox stands.
pub struct Inside {
    /// The cluster's directory, as it is seen inside.
    pub root: Root,
    /// What to boot.
    pub boot: Boot,
    /// The line to the keeper: orders come in, and its end means that the keeper is gone.
    pub life: UnixStream,
    /// The line to the command that boots.
    pub channel: ChannelEnd,
    /// The host's network namespace.
    pub host: HostNet,
    /// The host's lock, under which clusters change what they share.
    pub host_lock: HostLock,
    /// The host's socket for the API server.
    pub listener: TcpListener,
    /// The host's socket for the local registry.
    pub registry: Option<TcpListener>,
    hierarchies: Vec<Hierarchy>,
    /// The cluster's lock: a keeper that dies doesn't give it back before this process has cleaned up in its place.
    pub lock: Arc<OwnedFd>,
}

/// Furnishes the sandbox: mounts, host name, limits, cgroup. Arguments: ROOT-BASE ID LIFE-FD CHANNEL-FD LOCK-FD
/// HOST-NETWORK-FD HOST-LOCK-FD LISTENER-FD...
///
/// # Errors
/// The kernel refuses something; the text says what.
pub fn enter_sandbox(args: &[OsString]) -> io::Result<Inside> {
    let [_base, _id, fds @ ..] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    // SAFETY: this is the start of a process that the keeper made.
    let fds = unsafe { inherited(fds) }?;
    let mut fds = fds.into_iter();
    let mut next = || fds.next().ok_or(io::ErrorKind::InvalidInput);
    let [life, channel, lock, host, host_lock, listener] = [next()?, next()?, next()?, next()?, next()?, next()?];
    let (channel, host_lock) = (ChannelEnd::from(channel), HostLock::new(host_lock));
    let furnished = furnish(&lock, &host_lock);
    let (boot, hierarchies) = furnished.inspect_err(|error| {
        report_failure(&channel, format!("the sandbox can't be set up: {error}"));
    })?;
    Ok(Inside {
        root: Root::inside(),
        boot,
        life: life.into(),
        channel,
        host: HostNet::new(host),
        host_lock,
        listener: listener.into(),
        registry: fds.next().map(Into::into),
        hierarchies,
        lock: Arc::new(lock),
    })
}

/// Furnishes the namespaces for the cluster whose directory this is the lock of.
fn furnish(lock: &OwnedFd, host_lock: &HostLock) -> io::Result<(Boot, Vec<Hierarchy>)> {
    // The lock is one of the directory itself, whatever it is called by now.
    let boot = BootFile::read(&Root::of_descriptor(lock))?;
    let root = Root::inside();
    sethostname(&boot.hostname)?;
    let resolv_conf = root.resolv_conf();
    let environment = &boot.environment;
    let beside = environment.nodes.iter().find(|node| node.placement.is_beside());
    let private = beside.map(|node| private_directories(environment, &node.name)).unwrap_or_default();
    let hierarchies = Mounts { root: lock.as_fd(), private, resolv_conf }.apply()?;
    let id = boot.environment.id.as_str();
    // Those that were mounted only inside are new.
    cgroups::create(&hierarchies, id, host_lock)?;
    hierarchies.iter().try_for_each(|hierarchy| hierarchy.join(id))?;
    // The API server and etcd hold many connections; what this process may have, its children inherit.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok((boot, hierarchies))
}

/// Fixed paths of the kubelet and CNI, which clusters and nodes would fight over, become the node's own.
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

impl Inside {
    /// Ends every other process of the sandbox and waits until they are gone.
    pub fn kill_all(&self) {
        // From PID 1 of a namespace, -1 is everything in it but itself, and nothing outside.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        while waitpid(None, None).is_ok() {}
    }

    /// Whether the keeper is gone, seen without waiting: its end of the line is closed.
    pub fn has_lost_keeper(&self) -> bool {
        let mut orders = [0; 16];
        let nonblocking = self.life.set_nonblocking(true);
        nonblocking.is_ok() && (&self.life).read(&mut orders).is_ok_and(|read| read == 0)
    }

    /// Gives back what the uplink took of the host, after [`Inside::kill_all`].
    pub fn give_uplink_back(&self) {
        let id = self.boot.environment.id.as_str();
        if let Err(error) = self.host.run(|| uplink::give_back(&self.root, id, &self.host_lock)) {
            log::warn!("the uplink can't be removed: {error}");
        }
    }

    /// Cleans up in the keeper's place, after [`Inside::kill_all`]: removes the cgroups.
    pub fn clean_without_keeper(&self) {
        self.hierarchies.iter().for_each(Hierarchy::leave);
        if let Err(error) = cgroups::remove(&self.hierarchies, self.boot.environment.id.as_str(), &self.host_lock) {
            log::warn!("{error}");
        }
        super::SandboxIds::forget(&self.root);
    }
}
