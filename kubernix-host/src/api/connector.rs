//! TCP connections from where a server has to be asked: here, or in a node's network namespace, whose loopback is its own.

use crate::network::HostNet;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// How long a TCP connection may take to come up: all servers are on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes connections to the servers that URLs name by their addresses.
#[derive(Clone)]
pub(crate) struct Connector {
    here: HttpConnector,
    from: Option<HostNet>,
}

impl Connector {
    /// From the calling process's network namespace, or another.
    pub(super) fn new(from: Option<HostNet>) -> Self {
        let mut here = HttpConnector::new();
        here.enforce_http(false);
        here.set_nodelay(true);
        here.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { here, from }
    }
}

type Failed = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.here.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self.from.clone() {
            None => {
                let connecting = self.here.call(uri);
                Box::pin(async { connecting.await.map_err(Into::into) })
            }
            Some(net) => Box::pin(async move {
                let connecting = tokio::time::timeout(CONNECT_TIMEOUT, net.connect(address(&uri)?));
                let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                stream.set_nodelay(true)?;
                Ok(TokioIo::new(stream))
            }),
        }
    }
}

/// No name is resolved: what a node would make of it is not known here.
fn address(uri: &Uri) -> io::Result<SocketAddr> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip = if host == "localhost" { "127.0.0.1" } else { host };
    let ip: IpAddr = ip.parse().map_err(|_| io::Error::other(format!("`{host}` is not an IP address")))?;
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Ok(SocketAddr::new(ip, uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_an_address() {
        let of = |url: &str| address(&url.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(of("http://127.0.0.1:10257/healthz").unwrap(), "127.0.0.1:10257");
        assert_eq!(of("https://localhost/x").unwrap(), "127.0.0.1:443");
        assert_eq!(of("http://[::1]/").unwrap(), "[::1]:80");
        assert!(of("http://example.com/").unwrap_err().to_string().contains("`example.com` is not an IP address"));
    }
}
