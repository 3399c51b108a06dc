//! The init: PID 1 of the sandbox. It sets up its namespaces, and then runs the engine.

use super::channel::ChannelEnd;
use super::keeper::inherited;
use super::mounts::Mounts;
use crate::HostLock;
use crate::cgroups::{self, Hierarchy};
use crate::cluster_dir::{ClusterDir, INSIDE};
use crate::network::{HostNet, uplink};
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

/// How to set up the sandbox of a cluster.
pub struct SandboxSetup {
    /// The host name in the sandbox.
    pub hostname: String,
    /// The cluster's ID.
    pub id: String,
    /// Directories of the cluster, each with its mount point: a fixed path.
    pub private: Vec<(PathBuf, PathBuf)>,
    /// The file to mount at `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

/// The sandbox, as the engine finds it.
pub struct Inside {
    /// The cluster's directory in the sandbox.
    pub directory: ClusterDir,
    /// The cluster's ID, which names its cgroups and its uplink.
    pub id: String,
    /// The connection to the keeper: it transmits orders. End-of-file means that the keeper has
    /// ended.
    pub life: UnixStream,
    /// The connection to the command that boots.
    pub channel: ChannelEnd,
    /// The host's network namespace.
    pub host: HostNet,
    /// The host's lock, under which clusters change shared state.
    pub host_lock: HostLock,
    /// The host's socket of the API server.
    pub listener: TcpListener,
    /// The host's socket of the local registry.
    pub registry: Option<TcpListener>,
    hierarchies: Vec<Hierarchy>,
    /// The cluster's lock. If the keeper dies, the lock stays held until this process has cleaned
    /// up.
    pub lock: Arc<OwnedFd>,
}

/// Sets up the sandbox: mounts, host name, limits, cgroup. Arguments: ROOT-BASE ID LIFE-FD
/// CHANNEL-FD LOCK-FD HOST-NETWORK-FD HOST-LOCK-FD LISTENER-FD... `read` reads the cluster's files
/// and returns the setup and a value for the caller. `report` reports a failure to the command, in
/// the format of events.
///
/// # Errors
/// The files can't be read, or the kernel refuses a step, which the message names.
pub fn enter_sandbox<T>(
    args: &[OsString],
    read: impl FnOnce(&ClusterDir) -> io::Result<(SandboxSetup, T)>,
    report: impl FnOnce(&ChannelEnd, String),
) -> io::Result<(Inside, T)> {
    let [_base, _id, fds @ ..] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    // SAFETY: this is the start of a process that the keeper started.
    let fds = unsafe { inherited(fds) }?;
    let mut fds = fds.into_iter();
    let mut next = || fds.next().ok_or(io::ErrorKind::InvalidInput);
    let [life, channel, lock, host, host_lock, listener] = [next()?, next()?, next()?, next()?, next()?, next()?];
    let (channel, host_lock) = (ChannelEnd::from(channel), HostLock::new(host_lock));
    // The descriptor is the directory itself, even if it was renamed.
    let result = read(&ClusterDir::of_descriptor(&lock)).and_then(|(setup, value)| {
        let hierarchies = set_up(&setup, &lock, &host_lock)?;
        Ok((setup.id, hierarchies, value))
    });
    let (id, hierarchies, value) = match result {
        Ok(result) => result,
        Err(error) => {
            report(&channel, format!("the sandbox can't be set up: {error}"));
            return Err(error);
        }
    };
    let inside = Inside {
        directory: ClusterDir::at(INSIDE),
        id,
        life: life.into(),
        channel,
        host: HostNet::new(host),
        host_lock,
        listener: listener.into(),
        registry: fds.next().map(Into::into),
        hierarchies,
        lock: Arc::new(lock),
    };
    Ok((inside, value))
}

/// Sets up the namespaces for the cluster with this lock.
fn set_up(setup: &SandboxSetup, lock: &OwnedFd, host_lock: &HostLock) -> io::Result<Vec<Hierarchy>> {
    sethostname(&setup.hostname)?;
    let (private, resolv_conf) = (setup.private.clone(), setup.resolv_conf.clone());
    let hierarchies = Mounts { root: lock.as_fd(), private, resolv_conf }.apply()?;
    let id = &setup.id;
    // Also creates groups in the hierarchies that are mounted only in the sandbox.
    cgroups::create(&hierarchies, id, host_lock)?;
    hierarchies.iter().try_for_each(|hierarchy| hierarchy.join(id))?;
    // The API server and etcd keep many connections open. Children inherit the limit.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hierarchies)
}

impl Inside {
    /// Kills every other process of the sandbox and waits until they have ended.
    pub fn kill_all(&self) {
        // From PID 1 of a namespace, -1 is every other process in the namespace.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        while waitpid(None, None).is_ok() {}
    }

    /// Whether the keeper has ended, without waiting: its end of the connection is closed.
    pub fn has_lost_keeper(&self) -> bool {
        let mut orders = [0; 16];
        let nonblocking = self.life.set_nonblocking(true);
        nonblocking.is_ok() && (&self.life).read(&mut orders).is_ok_and(|read| read == 0)
    }

    /// Reverts what the uplink changed on the host. Call it after [`Inside::kill_all`].
    pub fn release_uplink(&self) {
        if let Err(error) = self.host.run(|| uplink::revert_by_id(&self.directory, &self.id, &self.host_lock)) {
            log::warn!("the uplink's changes on the host can't be reverted: {error}");
        }
    }

    /// Does the keeper's clean-up: removes the cgroups. Call it after [`Inside::kill_all`].
    pub fn clean_without_keeper(&self) {
        self.hierarchies.iter().for_each(Hierarchy::leave);
        if let Err(error) = cgroups::remove(&self.hierarchies, &self.id, &self.host_lock) {
            log::warn!("{error}");
        }
        super::SandboxIds::forget(&self.directory);
    }
}
