//! Forwards connections from the host's loopback into the sandbox, and in the other direction.
//!
//! A listening socket belongs to the namespace in which it was created. The host's sockets are
//! opened on the host, the sandbox's init inherits them, and connects from inside. No process
//! changes its namespaces.

use super::host_net::HostNet;
use std::io;
use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Forwards every connection on `listener` to `target` until the task is dropped, which also ends
/// the connections.
pub async fn run(listener: TcpListener, target: SocketAddr) {
    accept(listener, target, None).await;
}

/// Forwards every connection on `listener`, a socket of the sandbox, to a `target` in the host's
/// network.
pub async fn run_from(listener: TcpListener, target: SocketAddr, host: HostNet) {
    accept(listener, target, Some(host)).await;
}

async fn accept(listener: TcpListener, target: SocketAddr, host: Option<HostNet>) {
    // Dropped with the task, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((client, _)) => drop(connections.spawn(forward(client, target, host.clone()))),
            Err(error) => {
                // The process is out of file descriptors, or the client is gone: wait before the
                // next attempt.
                log::warn!("a connection for {target} can't be accepted: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connect(target: SocketAddr, host: Option<HostNet>) -> io::Result<TcpStream> {
    match host {
        Some(host) => host.connect(target).await,
        None => TcpStream::connect(target).await,
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr, host: Option<HostNet>) {
    let mut server = match connect(target, host).await {
        Ok(server) => server,
        Err(error) => return log::debug!("{target} doesn't accept a forwarded connection: {error}"),
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
        log::debug!("a forwarded connection to {target} broke: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(flavor = "current_thread")]
    async fn data_and_end_of_file_are_forwarded_in_both_directions() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (target, address) = (server.local_addr().unwrap(), front.local_addr().unwrap());
        tokio::spawn(run(front, target));
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut inner, _) = server.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = String::new();
        inner.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "ping");
        inner.write_all(b"pong").await.unwrap();
        drop(inner);
        got.clear();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "pong");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn connections_end_with_the_task() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (target, address) = (server.local_addr().unwrap(), front.local_addr().unwrap());
        let task = tokio::spawn(run(front, target));
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut inner, _) = server.accept().await.unwrap();
        inner.write_all(b"x").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'x');
        task.abort();
        assert_eq!(client.read(&mut [0]).await.unwrap_or_default(), 0);
        assert!(TcpStream::connect(address).await.is_err(), "the listener still accepts connections");
    }
}
