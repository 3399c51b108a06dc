//! Forwards datagrams from the host into the sandbox, and the replies back.
//!
//! Each client address has a *session* with its own socket, to which the target's replies return.
//! An idle session ends after a timeout. If there are too many sessions, the oldest one ends.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How long a session may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// The maximum number of sessions per port.
const MAX_SESSIONS: usize = 1024;
/// The maximum size of a datagram, in bytes.
const MAX_DATAGRAM: usize = 64 * 1024;

/// The time of the last datagram in either direction.
type LastActivity = Arc<Mutex<Instant>>;

/// The session of one client.
struct Session {
    /// Connected to the target.
    socket: Arc<UdpSocket>,
    last_activity: LastActivity,
    replies: AbortHandle,
}

/// Forwards every datagram on `outer` to `target`, and the replies back, until the task is dropped.
pub(super) async fn run(outer: UdpSocket, target: SocketAddr) {
    forward(outer, target, MAX_SESSIONS).await;
}

async fn forward(outer: UdpSocket, target: SocketAddr, most: usize) {
    let outer = Arc::new(outer);
    let mut sessions = HashMap::<SocketAddr, Session>::new();
    let mut tasks = JoinSet::new();
    let mut datagram = vec![0; MAX_DATAGRAM];
    loop {
        let received = tokio::select! {
            // First, so that no datagram is sent through a session that has ended.
            biased;
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                // An aborted session was removed already.
                if let Ok(client) = ended {
                    sessions.remove(&client);
                }
                continue;
            }
            received = outer.recv_from(&mut datagram) => received,
        };
        // An error is about a client that is gone.
        let Ok((length, client)) = received else { continue };
        if !sessions.contains_key(&client) {
            if sessions.len() >= most {
                end_oldest(&mut sessions);
            }
            match open_session(&outer, target, client, &mut tasks).await {
                Ok(session) => drop(sessions.insert(client, session)),
                Err(error) => {
                    log::warn!("a datagram can't be forwarded to {target}: {error}");
                    continue;
                }
            }
        }
        let Some(session) = sessions.get(&client) else { continue };
        touch(&session.last_activity);
        if let Err(error) = session.socket.send(&datagram[..length]).await {
            // The target may start listening later.
            log::debug!("a datagram can't be sent to {target}: {error}");
        }
    }
}

/// Opens a client's socket, and spawns the task that sends replies back to the client. The task's
/// result is the client's address.
async fn open_session(
    outer: &Arc<UdpSocket>,
    target: SocketAddr,
    client: SocketAddr,
    tasks: &mut JoinSet<SocketAddr>,
) -> io::Result<Session> {
    let any: SocketAddr =
        if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = Arc::new(UdpSocket::bind(any).await?);
    socket.connect(target).await?;
    let last_activity = Arc::new(Mutex::new(Instant::now()));
    let replies = tasks.spawn(forward_replies(outer.clone(), socket.clone(), client, last_activity.clone()));
    Ok(Session { socket, last_activity, replies })
}

async fn forward_replies(
    outer: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    last_activity: LastActivity,
) -> SocketAddr {
    let mut datagram = vec![0; MAX_DATAGRAM];
    loop {
        let idle_end = activity(&last_activity) + IDLE_TIMEOUT;
        tokio::select! {
            received = socket.recv(&mut datagram) => match received {
                Ok(length) => {
                    touch(&last_activity);
                    if let Err(error) = outer.send_to(&datagram[..length], client).await {
                        log::debug!("a reply can't be sent to {client}: {error}");
                    }
                }
                // Refused: nothing listens there now.
                Err(error) => log::debug!("no reply for {client}: {error}"),
            },
            () = sleep_until(idle_end) => {
                // The client may have sent a datagram meanwhile.
                if activity(&last_activity) + IDLE_TIMEOUT <= Instant::now() {
                    return client;
                }
            }
        }
    }
}

fn end_oldest(sessions: &mut HashMap<SocketAddr, Session>) {
    let oldest = sessions.iter().min_by_key(|(_, session)| activity(&session.last_activity)).map(|(client, _)| *client);
    if let Some(session) = oldest.and_then(|client| sessions.remove(&client)) {
        session.replies.abort();
    }
}

fn activity(last_activity: &LastActivity) -> Instant {
    *last_activity.lock().unwrap_or_else(PoisonError::into_inner)
}

fn touch(last_activity: &LastActivity) {
    *last_activity.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.unwrap()
    }

    /// A target socket, and the address at which it is published.
    async fn publish(most: usize) -> (UdpSocket, SocketAddr) {
        let (inside, outer) = (socket().await, socket().await);
        let (target, published) = (inside.local_addr().unwrap(), outer.local_addr().unwrap());
        tokio::spawn(forward(outer, target, most));
        (inside, published)
    }

    /// Sends a datagram to a published address. Returns the sender's address as seen by the target.
    async fn send(client: &UdpSocket, published: SocketAddr, inside: &UdpSocket, text: &str) -> SocketAddr {
        client.send_to(text.as_bytes(), published).await.unwrap();
        let mut buffer = [0; 16];
        let (length, from) = inside.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], text.as_bytes());
        from
    }

    async fn receive(client: &UdpSocket) -> String {
        let mut buffer = [0; 16];
        let length = client.recv(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_client_has_a_session_for_replies() {
        let (inside, published) = publish(MAX_SESSIONS).await;
        let (a, b) = (socket().await, socket().await);
        let from_a = send(&a, published, &inside, "a").await;
        let from_b = send(&b, published, &inside, "b").await;
        assert_ne!(from_a, from_b);
        assert_eq!(send(&a, published, &inside, "again").await, from_a);
        inside.send_to(b"to b", from_b).await.unwrap();
        inside.send_to(b"to a", from_a).await.unwrap();
        assert_eq!((receive(&a).await, receive(&b).await), ("to a".into(), "to b".into()));
        // An empty datagram is forwarded as well.
        assert_eq!(send(&a, published, &inside, "").await, from_a);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn an_idle_session_ends() {
        let (inside, published) = publish(MAX_SESSIONS).await;
        let client = socket().await;
        let first = send(&client, published, &inside, "1").await;
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        assert_eq!(send(&client, published, &inside, "2").await, first);
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        inside.send_to(b"a reply counts", first).await.unwrap();
        receive(&client).await;
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        assert_eq!(send(&client, published, &inside, "3").await, first);
        tokio::time::sleep(IDLE_TIMEOUT * 2).await;
        assert_ne!(send(&client, published, &inside, "4").await, first);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_oldest_session_ends_if_there_are_too_many() {
        let (inside, published) = publish(2).await;
        let clients = [socket().await, socket().await, socket().await];
        let first = send(&clients[0], published, &inside, "0").await;
        let second = send(&clients[1], published, &inside, "1").await;
        assert_eq!(send(&clients[0], published, &inside, "0").await, first);
        send(&clients[2], published, &inside, "2").await;
        assert_eq!(send(&clients[0], published, &inside, "0").await, first, "it was not the oldest");
        assert_ne!(send(&clients[1], published, &inside, "1").await, second);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn forwarding_resumes_when_the_target_returns() {
        let (inside, published) = publish(MAX_SESSIONS).await;
        let target = inside.local_addr().unwrap();
        drop(inside);
        let client = socket().await;
        // Refused. The next call on the session's socket returns the error.
        for _ in 0..3 {
            client.send_to(b"lost", published).await.unwrap();
            tokio::task::yield_now().await;
        }
        let inside = UdpSocket::bind(target).await.unwrap();
        let mut buffer = [0; 16];
        // The lost datagrams may still arrive.
        loop {
            client.send_to(b"found", published).await.unwrap();
            let received = tokio::time::timeout(Duration::from_millis(50), inside.recv_from(&mut buffer)).await;
            if let Ok(Ok((5, from))) = received {
                inside.send_to(b"reply", from).await.unwrap();
                break;
            }
        }
        assert_eq!(receive(&client).await, "reply");
    }
}
