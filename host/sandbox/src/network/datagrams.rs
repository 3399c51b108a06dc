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
    answers: AbortHandle,
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
            match begin(&outer, target, client, &mut tasks).await {
                Ok(session) => drop(sessions.insert(client, session)),
                Err(error) => {
                    log::warn!("a datagram can't be sent on to {target}: {error}");
                    continue;
                }
            }
        }
        let Some(session) = sessions.get(&client) else { continue };
        touch(&session.last_activity);
        if let Err(error) = session.socket.send(&datagram[..length]).await {
            // The target may start listening later.
            log::debug!("{target} doesn't take a datagram: {error}");
        }
    }
}

/// Opens a client's socket, and spawns the task that sends replies back to the client. The task's
/// result is the client's address.
async fn begin(
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
    let answers = tasks.spawn(answer(outer.clone(), socket.clone(), client, last_activity.clone()));
    Ok(Session { socket, last_activity, answers })
}

async fn answer(
    outer: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    last_activity: LastActivity,
) -> SocketAddr {
    let mut datagram = vec![0; MAX_DATAGRAM];
    loop {
        let over = said(&last_activity) + IDLE_TIMEOUT;
        tokio::select! {
            received = socket.recv(&mut datagram) => match received {
                Ok(length) => {
                    touch(&last_activity);
                    if let Err(error) = outer.send_to(&datagram[..length], client).await {
                        log::debug!("{client} doesn't take an answer: {error}");
                    }
                }
                // Refused: nothing listens there now.
                Err(error) => log::debug!("no answer for {client}: {error}"),
            },
            () = sleep_until(over) => {
                // The client may have sent a datagram meanwhile.
                if said(&last_activity) + IDLE_TIMEOUT <= Instant::now() {
                    return client;
                }
            }
        }
    }
}

fn end_oldest(sessions: &mut HashMap<SocketAddr, Session>) {
    let oldest = sessions.iter().min_by_key(|(_, session)| said(&session.last_activity)).map(|(client, _)| *client);
    if let Some(session) = oldest.and_then(|client| sessions.remove(&client)) {
        session.answers.abort();
    }
}

fn said(last_activity: &LastActivity) -> Instant {
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
    async fn published(most: usize) -> (UdpSocket, SocketAddr) {
        let (inside, outer) = (socket().await, socket().await);
        let (target, place) = (inside.local_addr().unwrap(), outer.local_addr().unwrap());
        tokio::spawn(forward(outer, target, most));
        (inside, place)
    }

    /// Sends a datagram to a published address. Returns the sender's address as seen by the target.
    async fn say(client: &UdpSocket, place: SocketAddr, inside: &UdpSocket, words: &str) -> SocketAddr {
        client.send_to(words.as_bytes(), place).await.unwrap();
        let mut heard = [0; 16];
        let (length, from) = inside.recv_from(&mut heard).await.unwrap();
        assert_eq!(&heard[..length], words.as_bytes());
        from
    }

    async fn hears(client: &UdpSocket) -> String {
        let mut heard = [0; 16];
        let length = client.recv(&mut heard).await.unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_client_has_a_session_by_which_answers_find_back() {
        let (inside, place) = published(MAX_SESSIONS).await;
        let (a, b) = (socket().await, socket().await);
        let from_a = say(&a, place, &inside, "a").await;
        let from_b = say(&b, place, &inside, "b").await;
        assert_ne!(from_a, from_b);
        assert_eq!(say(&a, place, &inside, "again").await, from_a);
        inside.send_to(b"to b", from_b).await.unwrap();
        inside.send_to(b"to a", from_a).await.unwrap();
        assert_eq!((hears(&a).await, hears(&b).await), ("to a".into(), "to b".into()));
        // An empty datagram is forwarded as well.
        assert_eq!(say(&a, place, &inside, "").await, from_a);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_session_ends_when_nothing_was_said_for_a_while() {
        let (inside, place) = published(MAX_SESSIONS).await;
        let client = socket().await;
        let first = say(&client, place, &inside, "1").await;
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        assert_eq!(say(&client, place, &inside, "2").await, first);
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        inside.send_to(b"an answer counts", first).await.unwrap();
        hears(&client).await;
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        assert_eq!(say(&client, place, &inside, "3").await, first);
        tokio::time::sleep(IDLE_TIMEOUT * 2).await;
        assert_ne!(say(&client, place, &inside, "4").await, first);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_oldest_session_makes_room() {
        let (inside, place) = published(2).await;
        let clients = [socket().await, socket().await, socket().await];
        let first = say(&clients[0], place, &inside, "0").await;
        let second = say(&clients[1], place, &inside, "1").await;
        assert_eq!(say(&clients[0], place, &inside, "0").await, first);
        say(&clients[2], place, &inside, "2").await;
        assert_eq!(say(&clients[0], place, &inside, "0").await, first, "it was not the oldest");
        assert_ne!(say(&clients[1], place, &inside, "1").await, second);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_inside_is_no_end() {
        let (inside, place) = published(MAX_SESSIONS).await;
        let target = inside.local_addr().unwrap();
        drop(inside);
        let client = socket().await;
        // Refused. The next call on the session's socket returns the error.
        for _ in 0..3 {
            client.send_to(b"lost", place).await.unwrap();
            tokio::task::yield_now().await;
        }
        let inside = UdpSocket::bind(target).await.unwrap();
        let mut heard = [0; 16];
        // The lost datagrams may still arrive.
        loop {
            client.send_to(b"found", place).await.unwrap();
            let received = tokio::time::timeout(Duration::from_millis(50), inside.recv_from(&mut heard)).await;
            if let Ok(Ok((5, from))) = received {
                inside.send_to(b"answer", from).await.unwrap();
                break;
            }
        }
        assert_eq!(hears(&client).await, "answer");
    }
}
