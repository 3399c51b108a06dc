//! Balances connections over several servers behind one address. If a server stops accepting
//! connections, its forwarded connections are closed, so that the clients reconnect to another
//! server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often to probe each server.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a server may take to accept a connection. All servers are on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);

/// A server, and whether it accepts connections.
struct Server {
    address: SocketAddr,
    is_up: watch::Sender<bool>,
}

impl Server {
    async fn probe(&self) {
        let is_up = matches!(timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await, Ok(Ok(_)));
        self.is_up.send_if_modified(|before| std::mem::replace(before, is_up) != is_up);
    }
}

/// Servers of the same service. A single server isn't probed, because there is no other one to use.
#[derive(Clone)]
pub struct Balancer {
    servers: Arc<[Server]>,
    next: Arc<AtomicUsize>,
}

impl Balancer {
    /// A balancer for these servers. They may start later.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let server = |address| Server { address, is_up: watch::Sender::new(true) };
        Self { servers: addresses.into_iter().map(server).collect(), next: Arc::default() }
    }

    /// Probes the servers until the task is dropped.
    pub async fn watch(self) {
        if self.servers.len() < 2 {
            return;
        }
        loop {
            futures_util::future::join_all(self.servers.iter().map(Server::probe)).await;
            sleep(PROBE_INTERVAL).await;
        }
    }

    /// Forwards every connection of a listener until the task is dropped.
    pub async fn run(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    tokio::spawn(self.clone().forward(client));
                }
                Err(error) => {
                    // The process is out of file descriptors, or the client is gone: wait before
                    // the next attempt.
                    log::warn!("a connection can't be accepted: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn forward(self, mut client: TcpStream) {
        let (mut server, index) = match self.connect().await {
            Ok(connected) => connected,
            Err(error) => return log::debug!("no server accepts a forwarded connection: {error}"),
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut is_up = self.servers[index].is_up.subscribe();
        tokio::select! {
            done = copy_bidirectional(&mut client, &mut server) => if let Err(error) = done {
                log::debug!("a forwarded connection to {} broke: {error}", self.servers[index].address);
            },
            // This can't fail: `self` owns the sender.
            _ = is_up.wait_for(|is_up| !is_up) => {}
        }
    }

    /// Connects to the next server, round-robin. Servers whose last probe failed are tried last.
    async fn connect(&self) -> io::Result<(TcpStream, usize)> {
        let (first, count) = (self.next.fetch_add(1, Ordering::Relaxed), self.servers.len());
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(|index| !*self.servers[*index].is_up.borrow());
        let mut last = io::Error::from(io::ErrorKind::NotConnected);
        for index in order {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(self.servers[index].address)).await {
                Ok(Ok(stream)) => return Ok((stream, index)),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that sends its name to every client and keeps the connection open.
    async fn server(name: &'static str) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut streams = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // A probe has closed the connection already.
                let _ = stream.write_all(name.as_bytes()).await;
                streams.push(stream);
            }
        });
        (address, task)
    }

    async fn ask(front: SocketAddr) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(front).await.unwrap();
        let mut name = [0; 1];
        stream.read_exact(&mut name).await.unwrap();
        (String::from_utf8_lossy(&name).into_owned(), stream)
    }

    #[tokio::test]
    async fn connections_are_balanced_and_leave_a_stopped_server() {
        let ((a, a_task), (b, _b_task)) = (server("a").await, server("b").await);
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let balancer = Balancer::new([a, b]);
        tokio::spawn(balancer.clone().watch());
        tokio::spawn(balancer.run(front));
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(ask(address).await);
        }
        streams.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!([&*streams[0].0, &*streams[1].0], ["a", "b"]);
        a_task.abort();
        // Its connections end, while those of the other server continue.
        assert_eq!(streams[0].1.read(&mut [0; 1]).await.unwrap_or(0), 0);
        for _ in 0..3 {
            assert_eq!(ask(address).await.0, "b");
        }
        let read = tokio::time::timeout(Duration::from_millis(50), streams[1].1.read(&mut [0; 1])).await;
        assert!(read.is_err(), "the other server's connection ended as well");
    }
}
