//! Opens TCP connections from this process's network namespace or from a node's, which has its own
//! loopback device.

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

/// How long connecting may take. All servers are on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects to the IP addresses of URLs.
#[derive(Clone)]
pub(crate) struct Connector {
    local: HttpConnector,
    from: Option<HostNet>,
}

impl Connector {
    /// Connects from the network namespace `from`. `None`: from that of this process.
    pub(super) fn new(from: Option<HostNet>) -> Self {
        let mut local = HttpConnector::new();
        local.enforce_http(false);
        local.set_nodelay(true);
        local.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { local, from }
    }
}

type Failed = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.local.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self.from.clone() {
            None => {
                let connecting = self.local.call(uri);
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

/// The address of a URL. Names aren't resolved, because a node may resolve them differently.
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
    fn urls_must_have_ip_addresses() {
        let of = |url: &str| address(&url.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(of("http://127.0.0.1:10257/healthz").unwrap(), "127.0.0.1:10257");
        assert_eq!(of("https://localhost/x").unwrap(), "127.0.0.1:443");
        assert_eq!(of("http://[::1]/").unwrap(), "[::1]:80");
        assert!(of("http://example.com/").unwrap_err().to_string().contains("`example.com` is not an IP address"));
    }
}
