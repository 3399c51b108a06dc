//! The keeper: the one process of a cluster that stays in the host's namespaces.
//!
//! It holds the lock, starts the init in new namespaces, waits for its end and removes the cgroups
//! and what an init that was killed didn't give back. It does nothing else, so that there is little
//! that could end it; if something does, the init takes over the cleaning.

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

/// How long an init may take to end at once before it is killed: it ends in a tenth of that, or
/// hangs.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// What a keeper is started with.
pub struct KeeperStart<'a> {
    /// The `kubernix` binary.
    pub executable: &'a Path,
    /// The cluster's root directory.
    pub root: &'a ClusterDir,
    /// The cluster's ID.
    pub id: &'a str,
    /// The cluster's lock, which the keeper holds on.
    pub lock: Lock,
    /// The sockets at which the host reaches the API server, and the local registry where there is
    /// one.
    pub listeners: Vec<TcpListener>,
    /// The line to the command that boots.
    pub channel: ChannelEnd,
}

/// A keeper that this process started. Not waited for, so that its number stays its own.
pub struct Keeper(Pid);

impl Keeper {
    /// Orders the end at once: the cluster's init has a moment to obey, then it is killed. Unlike
    /// an order to the init itself, this reaches one that hangs.
    pub fn order_kill(&self) {
        // One that is gone has ended everything already.
        let _ = kill(self.0, KILL_SIGNAL);
    }
}

/// Asks a keeper for the end at once.
const KILL_SIGNAL: Signal = Signal::SIGQUIT;

/// Starts a keeper in a session of its own; it goes on when the caller ends.
///
/// # Errors
/// The program can't be started, or its log not be written.
pub fn start(start: KeeperStart<'_>) -> io::Result<Keeper> {
    let log = OpenOptions::new().create(true).append(true).open(start.root.run().join("keeper.log"))?;
    let mut fds = vec![start.lock.0.as_fd(), start.channel.as_fd()];
    fds.extend(start.listeners.iter().map(AsFd::as_fd));
    let mut command =
        own_program(start.executable, names::KEEPER, [start.root.base().as_os_str(), start.id.as_ref()], &fds);
    // A cluster that lives on must not hold the directory that it was started from.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir("/");
    Ok(Keeper(Pid::from_raw(command.spawn()?.id().cast_signed())))
}

/// A hidden command of our own binary that inherits these descriptors, given as arguments behind
/// the cluster: where it was when it was booted, and its ID. They tell people and other commands
/// whose process it is; it finds its directory by the lock.
pub(super) fn own_program(program: &Path, name: &str, cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> Command {
    #[allow(clippy::disallowed_methods)] // Our own processes are started here and nowhere else.
    let mut command = Command::new(program);
    command.arg(name).args(cluster).args(fds.iter().map(|fd| fd.as_raw_fd().to_string()));
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let inherit = move || {
        // What the caller had inherited itself (a pipe of a shell's, say) isn't ours to hold open
        // for a cluster's life. SAFETY: marks descriptors only, and nothing runs between here and
        // exec that could need them.
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

/// The descriptors that [`own_program`] handed on, from the arguments.
///
/// # Safety
/// Must be called once, by the process that was started so, before it opens anything: the numbers
/// are then its own.
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

/// The keeper's main: ROOT-BASE ID LOCK-FD CHANNEL-FD LISTENER-FD... `report` tells the command, in
/// the form that it reads, why there is no cluster.
///
/// # Errors
/// The sandbox can't be made; nothing of it is left.
pub fn run(args: &[OsString], report: impl Fn(&ChannelEnd, String)) -> io::Result<()> {
    let [base, id, fds @ ..] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    // SAFETY: this is the start of a process that `start` made.
    let fds = unsafe { inherited(fds) }?;
    let mut fds = fds.into_iter();
    let (Some(lock), Some(channel)) = (fds.next(), fds.next()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let channel = ChannelEnd::from(channel);
    let listeners: Vec<OwnedFd> = fds.collect();
    let cluster = [base.as_os_str(), id.as_os_str()];
    let id = id.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    // The lock is one of the directory, which may be called otherwise by the time that this ends.
    let root = ClusterDir::of_descriptor(&lock);
    // Started with an own process group by `start`'s caller or not: a session keeps terminals'
    // signals away.
    match setsid() {
        Err(errno) if errno != Errno::EPERM => return Err(errno.into()),
        _ => {}
    }
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, KILL_SIGNAL, Signal::SIGCHLD];
    let signals = SigSet::from_iter(signals);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;

    let host = HostRoot::of_process()?;
    let keeper = ClusterParts { root: &root, cluster, id, lock, channel, listeners };
    supervise(&host, keeper, |init, life| wait(init, &signals, life), report)
}

/// The cluster that a keeper carries.
struct ClusterParts<'a> {
    root: &'a ClusterDir,
    /// As the init's arguments have it.
    cluster: [&'a OsStr; 2],
    id: &'a str,
    lock: OwnedFd,
    channel: ChannelEnd,
    listeners: Vec<OwnedFd>,
}

/// Makes the sandbox, waits for the end of its init, and gives back what it took of the host,
/// however it ended.
fn supervise(
    host: &impl Privileged,
    kept: ClusterParts<'_>,
    wait: impl FnOnce(Pid, UnixStream) -> io::Result<InitExit>,
    report: impl Fn(&ChannelEnd, String),
) -> io::Result<()> {
    let ClusterParts { root, cluster, id, lock, channel, listeners } = kept;
    let result = (|| {
        host.create_cgroups(id)?;
        let (life, far) = UnixStream::pair()?;
        // The init reaches the host through them where it has to: an uplink's other end, resolvers
        // on the host's loopback.
        let ways = host.host_handles()?;
        let mut fds = vec![far.as_fd(), channel.as_fd(), lock.as_fd()];
        fds.extend(ways.iter().map(AsFd::as_fd));
        fds.extend(listeners.iter().map(AsFd::as_fd));
        let init = host.start_init(cluster, &fds)?;
        drop((far, listeners));
        SandboxIds { keeper: ProcessId::of(Pid::this())?, init: ProcessId::of(init)? }.write(root);
        wait(init, life)
    })();
    let ending = Ending::read(root);
    match &result {
        // It was ordered, or it said why itself.
        Ok(InitExit { was_ordered: true, .. } | InitExit { exit: Exit::Code(0), .. }) => {}
        _ if ending.is_some() => {}
        Ok(InitExit { exit, .. }) => {
            report(&channel, format!("the first process of the sandbox ended unexpectedly: {exit}"));
        }
        Err(error) => report(&channel, format!("the sandbox can't be made: {error}")),
    }
    if ending.is_none() {
        Ending::Stop.note(root);
    }
    SandboxIds::forget(root);
    host.clean_up(root, id);
    // The lock, and the channel last: a command that reads it to its end finds nothing left.
    drop(lock);
    drop(channel);
    result.map(drop)
}

/// How the init ended.
struct InitExit {
    exit: Exit,
    /// It was ordered to.
    was_ordered: bool,
}

/// Lets a program begin in namespaces of its own, but for the PID namespace, which only a child can
/// begin in.
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

/// Waits for the init's end. A signal asks it to stop in order; a second one, or SIGQUIT, ends it
/// at once, by SIGKILL where it doesn't obey.
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
                log::warn!("the init doesn't obey the order to end, and is killed");
                // Our own child, not waited for yet: its PID can't have been reused.
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
            // One that can't be written is none that the init could obey.
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
