//! Published ports as a command sees them: looked at on the host before anything is opened, and asked of a running cluster.

use super::handle::IN_TURN;
use super::{Cluster, HostError};
use crate::control::{OpenPort, Reply, Request};
use crate::network::publish::{Place, Socket, Which};
use crate::network::{Published, holder};
use crate::sandbox::carriers::Carrier;
use crate::settings;
use std::fmt;
use std::io::{self, ErrorKind};

/// A place on the host that nothing can be published at.
#[derive(Debug, thiserror::Error)]
#[error("port {} of {} ({}) can't be published: {}", .place.address.port(), .place.address.ip(), .place.protocol, Reason(.cause, .by))]
pub struct Unpublishable {
    /// The place.
    pub place: Place,
    /// Why.
    pub cause: io::Error,
    /// Who has it, in words; empty where that can't be seen.
    pub by: String,
}

struct Reason<'a>(&'a io::Error, &'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind(), self.1) {
            (ErrorKind::AddrInUse, "") => f.write_str("another process has it; choose another port"),
            (ErrorKind::AddrInUse, by) => write!(f, "{by} has it; choose another port, or end that"),
            (ErrorKind::AddrNotAvailable, _) => f.write_str("this host has no such address"),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// Opens places on the host, to see that they can be had and to hold them until the cluster takes them.
///
/// # Errors
/// The first that can't be opened, with who has it.
pub(super) fn hold(ports: &[Published]) -> Result<Vec<Socket>, HostError> {
    let open = |one: &Published| {
        let refused = |cause| HostError::Publish(Unpublishable { place: one.place, cause, by: who_has(one.place) });
        Socket::open(one.place).map_err(refused)
    };
    ports.iter().map(open).collect()
}

/// The process that has a place on the host, with its cluster if it carries one; empty where it can't be seen.
pub(super) fn who_has(place: Place) -> String {
    let Some(holder) = holder::of(place) else { return String::new() };
    match Carrier::of(holder.pid) {
        Some(carrier) => format!("cluster `{}`, {holder},", carrier.cluster()),
        None => holder.to_string(),
    }
}

impl Cluster {
    /// The published ports: of a stopped cluster those that come back with it.
    ///
    /// # Errors
    /// It runs and doesn't answer, or what is saved can't be read.
    pub fn ports(&self) -> Result<Vec<OpenPort>, HostError> {
        if self.sandbox().is_ok() {
            return self.ask_ports(&Request::Ports);
        }
        let saved = settings::saved(self.root())?.publish;
        let boot = self.boot_file()?;
        let target = |port| boot.environment.published_at(port);
        let told = |spec: &Published| {
            let Place { address: host, protocol } = spec.place;
            Some(OpenPort { host, target: target(spec.port)?, protocol, spec: *spec })
        };
        Ok(saved.iter().filter_map(told).collect())
    }

    /// Publishes ports at once, and at each later boot. Returns those that weren't yet.
    ///
    /// # Errors
    /// One of them can't be: none is then.
    pub fn publish(&self, ports: &[Published]) -> Result<Vec<OpenPort>, HostError> {
        self.sandbox()?;
        let before: Vec<Published> = self.ask_ports(&Request::Ports)?.iter().map(|port| port.spec).collect();
        let place = |one: &&Published| one.place;
        if let Some((new, old)) = ports.iter().find_map(|new| {
            let old = before.iter().find(|old| place(&new) == place(old) && *old != new)?;
            Some((new, old))
        }) {
            return Err(HostError::PublishedOtherwise { place: new.place, port: old.port });
        }
        let new: Vec<Published> = ports.iter().filter(|new| !before.contains(new)).copied().collect();
        // Seen from here, because who has a port doesn't show inside.
        drop(hold(&new)?);
        let after = self.ask_ports(&Request::Publish { ports: new.clone() })?;
        Ok(after.into_iter().filter(|port| new.contains(&port.spec)).collect())
    }

    /// Publishes ports no longer. Returns those that were.
    ///
    /// # Errors
    /// One of them isn't published: all stay then.
    pub fn unpublish(&self, which: &[Which]) -> Result<Vec<OpenPort>, HostError> {
        self.sandbox()?;
        let before = self.ask_ports(&Request::Ports)?;
        if let Some(wrong) = which.iter().find(|which| !before.iter().any(|port| which.means(&port.spec))) {
            let there = before.iter().map(|port| port.spec.to_string()).collect();
            return Err(HostError::NotPublished { cluster: self.name().to_owned(), which: *wrong, there });
        }
        let is_meant = |port: &OpenPort| which.iter().any(|which| which.means(&port.spec));
        let gone: Vec<OpenPort> = before.into_iter().filter(is_meant).collect();
        self.ask_ports(&Request::Unpublish { ports: gone.iter().map(|port| port.spec).collect() })?;
        Ok(gone)
    }

    /// Whether exactly these ports can be published by a cluster that runs.
    ///
    /// # Errors
    /// Another process has a place, or the cluster doesn't answer.
    pub(super) fn can_publish(&self, wanted: &[Published]) -> Result<(), HostError> {
        let open = self.ask_ports(&Request::Ports)?;
        let is_own = |one: &&Published| open.iter().any(|port| port.spec.place == one.place);
        let new: Vec<Published> = wanted.iter().filter(|one| !is_own(one)).copied().collect();
        hold(&new).map(drop)
    }

    fn ask_ports(&self, request: &Request) -> Result<Vec<OpenPort>, HostError> {
        // What changes them waits for other changes.
        match self.client()?.ask_in_turn(request, IN_TURN)? {
            Reply::Ports { ports } => Ok(ports),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_is_taken_is_named_with_who_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = "127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap();
        let free =
            Published { place: Place { address: free, protocol: crate::network::publish::Protocol::Udp }, port: 1 };
        let wanted: Published = format!("{port}:30080").parse().unwrap();
        let error = hold(&[free, wanted]).err().unwrap().to_string();
        let pid = std::process::id();
        assert!(error.starts_with(&format!("port {port} of 127.0.0.1 (tcp) can't be published: ")), "{error}");
        assert!(error.contains(&format!("(process {pid}) has it; choose another port, or end that")), "{error}");
        assert_eq!(hold(&[free]).unwrap().len(), 1);
        let error = hold(&["192.0.2.1:8080:80".parse().unwrap()]).err().unwrap().to_string();
        assert_eq!(error, "port 8080 of 192.0.2.1 (tcp) can't be published: this host has no such address");
    }
}
