//! Published ports: addresses of the host that are forwarded to ports of the nodes, as text and as
//! sockets.
//!
//! The sockets belong to the host's network namespace, and their traffic is forwarded into the
//! sandbox. Must not know to which node.

mod error;
mod socket;

pub use error::{PortSyntaxError, PublishError};
pub use socket::Socket;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// An address, port and protocol of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The address and port.
    pub address: SocketAddr,
    /// The protocol.
    pub protocol: Protocol,
}

/// A host port that is forwarded to a port of the nodes. As text: `127.0.0.1:8080:30080`,
/// `[::1]:5353:30053/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Published {
    /// The port on the host.
    pub host_port: HostPort,
    /// The port of the nodes: that of a `NodePort` Service, or any other.
    pub port: u16,
}

/// The argument of `port remove`: a host port, or a published port as given to `port add`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSelector {
    host_port: HostPort,
    port: Option<u16>,
}

impl PortSelector {
    /// Whether this selects a published port.
    pub fn matches(self, published: &Published) -> bool {
        self.host_port == published.host_port && self.port.is_none_or(|port| port == published.port)
    }
}

/// Splits off the protocol.
fn protocol(text: &str) -> Result<(&str, Protocol), PortSyntaxError> {
    match text.rsplit_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((rest, "tcp")) => Ok((rest, Protocol::Tcp)),
        Some((rest, "udp")) => Ok((rest, Protocol::Udp)),
        Some((_, other)) => Err(PortSyntaxError::Protocol { text: text.to_owned(), protocol: other.to_owned() }),
    }
}

fn port(text: &str) -> Result<u16, PortSyntaxError> {
    let port = text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()));
    port.ok_or_else(|| PortSyntaxError::Port(text.to_owned()))
}

/// Parses `PORT`, `IP:PORT` or `[IPv6]:PORT`.
fn address(text: &str) -> Result<SocketAddr, PortSyntaxError> {
    let Some((ip, number)) = text.rsplit_once(':') else {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port(text)?));
    };
    let number = port(number)?;
    let v6 = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let ip = match v6 {
        Some(v6) => v6.parse().map(IpAddr::V6).ok(),
        None => ip.parse().map(IpAddr::V4).ok(),
    };
    ip.map(|ip| SocketAddr::new(ip, number)).ok_or_else(|| PortSyntaxError::Address(text.to_owned()))
}

/// Parses a host port and a port of the nodes, without the protocol.
fn addresses(text: &str) -> Result<(SocketAddr, u16), PortSyntaxError> {
    let (host, node_port) = text.rsplit_once(':').ok_or(PortSyntaxError::NodePortMissing)?;
    Ok((address(host)?, port(node_port)?))
}

impl FromStr for Published {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let (rest, protocol) = protocol(text).map_err(PublishError::Protocol)?;
        let (address, port) = addresses(rest).map_err(|cause| PublishError::Syntax { text: text.to_owned(), cause })?;
        Ok(Self { host_port: HostPort { address, protocol }, port })
    }
}

impl FromStr for PortSelector {
    type Err = PortSyntaxError;

    fn from_str(text: &str) -> Result<Self, PortSyntaxError> {
        // The two forms can't be confused: a host port with a colon starts with an IP address,
        // which isn't a port.
        if let Ok(Published { host_port, port }) = text.parse() {
            return Ok(Self { host_port, port: Some(port) });
        }
        let (rest, protocol) = protocol(text)?;
        let host_port = HostPort { address: address(rest)?, protocol };
        Ok(Self { host_port, port: None })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.protocol)
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.host_port.protocol == Protocol::Udp { "/udp" } else { "" };
        f.pad(&format!("{}:{}{protocol}", self.host_port.address, self.port))
    }
}

impl fmt::Display for PortSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => Published { host_port: self.host_port, port }.fmt(f),
            None => self.host_port.fmt(f),
        }
    }
}

impl TryFrom<String> for Published {
    type Error = PublishError;

    fn try_from(text: String) -> Result<Self, PublishError> {
        text.parse()
    }
}

impl From<Published> for String {
    fn from(published: Published) -> Self {
        published.to_string()
    }
}

/// Removes duplicates.
///
/// # Errors
/// One host port is forwarded to two ports.
pub fn distinct(published: Vec<Published>) -> Result<Vec<Published>, PublishError> {
    let mut all: Vec<Published> = Vec::new();
    for one in published {
        match all.iter().find(|other| other.host_port == one.host_port) {
            None => all.push(one),
            Some(other) if *other == one => {}
            Some(other) => {
                let node_ports = [other.port, one.port];
                return Err(PublishError::Twice { host_port: one.host_port, node_ports });
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Published {
        text.parse().unwrap()
    }

    fn error(text: &str) -> String {
        text.parse::<Published>().unwrap_err().to_string()
    }

    #[test]
    fn a_published_port_is_parsed_from_its_display_text() {
        for (text, shown) in [
            ("8080:30080", "127.0.0.1:8080:30080"),
            ("8080:30080/tcp", "127.0.0.1:8080:30080"),
            ("0.0.0.0:53:30053/udp", "0.0.0.0:53:30053/udp"),
            ("[::1]:8080:80", "[::1]:8080:80"),
            ("[::]:1:65535/udp", "[::]:1:65535/udp"),
        ] {
            assert_eq!(of(text).to_string(), shown);
            assert_eq!(of(shown), of(text));
            let json = serde_json::to_string(&of(text)).unwrap();
            assert_eq!(serde_json::from_str::<Published>(&json).unwrap(), of(text));
        }
        assert_eq!(of("8080:1").host_port.to_string(), "127.0.0.1:8080/tcp");
    }

    #[test]
    fn a_syntax_error_names_the_cause_and_the_syntax() {
        for (text, why) in [
            ("8080", "the port of the nodes is missing"),
            ("0:30080", "`0` is not a port, give a number from 1 to 65535"),
            ("8080:0", "`0` is not a port"),
            ("8080:65536", "`65536` is not a port"),
            ("8080:+80", "`+80` is not a port"),
            ("8080:", "`` is not a port"),
            (":30080", "`` is not a port"),
            ("127.0.0.1:30080", "`127.0.0.1` is not a port"),
            ("localhost:8080:30080", "`localhost:8080` is neither PORT, IP:PORT nor [IPv6]:PORT"),
            ("::1:8080:30080", "`::1:8080` is neither PORT"),
            ("[127.0.0.1]:8080:80", "is neither PORT"),
            ("1.2.3:8080:80", "is neither PORT"),
        ] {
            let error = error(text);
            assert!(error.starts_with(&format!("`{text}` can't be published: ")), "{error}");
            assert!(error.contains(why) && error.ends_with(error::SYNTAX), "{error}");
        }
        assert_eq!(error("8080:80/sctp"), "`8080:80/sctp`: `sctp` is neither tcp nor udp");
    }

    #[test]
    fn a_selector_is_a_host_port_or_a_published_port() {
        let all = ["8080:30080", "8080:30053/udp", "[::1]:8080:30080"].map(of);
        let selected = |text: &str| {
            let selector: PortSelector = text.parse().unwrap();
            all.iter().map(|one| selector.matches(one)).collect::<Vec<_>>()
        };
        assert_eq!(selected("8080"), [true, false, false]);
        assert_eq!(selected("127.0.0.1:8080/tcp"), [true, false, false]);
        assert_eq!(selected("8080:30080"), [true, false, false]);
        assert_eq!(selected("8080:30081"), [false; 3]);
        assert_eq!(selected("8080/udp"), [false, true, false]);
        assert_eq!(selected("[::1]:8080"), [false, false, true]);
        assert!("name:8080".parse::<PortSelector>().is_err() && "0".parse::<PortSelector>().is_err());
    }

    #[test]
    fn a_host_port_is_forwarded_to_one_port() {
        let twice = ["1:2", "127.0.0.1:1:2", "1:2/udp", "0.0.0.0:1:3"].map(of).to_vec();
        assert_eq!(distinct(twice).unwrap(), ["1:2", "1:2/udp", "0.0.0.0:1:3"].map(of));
        let error = distinct(["1:2", "1:3"].map(of).to_vec()).unwrap_err().to_string();
        assert_eq!(error, "127.0.0.1:1/tcp can't be forwarded to both 2 and 3");
    }
}
