//! The init: PID 1 of the sandbox. It furnishes the namespaces that it was born into, and hands
//! over to the engine.

use super::cgroups::{self, Hierarchy};
use super::channel::ChannelEnd;
use super::keeper::inherited;
use super::mounts::Mounts;
use crate::HostLock;
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

/// What the sandbox of a cluster is furnished with, by the cluster's files.
pub struct SandboxSetup {
    /// The host name inside.
    pub hostname: String,
    /// The cluster's ID.
    pub id: String,
    /// As [`Mounts::private`].
    pub private: Vec<(PathBuf, PathBuf)>,
    /// As [`Mounts::resolv_conf`].
    pub resolv_conf: PathBuf,
}

/// What the engine finds when the sandbox stands.
pub struct Inside {
    /// The cluster's directory, as it is seen inside.
    pub directory: ClusterDir,
    /// The cluster's ID, which its cgroups and its uplink are named by.
    pub id: String,
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
    /// The cluster's lock: a keeper that dies doesn't give it back before this process has cleaned
    /// up in its place.
    pub lock: Arc<OwnedFd>,
}

/// Furnishes the sandbox: mounts, host name, limits, cgroup. Arguments: ROOT-BASE ID LIFE-FD
/// CHANNEL-FD LOCK-FD HOST-NETWORK-FD HOST-LOCK-FD LISTENER-FD... `read` reads the cluster's files,
/// with which furnishing and what else the caller needs; `report` tells the command, in the form
/// that it reads, why there is no cluster.
///
/// # Errors
/// The files can't be read, or the kernel refuses something; the text says what.
pub fn enter_sandbox<T>(
    args: &[OsString],
    read: impl FnOnce(&ClusterDir) -> io::Result<(SandboxSetup, T)>,
    report: impl FnOnce(&ChannelEnd, String),
) -> io::Result<(Inside, T)> {
    let [_base, _id, fds @ ..] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    // SAFETY: this is the start of a process that the keeper made.
    let fds = unsafe { inherited(fds) }?;
    let mut fds = fds.into_iter();
    let mut next = || fds.next().ok_or(io::ErrorKind::InvalidInput);
    let [life, channel, lock, host, host_lock, listener] = [next()?, next()?, next()?, next()?, next()?, next()?];
    let (channel, host_lock) = (ChannelEnd::from(channel), HostLock::new(host_lock));
    // The lock is one of the directory itself, whatever it is called by now.
    let furnished = read(&ClusterDir::of_descriptor(&lock)).and_then(|(furnishing, more)| {
        let hierarchies = furnish(&furnishing, &lock, &host_lock)?;
        Ok((furnishing.id, hierarchies, more))
    });
    let (id, hierarchies, more) = match furnished {
        Ok(furnished) => furnished,
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
    Ok((inside, more))
}

/// Furnishes the namespaces for the cluster whose directory this is the lock of.
fn furnish(furnishing: &SandboxSetup, lock: &OwnedFd, host_lock: &HostLock) -> io::Result<Vec<Hierarchy>> {
    sethostname(&furnishing.hostname)?;
    let (private, resolv_conf) = (furnishing.private.clone(), furnishing.resolv_conf.clone());
    let hierarchies = Mounts { root: lock.as_fd(), private, resolv_conf }.apply()?;
    let id = &furnishing.id;
    // Those that were mounted only inside are new.
    cgroups::create(&hierarchies, id, host_lock)?;
    hierarchies.iter().try_for_each(|hierarchy| hierarchy.join(id))?;
    // The API server and etcd hold many connections; what this process may have, its children
    // inherit.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hierarchies)
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
    pub fn release_uplink(&self) {
        if let Err(error) = self.host.run(|| uplink::revert_by_id(&self.directory, &self.id, &self.host_lock)) {
            log::warn!("the uplink can't be removed: {error}");
        }
    }

    /// Cleans up in the keeper's place, after [`Inside::kill_all`]: removes the cgroups.
    pub fn clean_without_keeper(&self) {
        self.hierarchies.iter().for_each(Hierarchy::leave);
        if let Err(error) = cgroups::remove(&self.hierarchies, &self.id, &self.host_lock) {
            log::warn!("{error}");
        }
        super::SandboxIds::forget(&self.directory);
    }
}
