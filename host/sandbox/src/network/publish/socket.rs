//! The sockets of published ports.

use super::{HostPort, Protocol};
use crate::network::{datagrams, forward};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// A socket on the host.
pub enum Socket {
    /// Accepts connections.
    Tcp(TcpListener),
    /// Receives datagrams.
    Udp(UdpSocket),
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// See bind(2).
    pub fn open(host_port: HostPort) -> io::Result<Self> {
        match host_port.protocol {
            Protocol::Tcp => TcpListener::bind(host_port.address).map(Self::Tcp),
            Protocol::Udp => UdpSocket::bind(host_port.address).map(Self::Udp),
        }
    }

    /// A second handle of the same socket.
    ///
    /// # Errors
    /// See dup(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Udp(socket) => socket.try_clone().map(Self::Udp),
        }
    }

    /// Forwards to `target`, an address in the sandbox, until the task is aborted.
    ///
    /// # Errors
    /// The socket can't be registered with the runtime.
    pub fn serve(self, target: SocketAddr) -> io::Result<tokio::task::JoinHandle<()>> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                Ok(tokio::spawn(forward::run(listener, target)))
            }
            Self::Udp(socket) => {
                socket.set_nonblocking(true)?;
                let socket = tokio::net::UdpSocket::from_std(socket)?;
                Ok(tokio::spawn(datagrams::run(socket, target)))
            }
        }
    }
}
