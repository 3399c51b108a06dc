//! The ports of a cluster on the host: the API server's, and the local registry's.

use super::HostError;
use super::ports::who_has;
use crate::network::publish::{Place, Protocol};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// What a port is for.
pub(super) struct For {
    /// The flag that chooses one.
    flag: &'static str,
    /// Those that are tried where nobody chooses, the first that is free wins.
    pub(super) range: RangeInclusive<u16>,
}

/// The API server.
pub(super) const API: For = For { flag: "--port", range: 6443..=7442 };
/// The local registry.
pub(super) const REGISTRY: For = For { flag: "--registry-port", range: 5000..=5999 };

/// The API server's URL on this host.
pub(super) fn api_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// Listens on 127.0.0.1: at the port that was asked for; else at the one this cluster had last; else at the first free one.
pub(super) fn listen(asked: Option<u16>, last: Option<u16>, what: &For) -> Result<TcpListener, HostError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let refused = |port, source: io::Error| {
        let place = Place { address: (Ipv4Addr::LOCALHOST, port).into(), protocol: Protocol::Tcp };
        let cause = match who_has(place) {
            by if source.kind() == ErrorKind::AddrInUse && !by.is_empty() => format!("{by} has it"),
            _ => source.to_string(),
        };
        HostError::Port { port, cause, flag: what.flag }
    };
    if let Some(port) = asked {
        return bind(port).map_err(|source| refused(port, source));
    }
    for port in last.into_iter().chain(what.range.clone()) {
        match bind(port) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            result => return result.map_err(|source| refused(port, source)),
        }
    }
    Err(HostError::NoPort { first: *what.range.start(), last: *what.range.end(), flag: what.flag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_port_and_an_exhausted_range() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let only = For { flag: "--port", range: port..=port };
        let error = listen(None, None, &only).unwrap_err();
        assert!(matches!(error, HostError::NoPort { first, last, .. } if first == port && last == port), "{error}");
        let error = listen(Some(port), None, &REGISTRY).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} of 127.0.0.1 can't be used: ")), "{error}");
        assert!(
            error.contains(&format!("(process {}) has it; choose another --registry-port", std::process::id())),
            "{error}"
        );
        drop(taken);
        assert_eq!(listen(None, None, &only).unwrap().local_addr().unwrap().port(), port);
    }
}
