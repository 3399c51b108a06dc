//! Published ports of a running cluster: opened on the host's side and sent on inside.

use super::Cluster;
use crate::boot::Boot;
use crate::control::OpenPort;
use crate::events::Event;
use crate::network::publish::{HostPort, Socket};
use crate::network::{HostNet, Published};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// Places on the host that are open.
pub(super) struct Ports {
    host: HostNet,
    open: RefCell<BTreeMap<HostPort, Open>>,
}

/// One that is open, until it is dropped.
struct Open {
    /// A handle of the socket, to serve it anew with another target.
    socket: Socket,
    port: u16,
    target: SocketAddr,
    task: JoinHandle<()>,
}

impl Open {
    fn serve(socket: Socket, port: u16, target: SocketAddr) -> io::Result<Self> {
        let task = socket.try_clone()?.serve(target)?;
        Ok(Self { socket, port, target, task })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ports {
    pub(super) fn new(host: HostNet) -> Self {
        Self { host, open: RefCell::default() }
    }

    fn open(&self, published: &Published, target: SocketAddr) -> Result<Open, String> {
        let place = published.host_port;
        let opened = self.host.run(|| Socket::open(place)).and_then(|socket| socket);
        let served = opened.and_then(|socket| Open::serve(socket, published.port, target));
        served.map_err(|error| format!("{place} can't be published: {error}"))
    }
}

impl Cluster {
    /// Opens the ports of the boot.
    ///
    /// # Errors
    /// Another process took one since the command that boots looked, and more that bind(2) may say.
    pub(super) fn open_ports(&self) -> Result<(), String> {
        self.open_missing(&self.boot())
    }

    /// Opens those ports of a state that aren't open: all of them or none.
    ///
    /// # Errors
    /// One can't be opened.
    pub(super) fn open_missing(&self, boot: &Boot) -> Result<(), String> {
        let is_missing = |one: &&Published| !self.ports.open.borrow().contains_key(&one.host_port);
        let open = |one: &Published| {
            let target = boot.environment.published_at(one.port).ok_or("the cluster has no node")?;
            Ok((one.host_port, self.ports.open(one, target)?))
        };
        let opened = boot.publish.iter().filter(is_missing).map(open).collect::<Result<Vec<_>, String>>()?;
        self.ports.open.borrow_mut().extend(opened);
        Ok(())
    }

    /// Closes what a state doesn't publish, and lets the rest lead where that state says: to
    /// another node if the one before is switched off, to another port if the place has one.
    pub(super) fn serve_only(&self, boot: &Boot) {
        self.ports.open.borrow_mut().retain(|place, _| boot.publish.iter().any(|one| one.host_port == *place));
        for published in &boot.publish {
            let Some(target) = boot.environment.published_at(published.port) else { continue };
            let is_right = |open: &Open| open.target == target && open.port == published.port;
            if self.ports.open.borrow().get(&published.host_port).is_some_and(is_right) {
                continue;
            }
            let mut all = self.ports.open.borrow_mut();
            let Some(open) = all.get(&published.host_port) else { continue };
            match open.socket.try_clone().and_then(|socket| Open::serve(socket, published.port, target)) {
                Ok(open) => drop(all.insert(published.host_port, open)),
                Err(error) => self.emit(Event::Warning { message: format!("{}: {error}", published.host_port) }),
            }
        }
    }

    /// What is published.
    pub(super) fn published(&self) -> Vec<OpenPort> {
        let open = self.ports.open.borrow();
        let shown = |(place, open): (&HostPort, &Open)| OpenPort {
            host: place.address,
            target: open.target,
            protocol: place.protocol,
            spec: Published { host_port: *place, port: open.port },
        };
        open.iter().map(shown).collect()
    }
}
