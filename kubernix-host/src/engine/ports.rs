//! Published ports: host ports that are forwarded to node ports.

use super::Cluster;
use crate::boot::Boot;
use crate::control::wire::OpenPort;
use crate::events::Event;
use crate::network::publish::{HostPort, Socket};
use crate::network::{HostNet, Published};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// Why a port can't be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PortError {
    /// There is no running node to forward to.
    #[error("the cluster has no running node")]
    NoNode,
    /// The port can't be opened on the host.
    #[error("{address} can't be published: {cause}")]
    Open { address: HostPort, cause: io::Error },
}

/// The open ports of the host.
pub(super) struct Ports {
    host: HostNet,
    open: RefCell<BTreeMap<HostPort, Forward>>,
}

/// An open port. It is closed on drop.
struct Forward {
    /// A second handle of the socket, which is needed to change the target.
    socket: Socket,
    port: u16,
    target: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    fn serve(socket: Socket, port: u16, target: SocketAddr) -> io::Result<Self> {
        let task = socket.try_clone()?.serve(target)?;
        Ok(Self { socket, port, target, task })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ports {
    pub(super) fn new(host: HostNet) -> Self {
        Self { host, open: RefCell::default() }
    }

    fn open(&self, published: &Published, target: SocketAddr) -> Result<Forward, PortError> {
        let address = published.host_port;
        let socket = self.host.run(|| Socket::open(address)).and_then(|socket| socket);
        let forward = socket.and_then(|socket| Forward::serve(socket, published.port, target));
        forward.map_err(|cause| PortError::Open { address, cause })
    }
}

impl Cluster {
    /// Opens the ports of a boot that aren't open yet: all of them or none.
    ///
    /// # Errors
    /// A port can't be opened, for example because another process uses it.
    pub(super) fn open_missing(&self, boot: &Boot) -> Result<(), PortError> {
        let is_missing = |one: &&Published| !self.ports.open.borrow().contains_key(&one.host_port);
        let open = |one: &Published| {
            let target = boot.environment.published_at(one.port).ok_or(PortError::NoNode)?;
            Ok((one.host_port, self.ports.open(one, target)?))
        };
        let opened = boot.publish.iter().filter(is_missing).map(open).collect::<Result<Vec<_>, PortError>>()?;
        self.ports.open.borrow_mut().extend(opened);
        Ok(())
    }

    /// Closes the ports that a boot doesn't publish, and updates the targets of the others: another
    /// node if the previous one is switched off, or another node port.
    pub(super) fn serve_published(&self, boot: &Boot) {
        self.ports.open.borrow_mut().retain(|address, _| boot.publish.iter().any(|one| one.host_port == *address));
        for published in &boot.publish {
            let Some(target) = boot.environment.published_at(published.port) else { continue };
            let is_current = |forward: &Forward| forward.target == target && forward.port == published.port;
            if self.ports.open.borrow().get(&published.host_port).is_some_and(is_current) {
                continue;
            }
            let mut all = self.ports.open.borrow_mut();
            let Some(forward) = all.get(&published.host_port) else { continue };
            match forward.socket.try_clone().and_then(|socket| Forward::serve(socket, published.port, target)) {
                Ok(forward) => drop(all.insert(published.host_port, forward)),
                Err(error) => self.emit(Event::Warning { message: format!("{}: {error}", published.host_port) }),
            }
        }
    }

    /// The published ports.
    pub(super) fn published(&self) -> Vec<OpenPort> {
        let open = self.ports.open.borrow();
        let open_port = |(address, forward): (&HostPort, &Forward)| OpenPort {
            host: address.address,
            target: forward.target,
            protocol: address.protocol.into(),
            spec: Published { host_port: *address, port: forward.port }.to_string(),
        };
        open.iter().map(open_port).collect()
    }
}
