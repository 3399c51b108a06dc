//! The keeper: the process of a cluster that stays in the host's namespaces.
//!
//! It holds the lock, starts the init in new namespaces and waits for it. Then it removes the
//! cgroups and reverts the changes that a killed init has left. It does nothing else, so that
//! little can make it fail. If it is killed, the init cleans up.

use super::channel::ChannelEnd;
use super::lock::Lock;
use super::privileged::{HostRoot, Privileged};
use super::{Ending, Order, ProcessId, SandboxIds, names};
use crate::cluster_dir::ClusterDir;
use crate::process::Exit;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, setsid};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the init may take after a kill order before it is killed. It usually takes a tenth of
/// that.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// The arguments of a new keeper.
pub struct KeeperStart<'a> {
    /// The `kubernix` binary.
    pub executable: &'a Path,
    /// The cluster's root directory.
    pub root: &'a ClusterDir,
    /// The cluster's ID.
    pub id: &'a str,
    /// The cluster's lock. The keeper holds it from now on.
    pub lock: Lock,
    /// The host's sockets of the API server and of the local registry, if there is one.
    pub listeners: Vec<TcpListener>,
    /// The connection to the command that boots.
    pub channel: ChannelEnd,
}

/// A keeper that this process started. It isn't reaped, so its PID can't be reused.
pub struct Keeper(Pid);

impl Keeper {
    /// Orders the keeper to kill the cluster: it sends the order to the init, and kills the init if
    /// that takes too long. Unlike an order to the init itself, this works if the init hangs.
    pub fn order_kill(&self) {
        // Fails if the keeper has ended, and with it the cluster.
        let _ = kill(self.0, KILL_SIGNAL);
    }
}

/// The signal that orders a keeper to kill the cluster.
const KILL_SIGNAL: Signal = Signal::SIGQUIT;

/// Starts a keeper in a new session, so that it outlives the caller.
///
/// # Errors
/// The program can't be started, or its log can't be written.
pub fn start(start: KeeperStart<'_>) -> io::Result<Keeper> {
    let log = OpenOptions::new().create(true).append(true).open(start.root.run().join("keeper.log"))?;
    let mut fds = vec![start.lock.0.as_fd(), start.channel.as_fd()];
    fds.extend(start.listeners.iter().map(AsFd::as_fd));
    let mut command =
        own_program(start.executable, names::KEEPER, [start.root.base().as_os_str(), start.id.as_ref()], &fds);
    // A cluster that outlives the command must not keep its working directory in use.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir("/");
    Ok(Keeper(Pid::from_raw(command.spawn()?.id().cast_signed())))
}

/// A hidden command of the `kubernix` binary that inherits these descriptors. The arguments are
/// `cluster`, which is the base directory at boot and the ID, and the descriptors' numbers.
/// `cluster` shows users and other commands to which cluster the process belongs; the process
/// itself finds its directory by the lock.
pub(super) fn own_program(program: &Path, name: &str, cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> Command {
    #[allow(clippy::disallowed_methods)] // Our own processes are started here and nowhere else.
    let mut command = Command::new(program);
    command.arg(name).args(cluster).args(fds.iter().map(|fd| fd.as_raw_fd().to_string()));
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let inherit = move || {
        // Descriptors that the caller has inherited itself (such as a shell's pipe) must not stay
        // open for the cluster's life. SAFETY: it only marks descriptors, and nothing between here
        // and exec needs them.
        let marked = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
        Errno::result(marked)?;
        for number in &numbers {
            // SAFETY: the caller of `spawn` still holds the descriptors, so they are open in the
            // child.
            let fd = unsafe { BorrowedFd::borrow_raw(*number) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only close_range(2) and fcntl(2) are called, and nothing is
    // allocated.
    unsafe { command.pre_exec(inherit) };
    command
}

/// Takes the descriptors that [`own_program`] passed on, from the arguments.
///
/// # Safety
/// Must be called only once, by the started process, before it opens anything: only then it owns
/// the numbers.
pub(super) unsafe fn inherited(args: &[OsString]) -> io::Result<Vec<OwnedFd>> {
    let number = |arg: &OsString| {
        let number = arg.to_str().and_then(|text| text.parse::<RawFd>().ok());
        number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a descriptor's number is expected"))
    };
    let own = |number: RawFd| {
        // SAFETY: the caller says that the numbers are this process's own and used once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(fd)
    };
    args.iter().map(|arg| number(arg).and_then(own)).collect()
}

/// The keeper's main function. Arguments: ROOT-BASE ID LOCK-FD CHANNEL-FD LISTENER-FD... `report`
/// reports a failure to the command, in the format of events.
///
/// # Errors
/// The sandbox can't be created. Nothing of it is left.
pub fn run(args: &[OsString], report: impl Fn(&ChannelEnd, String)) -> io::Result<()> {
    let [base, id, fds @ ..] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    // SAFETY: this is the start of a process that `start` started.
    let fds = unsafe { inherited(fds) }?;
    let mut fds = fds.into_iter();
    let (Some(lock), Some(channel)) = (fds.next(), fds.next()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let channel = ChannelEnd::from(channel);
    let listeners: Vec<OwnedFd> = fds.collect();
    let cluster = [base.as_os_str(), id.as_os_str()];
    let id = id.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    // The descriptor is the directory itself, which may be renamed before the cluster ends.
    let root = ClusterDir::of_descriptor(&lock);
    // A new session detaches from the terminal's signals. It fails if `start`'s caller has created
    // one already.
    match setsid() {
        Err(errno) if errno != Errno::EPERM => return Err(errno.into()),
        _ => {}
    }
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, KILL_SIGNAL, Signal::SIGCHLD];
    let signals = SigSet::from_iter(signals);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;

    let host = HostRoot::of_process()?;
    let parts = ClusterParts { root: &root, cluster, id, lock, channel, listeners };
    supervise(&host, parts, |init, life| wait(init, &signals, life), report)
}

/// What a keeper needs of its cluster.
struct ClusterParts<'a> {
    root: &'a ClusterDir,
    /// The base directory at boot and the ID, as arguments of the init.
    cluster: [&'a OsStr; 2],
    id: &'a str,
    lock: OwnedFd,
    channel: ChannelEnd,
    listeners: Vec<OwnedFd>,
}

/// Creates the sandbox, waits for the init's exit, and cleans up on the host, also after errors.
fn supervise(
    host: &impl Privileged,
    parts: ClusterParts<'_>,
    wait: impl FnOnce(Pid, UnixStream) -> io::Result<InitExit>,
    report: impl Fn(&ChannelEnd, String),
) -> io::Result<()> {
    let ClusterParts { root, cluster, id, lock, channel, listeners } = parts;
    let started = start_init(host, root, (cluster, id), (&lock, &channel), listeners);
    let result = started.and_then(|(init, life)| wait(init, life));
    let ending = Ending::read(root);
    match &result {
        // The exit was ordered, or the init has reported the reason itself.
        Ok(InitExit { was_ordered: true, .. } | InitExit { exit: Exit::Code(0), .. }) => {}
        _ if ending.is_some() => {}
        Ok(InitExit { exit, .. }) => {
            report(&channel, format!("the first process of the sandbox ended unexpectedly: {exit}"));
        }
        Err(error) => report(&channel, format!("the sandbox can't be created: {error}")),
    }
    if ending.is_none() {
        Ending::Stop.note(root);
    }
    SandboxIds::forget(root);
    host.clean_up(root, id);
    // The channel is closed last: a command that reads end-of-file finds everything cleaned up.
    drop(lock);
    drop(channel);
    result.map(drop)
}

/// Creates the cgroups and starts the init. Returns its PID, and the connection to it.
fn start_init(
    host: &impl Privileged,
    root: &ClusterDir,
    (cluster, id): ([&OsStr; 2], &str),
    (lock, channel): (&OwnedFd, &ChannelEnd),
    listeners: Vec<OwnedFd>,
) -> io::Result<(Pid, UnixStream)> {
    host.create_cgroups(id)?;
    let (life, far) = UnixStream::pair()?;
    // The init uses them to access the host: for the uplink's other end, and for resolvers on the
    // host's loopback.
    let handles = host.host_handles()?;
    let mut fds = vec![far.as_fd(), channel.as_fd(), lock.as_fd()];
    fds.extend(handles.iter().map(AsFd::as_fd));
    fds.extend(listeners.iter().map(AsFd::as_fd));
    let init = host.start_init(cluster, &fds)?;
    SandboxIds { keeper: ProcessId::of(Pid::this())?, init: ProcessId::of(init)? }.write(root);
    Ok((init, life))
}

/// The exit of the init.
struct InitExit {
    exit: Exit,
    /// Whether the keeper ordered it.
    was_ordered: bool,
}

/// Starts a program in new namespaces, except for the PID namespace, which only a child can enter.
pub(super) fn namespaced(command: &mut Command) {
    let others =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    let enter = move || {
        SigSet::all().thread_unblock()?;
        Ok(unshare(others)?)
    };
    // SAFETY: between fork and exec only sigprocmask(2) and unshare(2) are called, and nothing is
    // allocated.
    unsafe { command.pre_exec(enter) };
}

/// Waits for the init's exit. The first signal orders it to stop gracefully. A second one, or
/// SIGQUIT, orders it to kill everything, and SIGKILL follows if that takes too long.
fn wait(init: Pid, signals: &SignalFd, mut life: UnixStream) -> io::Result<InitExit> {
    let (mut was_ordered, mut deadline) = (false, None::<Instant>);
    loop {
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
        });
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            Ok(0) => {
                log::warn!("the init hasn't ended {KILL_GRACE:?} after the kill order: killing it");
                // An unreaped child, so its PID can't have been reused.
                kill(init, Signal::SIGKILL)?;
                deadline = None;
                continue;
            }
            other => other?,
        };
        let signal = signals.read_signal()?.and_then(|info| Signal::try_from(info.ssi_signo.cast_signed()).ok());
        let order = match signal {
            Some(Signal::SIGTERM | Signal::SIGINT) if !was_ordered => Some(Order::Interrupt),
            Some(Signal::SIGTERM | Signal::SIGINT | KILL_SIGNAL) => Some(Order::Kill),
            _ => None,
        };
        if let Some(order) = order {
            was_ordered = true;
            // If it fails, the init has ended.
            let _ = life.write_all(&[order.byte()]);
            if order == Order::Kill {
                deadline.get_or_insert_with(|| Instant::now() + KILL_GRACE);
            }
        }
        match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
            Err(errno) if errno != Errno::EINTR => return Err(errno.into()),
            status => {
                if let Some(exit) = status.ok().and_then(Exit::of) {
                    return Ok(InitExit { exit, was_ordered });
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
