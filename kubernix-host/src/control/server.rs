//! The init's end of the control socket.

use super::{ChangeRequest, Envelope, PROTOCOL, Reply, Request, short_path};
use crate::events::{Watcher, json_line};
use crate::root::Root;
use serde::Deserialize;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// What a command wants of the engine.
pub enum Message {
    /// One answer.
    Ask(Request, oneshot::Sender<Reply>),
    /// Another state; the watcher is told of what happens until then.
    Change(Box<ChangeRequest>, Watcher),
    /// The end of a change, by its ID.
    Cancel(String),
    /// The end of everything, in order; the watcher is told of what happens until then.
    Stop(Watcher),
    /// The end of everything, at once.
    Kill,
}

/// Listens on the control socket.
pub struct ControlServer {
    listener: UnixListener,
    messages: mpsc::UnboundedSender<Message>,
}

impl ControlServer {
    /// Opens the socket of a root directory, in place of one that an earlier life left.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn open(root: &Root, messages: mpsc::UnboundedSender<Message>) -> io::Result<Self> {
        let (path, _directory) = short_path(root)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { listener: UnixListener::bind(&path)?, messages })
    }

    /// Serves for as long as the task lives.
    pub async fn serve(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(converse(stream, self.messages.clone()));
                }
                Err(error) => {
                    log::warn!("a control connection can't be accepted: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// A request, or what is answered to a line that is none.
fn parse(line: &str) -> Result<Request, Reply> {
    /// What is known of any request.
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        protocol: u32,
        request: String,
    }
    let unsupported = || Reply::Unsupported { kubernix: env!("CARGO_PKG_VERSION").into(), protocol: PROTOCOL };
    match serde_json::from_str::<Envelope>(line) {
        Ok(envelope) if envelope.protocol <= PROTOCOL => Ok(envelope.request),
        // What reads the state or ends the cluster means the same in every version.
        Ok(Envelope { request: request @ (Request::Report { .. } | Request::Stop | Request::Kill), .. }) => Ok(request),
        Ok(_) => Err(unsupported()),
        Err(error) => match serde_json::from_str::<Head>(line) {
            // A command that is older than the versions: these requests haven't changed.
            Ok(Head { protocol: 0, .. }) => serde_json::from_str(line).map_err(|_| unsupported()),
            Ok(Head { protocol, request }) => {
                log::info!("request `{request}` of protocol {protocol} isn't known: {error}");
                Err(unsupported())
            }
            Err(_) => Err(Reply::Failed { why: format!("not a request: {error}") }),
        },
    }
}

async fn converse(stream: UnixStream, messages: mpsc::UnboundedSender<Message>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(line) = next(&mut reader).await {
        let reply = match parse(&line) {
            Err(reply) => reply,
            Ok(Request::Stop) => {
                // From here on the connection is the watcher's.
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
                    // Its receiver goes with this, and so what waits isn't performed for nothing.
                    () = gone(&mut reader) => return,
                }
            }
        };
        let line = json_line(&reply).unwrap_or_else(|_| b"\n".to_vec());
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// The connection of a command that waits for a change. Its end is no order: the change goes on.
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

/// Waits until the command has closed its end.
async fn gone(reader: &mut BufReader<OwnedReadHalf>) {
    match reader.fill_buf().await {
        Ok([]) | Err(_) => {}
        // It has sent more, and so is there.
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
    fn a_newer_command_may_ask_for_what_every_version_knows() {
        for request in ["report", "stop", "kill"] {
            assert!(parse(&line(PROTOCOL + 1, request)).is_ok(), "{request}");
        }
        let newer = parse(&line(PROTOCOL + 1, "ports")).unwrap_err();
        assert!(matches!(newer, Reply::Unsupported { protocol: PROTOCOL, .. }));
    }

    #[test]
    fn a_request_that_is_unknown_is_told_from_garbage() {
        assert!(matches!(parse(&line(PROTOCOL, "fly")).unwrap_err(), Reply::Unsupported { .. }));
        assert!(matches!(parse("garbage").unwrap_err(), Reply::Failed { .. }));
        assert!(matches!(parse("{}").unwrap_err(), Reply::Failed { .. }));
    }

    #[test]
    fn a_command_without_a_version_is_understood_where_nothing_changed() {
        for request in ["stop", "kill", "summary", "report"] {
            assert!(parse(&format!(r#"{{"request":"{request}"}}"#)).is_ok(), "{request}");
        }
        let old = parse(r#"{"request":"change","component":null}"#).unwrap_err();
        assert!(matches!(old, Reply::Unsupported { .. }));
    }
}
