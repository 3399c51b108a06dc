//! The host's network namespace, as a cluster's init reaches it: a descriptor that the keeper
//! handed on.
//!
//! Sockets belong to the namespace that they are made in, and settings below `/proc/sys/net` to
//! that of the thread that opens them. So single pieces of work are done by threads that enter it,
//! and the init itself never leaves the sandbox.

use crate::own_thread;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};

/// The host's network namespace.
#[derive(Debug, Clone)]
pub struct HostNet(Arc<OwnedFd>);

impl HostNet {
    /// The namespace that this descriptor is of.
    pub fn new(namespace: OwnedFd) -> Self {
        Self(Arc::new(namespace))
    }

    /// That of the calling thread: what is the host's to a keeper, and the sandbox's to an init.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn of_thread() -> io::Result<Self> {
        Ok(Self::new(File::open("/proc/thread-self/ns/net")?.into()))
    }

    /// Does something in it, on a thread of its own, and waits for the end.
    ///
    /// # Errors
    /// The namespace can't be entered, or no thread be made.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        own_thread::run(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })?
    }

    /// Connects to an address as the host does.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn connect(&self, target: SocketAddr) -> io::Result<TcpStream> {
        let new = || if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        self.run(new)??.connect(target).await
    }

    /// A UDP socket of the host's that talks to one address alone.
    ///
    /// # Errors
    /// As socket(2) and connect(2).
    pub fn udp(&self, target: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
        let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = self.run(|| std::net::UdpSocket::bind(any))??;
        socket.connect(target)?;
        socket.set_nonblocking(true)?;
        tokio::net::UdpSocket::from_std(socket)
    }
}

impl AsFd for HostNet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
