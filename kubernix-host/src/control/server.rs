//! The server of the control socket, in the init.

use super::{ChangeRequest, Envelope, PROTOCOL, Reply, Request, short_path};
use crate::events::{Watcher, json_line};
use crate::root_dir::Root;
use serde::Deserialize;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// A request for the engine.
pub enum Message {
    /// A request with one reply.
    Ask(Request, oneshot::Sender<Reply>),
    /// A change. Its events are sent to the watcher.
    Change(Box<ChangeRequest>, Watcher),
    /// Cancels a change, by its ID.
    Cancel(String),
    /// Stops all instances in order. The events are sent to the watcher.
    Stop(Watcher),
    /// Kills all processes at once.
    Kill,
}

/// The time after a failed accept, for instance with too many open files.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Listens on the control socket.
pub struct ControlServer {
    listener: UnixListener,
    messages: mpsc::UnboundedSender<Message>,
}

impl ControlServer {
    /// Opens the socket of a root directory. Replaces a socket file of an earlier run.
    ///
    /// # Errors
    /// The socket can't be created.
    pub fn open(root: &Root, messages: mpsc::UnboundedSender<Message>) -> io::Result<Self> {
        let (path, _directory) = short_path(root)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { listener: UnixListener::bind(&path)?, messages })
    }

    /// Accepts connections until the task is dropped.
    pub async fn serve(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(serve_connection(stream, self.messages.clone()));
                }
                Err(error) => {
                    log::warn!("can't accept a control connection: {error}");
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                }
            }
        }
    }
}

/// Parses a request; on an error returns the reply.
fn parse(line: &str) -> Result<Request, Reply> {
    /// The fields that requests of every version have.
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        protocol: u32,
        request: String,
    }
    let unsupported = || Reply::Unsupported { kubernix: env!("CARGO_PKG_VERSION").into(), protocol: PROTOCOL };
    match serde_json::from_str::<Envelope>(line) {
        Ok(envelope) if envelope.protocol <= PROTOCOL => Ok(envelope.request),
        // These requests have the same meaning in every version.
        Ok(Envelope { request: request @ (Request::Report { .. } | Request::Stop | Request::Kill), .. }) => Ok(request),
        Ok(_) => Err(unsupported()),
        Err(error) => match serde_json::from_str::<Head>(line) {
            // A command that sends no protocol version yet. Requests that still parse haven't
            // changed.
            Ok(Head { protocol: 0, .. }) => serde_json::from_str(line).map_err(|_| unsupported()),
            Ok(Head { protocol, request }) => {
                log::info!("request `{request}` of protocol {protocol} is not supported: {error}");
                Err(unsupported())
            }
            Err(_) => Err(Reply::Failed { why: format!("not a request: {error}") }),
        },
    }
}

async fn serve_connection(stream: UnixStream, messages: mpsc::UnboundedSender<Message>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(line) = next(&mut reader).await {
        let reply = match parse(&line) {
            Err(reply) => reply,
            Ok(Request::Stop) => {
                // From now on the watcher owns the connection.
                let _ = messages.send(Message::Stop(Watcher::new(writer)));
                return;
            }
            Ok(Request::Change(change)) => return follow(*change, reader, writer, &messages).await,
            Ok(Request::Kill) => {
                let _ = messages.send(Message::Kill);
                return;
            }
            Ok(request) => {
                let (sender, receiver) = oneshot::channel();
                let _ = messages.send(Message::Ask(request, sender));
                tokio::select! {
                    reply = receiver => reply.unwrap_or(Reply::Failed { why: "the cluster is ending".into() }),
                    // This drops the receiver, so that the engine can skip a queued request.
                    () = closed(&mut reader) => return,
                }
            }
        };
        let line = json_line(&reply).unwrap_or_else(|_| b"\n".to_vec());
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Serves a command that waits for a change. If the connection ends, the change continues.
async fn follow(
    change: ChangeRequest,
    mut reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    messages: &mpsc::UnboundedSender<Message>,
) {
    let id = change.id.clone();
    let _ = messages.send(Message::Change(Box::new(change), Watcher::new(writer)));
    while let Some(line) = next(&mut reader).await {
        if let Ok(Request::Cancel) = parse(&line) {
            let _ = messages.send(Message::Cancel(id.clone()));
        }
    }
}

/// Waits until the command has closed the connection.
async fn closed(reader: &mut BufReader<OwnedReadHalf>) {
    match reader.fill_buf().await {
        Ok([]) | Err(_) => {}
        // The command has sent another request.
        Ok(_) => std::future::pending().await,
    }
}

async fn next(reader: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(protocol: u32, request: &str) -> String {
        format!(r#"{{"protocol":{protocol},"kubernix":"9.9.9","request":"{request}"}}"#)
    }

    #[test]
    fn requests_of_every_version_are_accepted_from_newer_commands() {
        for request in ["report", "stop", "kill"] {
            assert!(parse(&line(PROTOCOL + 1, request)).is_ok(), "{request}");
        }
        let newer = parse(&line(PROTOCOL + 1, "ports")).unwrap_err();
        assert!(matches!(newer, Reply::Unsupported { protocol: PROTOCOL, .. }));
    }

    #[test]
    fn unknown_requests_are_unsupported_and_garbage_fails() {
        assert!(matches!(parse(&line(PROTOCOL, "fly")).unwrap_err(), Reply::Unsupported { .. }));
        assert!(matches!(parse("garbage").unwrap_err(), Reply::Failed { .. }));
        assert!(matches!(parse("{}").unwrap_err(), Reply::Failed { .. }));
    }

    #[test]
    fn unchanged_requests_are_accepted_without_a_protocol_version() {
        for request in ["stop", "kill", "summary", "report"] {
            assert!(parse(&format!(r#"{{"request":"{request}"}}"#)).is_ok(), "{request}");
        }
        let old = parse(r#"{"request":"change","component":null}"#).unwrap_err();
        assert!(matches!(old, Reply::Unsupported { .. }));
    }
}
