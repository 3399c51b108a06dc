//! Datagrams from the host into the sandbox, and the answers back.
//!
//! Datagrams have no connections, so a *session* stands for one: what comes from one client goes
//! out of a socket of its own, by which answers find back. Sessions end when nothing was said for a
//! while, and the oldest makes room for a new one.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How long a session lasts in which nobody says anything.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How many sessions a port has at most.
const MAX_SESSIONS: usize = 1024;
/// The longest datagram, in bytes.
const MAX_DATAGRAM: usize = 64 * 1024;

/// When something was said last, by either side.
type LastActivity = Arc<Mutex<Instant>>;

/// One client.
struct Session {
    /// Connected to the target.
    socket: Arc<UdpSocket>,
    last_activity: LastActivity,
    answers: AbortHandle,
}

/// Forwards every datagram on `outer` to `target`, and answers back, for as long as the task lives.
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
            // First, so that no datagram goes to a session that has ended.
            biased;
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                // One that was ended to make room is forgotten already.
                if let Ok(client) = ended {
                    sessions.remove(&client);
                }
                continue;
            }
            received = outer.recv_from(&mut datagram) => received,
        };
        // What fails here is a client's that is gone and wouldn't hear an answer.
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
            // Nothing listens there yet: a later datagram may arrive.
            log::debug!("{target} doesn't take a datagram: {error}");
        }
    }
}

/// A client's socket, and the task that carries answers back to it. The task ends with the client
/// that it was for.
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

async fn answer(outer: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr, last_activity: LastActivity) -> SocketAddr {
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
                // The client may have said something meanwhile.
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

    /// A server inside, and the port of the host that is forwarded to it.
    async fn published(most: usize) -> (UdpSocket, SocketAddr) {
        let (inside, outer) = (socket().await, socket().await);
        let (target, place) = (inside.local_addr().unwrap(), outer.local_addr().unwrap());
        tokio::spawn(forward(outer, target, most));
        (inside, place)
    }

    /// Sends a datagram to an address and returns the source address that the server inside saw.
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
        // An empty one is one as well.
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
        // Refused, which the next call on the session's socket is told.
        for _ in 0..3 {
            client.send_to(b"lost", place).await.unwrap();
            tokio::task::yield_now().await;
        }
        let inside = UdpSocket::bind(target).await.unwrap();
        let mut heard = [0; 16];
        // Those that are on their way may come, or not.
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
