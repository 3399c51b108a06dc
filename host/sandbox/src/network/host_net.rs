//! The host's network namespace, as a descriptor that the cluster's init inherits from the keeper.
//!
//! A socket belongs to the namespace in which it is created; a file below `/proc/sys/net` to the
//! namespace of the thread that opens it. So short-lived threads enter the host's namespace, and
//! the init itself stays in the sandbox.

use crate::own_thread;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};

/// A network namespace: the host's, or a node's.
#[derive(Debug, Clone)]
pub struct HostNet(Arc<OwnedFd>);

impl HostNet {
    /// The namespace of this descriptor.
    pub fn new(namespace: OwnedFd) -> Self {
        Self(Arc::new(namespace))
    }

    /// The namespace of the calling thread: the host's in a keeper, and the sandbox's in an init.
    ///
    /// # Errors
    /// `/proc` isn't mounted.
    pub fn of_thread() -> io::Result<Self> {
        Ok(Self::new(File::open("/proc/thread-self/ns/net")?.into()))
    }

    /// Runs `work` in the namespace on a separate thread, and waits for it.
    ///
    /// # Errors
    /// The namespace can't be entered, or the thread can't be created.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        own_thread::run(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })?
    }

    /// Connects to an address from this namespace.
    ///
    /// # Errors
    /// See connect(2).
    pub async fn connect(&self, target: SocketAddr) -> io::Result<TcpStream> {
        let new = || if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        self.run(new)??.connect(target).await
    }

    /// A UDP socket in this namespace that is connected to one address.
    ///
    /// # Errors
    /// See socket(2) and connect(2).
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
