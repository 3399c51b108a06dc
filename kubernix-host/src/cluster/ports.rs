//! Published ports: checks them on the host, and requests them from a running cluster.

use super::handle::QUEUED_REQUEST_TIMEOUT;
use super::{Cluster, HostError, PortError};
use crate::control::{Reply, Request};
use crate::network::publish::{HostPort, PortSelector, Protocol, Socket};
use crate::network::{Published, holder};
use crate::sandbox::carriers::Carrier;
use crate::settings;
use std::net::SocketAddr;

/// A port of the host that is forwarded to the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The address on the host.
    pub host: SocketAddr,
    /// The address inside the sandbox that connections are forwarded to.
    pub target: SocketAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port as the user specified it.
    pub spec: Published,
}

/// Opens ports of the host, to check that they are free and to reserve them until the cluster opens
/// them.
///
/// # Errors
/// The first port that can't be opened, with the process that has it.
pub(super) fn reserve(ports: &[Published]) -> Result<Vec<Socket>, PortError> {
    let open = |one: &Published| {
        let refused =
            |cause| PortError::Unpublishable { place: one.host_port, cause, by: describe_holder(one.host_port) };
        Socket::open(one.host_port).map_err(refused)
    };
    ports.iter().map(open).collect()
}

/// The process that listens at an address of the host, and the cluster that it belongs to. Empty if
/// it can't be determined.
pub(super) fn describe_holder(place: HostPort) -> String {
    let Some(holder) = holder::of(place) else { return String::new() };
    match Carrier::of(holder.pid) {
        Some(carrier) => format!("cluster `{}`, {holder},", carrier.cluster()),
        None => holder.to_string(),
    }
}

impl Cluster {
    /// The published ports. For a stopped cluster, the ports that the next boot publishes.
    ///
    /// # Errors
    /// A running cluster doesn't answer, or the saved settings can't be read.
    pub fn ports(&self) -> Result<Vec<PublishedPort>, HostError> {
        if self.sandbox().is_ok() {
            return self.request_ports(&Request::Ports);
        }
        let saved = settings::saved(self.root())?.publish;
        let boot = self.boot_file()?;
        let target = |port| boot.environment.published_at(port);
        let open_port = |spec: &Published| {
            let HostPort { address: host, protocol } = spec.host_port;
            Some(PublishedPort { host, target: target(spec.port)?, protocol, spec: *spec })
        };
        Ok(saved.iter().filter_map(open_port).collect())
    }

    /// Publishes ports now and at each later boot. Returns the newly published ones.
    ///
    /// # Errors
    /// A port can't be published. None is published then.
    pub fn publish(&self, ports: &[Published]) -> Result<Vec<PublishedPort>, HostError> {
        self.sandbox()?;
        let before: Vec<Published> = self.request_ports(&Request::Ports)?.iter().map(|port| port.spec).collect();
        let place = |one: &&Published| one.host_port;
        if let Some((new, old)) = ports.iter().find_map(|new| {
            let old = before.iter().find(|old| place(&new) == place(old) && *old != new)?;
            Some((new, old))
        }) {
            return Err(PortError::PublishedOtherwise { place: new.host_port, port: old.port }.into());
        }
        let new: Vec<Published> = ports.iter().filter(|new| !before.contains(new)).copied().collect();
        // Checked here on the host: inside the sandbox, the process that has a port can't be found.
        drop(reserve(&new)?);
        let after = self.request_ports(&Request::Publish { ports: new.iter().map(ToString::to_string).collect() })?;
        Ok(after.into_iter().filter(|port| new.contains(&port.spec)).collect())
    }

    /// Stops publishing ports. Returns the removed ones.
    ///
    /// # Errors
    /// A port isn't published. None is removed then.
    pub fn unpublish(&self, which: &[PortSelector]) -> Result<Vec<PublishedPort>, HostError> {
        self.sandbox()?;
        let before = self.request_ports(&Request::Ports)?;
        if let Some(wrong) = which.iter().find(|which| !before.iter().any(|port| which.matches(&port.spec))) {
            let published = before.iter().map(|port| port.spec.to_string()).collect();
            return Err(PortError::NotPublished { cluster: self.name().to_owned(), which: *wrong, published }.into());
        }
        let is_named = |port: &PublishedPort| which.iter().any(|which| which.matches(&port.spec));
        let removed: Vec<PublishedPort> = before.into_iter().filter(is_named).collect();
        self.request_ports(&Request::Unpublish { ports: removed.iter().map(|port| port.spec.to_string()).collect() })?;
        Ok(removed)
    }

    /// Checks that this running cluster can publish these ports. Its own ports count as free.
    ///
    /// # Errors
    /// Another process has a port, or the cluster doesn't answer.
    pub(super) fn can_publish(&self, wanted: &[Published]) -> Result<(), HostError> {
        let open = self.request_ports(&Request::Ports)?;
        let is_own = |one: &&Published| open.iter().any(|port| port.spec.host_port == one.host_port);
        let new: Vec<Published> = wanted.iter().filter(|one| !is_own(one)).copied().collect();
        Ok(reserve(&new).map(drop)?)
    }

    fn request_ports(&self, request: &Request) -> Result<Vec<PublishedPort>, HostError> {
        // Requests that change ports are queued behind a running change.
        match self.client()?.ask_in_turn(request, QUEUED_REQUEST_TIMEOUT)? {
            Reply::Ports { ports } => Ok(ports.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_error_for_a_port_in_use_names_its_process() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = "127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap();
        let free = Published { host_port: HostPort { address: free, protocol: Protocol::Udp }, port: 1 };
        let wanted: Published = format!("{port}:30080").parse().unwrap();
        let error = reserve(&[free, wanted]).err().unwrap().to_string();
        let pid = std::process::id();
        assert!(error.starts_with(&format!("port {port} of 127.0.0.1 (tcp) can't be published: ")), "{error}");
        assert!(error.contains(&format!("(process {pid}) has it; choose another port, or end that")), "{error}");
        assert_eq!(reserve(&[free]).unwrap().len(), 1);
        let error = reserve(&["192.0.2.1:8080:80".parse().unwrap()]).err().unwrap().to_string();
        assert_eq!(error, "port 8080 of 192.0.2.1 (tcp) can't be published: this host has no such address");
    }
}
