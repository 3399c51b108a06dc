//! Probes TCP and unix sockets: a connection must be accepted.

use super::{Attempt, SHORT_INTERVAL, never, not_yet};
use crate::network::HostNet;
use kubernix_core::UnixSocket;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpStream, UnixStream};

/// Connects to `IP:PORT`, from the network namespace `from` if there is one.
pub(super) async fn tcp(target: &str, from: Option<HostNet>) -> Attempt {
    let Ok(address) = target.parse::<SocketAddr>() else {
        return Err(never(format!("`{target}` is not an IP:PORT address")));
    };
    let connected = match from {
        Some(net) => net.connect(address).await,
        None => TcpStream::connect(address).await,
    };
    verdict(target, connected)
}

/// Connects to the unix socket at this path, or `unix://PATH`.
pub(super) async fn unix(target: &str) -> Attempt {
    let socket = UnixSocket::new(target.strip_prefix("unix://").unwrap_or(target));
    let socket = socket.map_err(|error| never(error.to_string()))?;
    verdict(socket.path(), UnixStream::connect(socket.path()).await)
}

fn verdict<S>(target: &str, connected: io::Result<S>) -> Attempt {
    match connected {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                not_yet(format!("{target} refuses connections: nothing listens there yet"), SHORT_INTERVAL)
            }
            io::ErrorKind::NotFound => not_yet(format!("{target} does not exist yet"), SHORT_INTERVAL),
            _ => not_yet(format!("cannot connect to {target}: {error}"), SHORT_INTERVAL),
        },
    }
}
