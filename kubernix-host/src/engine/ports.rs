//! Published ports of a running cluster: opened on the host's side, sent on inside, and kept with the cluster's settings.

use super::Cluster;
use crate::chain::chain;
use crate::control::OpenPort;
use crate::network::publish::{Place, Socket, distinct};
use crate::network::{HostNet, Published};
use crate::root::Root;
use crate::spec;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// Places on the host that are open.
pub(super) struct Ports {
    root: Root,
    host: HostNet,
    open: RefCell<BTreeMap<Place, Open>>,
}

/// One that is open, until it is dropped.
struct Open {
    port: u16,
    target: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ports {
    pub(super) fn new(root: Root, host: HostNet) -> Self {
        Self { root, host, open: RefCell::default() }
    }

    fn open(&self, published: &Published, target: SocketAddr) -> Result<Open, String> {
        let place = published.place;
        let opened = self.host.run(|| Socket::open(place)).and_then(|socket| socket?.serve(target));
        let task = opened.map_err(|error| format!("{place} can't be published: {error}"))?;
        Ok(Open { port: published.port, target, task })
    }

    fn published(&self) -> Vec<Published> {
        self.open.borrow().iter().map(|(place, open)| Published { place: *place, port: open.port }).collect()
    }

    /// Saves what is published, so that the next boot brings it back.
    fn save(&self, ports: Vec<Published>) -> Result<(), String> {
        let mut settings = spec::saved(&self.root).map_err(|error| chain(&error))?;
        settings.publish = ports;
        self.root.save_spec(&settings).map(drop).map_err(|error| chain(&error))
    }
}

impl Cluster {
    /// Opens the ports of the boot.
    ///
    /// # Errors
    /// Somebody took one since the command that boots looked, and more that bind(2) may say.
    pub(super) fn open_ports(&self) -> Result<(), String> {
        self.open_all(&self.boot.publish)
    }

    /// All or none.
    fn open_all(&self, ports: &[Published]) -> Result<(), String> {
        let open = |one: &Published| {
            let target = self.boot.environment.published_at(one.port).ok_or("the cluster has no node")?;
            Ok((one.place, self.ports.open(one, target)?))
        };
        let opened = ports.iter().map(open).collect::<Result<Vec<_>, String>>()?;
        self.ports.open.borrow_mut().extend(opened);
        Ok(())
    }

    /// What is published.
    pub(super) fn published(&self) -> Vec<OpenPort> {
        let open = self.ports.open.borrow();
        let told = |(place, open): (&Place, &Open)| OpenPort {
            host: place.address,
            target: open.target,
            protocol: place.protocol,
            spec: Published { place: *place, port: open.port },
        };
        open.iter().map(told).collect()
    }

    /// Publishes these as well.
    ///
    /// # Errors
    /// One can't be opened, or they can't be saved: none of them is published then.
    pub(super) fn publish(&self, ports: &[Published]) -> Result<(), String> {
        let before = self.ports.published();
        let all = distinct([&before, ports].concat())?;
        let new: Vec<Published> = all[before.len()..].to_vec();
        self.open_all(&new)?;
        self.ports.save(all).inspect_err(|_| self.close(&new))
    }

    /// Publishes these no longer; what comes through them ends.
    ///
    /// # Errors
    /// It can't be saved: all of them stay.
    pub(super) fn unpublish(&self, ports: &[Published]) -> Result<(), String> {
        let mut left = self.ports.published();
        left.retain(|one| !ports.contains(one));
        self.ports.save(left)?;
        self.close(ports);
        Ok(())
    }

    fn close(&self, ports: &[Published]) {
        self.ports
            .open
            .borrow_mut()
            .retain(|place, open| !ports.contains(&Published { place: *place, port: open.port }));
    }
}
