//! The init's end of the control socket.

use super::{Copied, NodeImages, OpenPort, Reply, Request, short_path};
use crate::api::Summary;
use crate::cri::Image;
use crate::engine::Report;
use crate::network::Published;
use crate::root::Root;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// What somebody wants of the engine.
pub enum Wish {
    /// An answer.
    Ask(Request, oneshot::Sender<Reply>),
    /// Another set of instances, and who wants to watch.
    Change(Change, Option<std::os::unix::net::UnixStream>),
    /// The end of everything, in order; who wants to watch.
    Stop(Option<std::os::unix::net::UnixStream>),
    /// The end of everything, at once.
    Kill,
    /// The command that boots was interrupted or went away.
    Abandon,
    /// The keeper went away.
    KeeperGone,
}

/// What a change does beside going from plan to plan.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The component whose instances are started anew in any case.
    pub forced: Option<String>,
    /// Nodes that go for good.
    pub removed: Vec<String>,
}

/// Knows the answers.
#[allow(async_fn_in_trait)] // One thread: nobody needs the futures to be `Send`.
pub trait Answer {
    /// The instances and their states.
    fn report(&self) -> Report;
    /// What the Kubernetes API says.
    async fn summary(&self) -> Result<Summary, String>;
    /// The images of every node.
    async fn images(&self) -> Result<Vec<(String, Vec<Image>)>, String>;
    /// Imports an image wherever it isn't; the nodes that got it.
    async fn import(&self, archive: &str, name: &str, id: &str) -> Result<Vec<String>, String>;
    /// Removes an image everywhere; the nodes that had it.
    async fn remove_image(&self, name: &str) -> Result<Vec<String>, String>;
    /// What is published.
    fn ports(&self) -> Vec<OpenPort>;
    /// Publishes these as well, or none of them.
    fn publish(&self, ports: &[Published]) -> Result<(), String>;
    /// Publishes these no longer.
    fn unpublish(&self, ports: &[Published]) -> Result<(), String>;
    /// Copies what the instances that fill a role have written.
    async fn copy_state(&self, role: &str) -> Result<Copied, String>;
}

/// Answers a request.
pub async fn answer(request: Request, answers: &impl Answer) -> Reply {
    let reply = match request {
        Request::Report => Ok(Reply::Report { report: answers.report() }),
        Request::Summary => answers.summary().await.map(|summary| Reply::Summary { summary }),
        Request::Images => answers.images().await.map(|nodes| Reply::Images {
            nodes: nodes.into_iter().map(|(node, images)| NodeImages { node, images }).collect(),
        }),
        Request::Import { archive, name, id } => {
            answers.import(&archive, &name, &id).await.map(|nodes| Reply::Imported { nodes })
        }
        Request::RemoveImage { name } => answers.remove_image(&name).await.map(|nodes| Reply::Removed { nodes }),
        Request::Ports => Ok(Reply::Ports { ports: answers.ports() }),
        Request::Publish { ports } => answers.publish(&ports).map(|()| Reply::Ports { ports: answers.ports() }),
        Request::Unpublish { ports } => answers.unpublish(&ports).map(|()| Reply::Ports { ports: answers.ports() }),
        Request::CopyState { role } => answers.copy_state(&role).await.map(|copied| Reply::Copied { copied }),
        Request::Change { .. } | Request::Stop | Request::Kill => Err("no answer comes to an order".to_owned()),
    };
    reply.unwrap_or_else(|why| Reply::Failed { why })
}

/// Listens on the control socket.
pub struct Hub {
    listener: UnixListener,
    wishes: mpsc::UnboundedSender<Wish>,
}

impl Hub {
    /// Opens the socket of a root directory, in place of one that an earlier life left.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn open(root: &Root, wishes: mpsc::UnboundedSender<Wish>) -> io::Result<Self> {
        let (path, _directory) = short_path(root)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { listener: UnixListener::bind(&path)?, wishes })
    }

    /// Serves for as long as the task lives.
    pub async fn serve(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(converse(stream, self.wishes.clone()));
                }
                Err(error) => {
                    log::warn!("a control connection can't be accepted: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn converse(stream: UnixStream, wishes: mpsc::UnboundedSender<Wish>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let reply = match serde_json::from_str(&line) {
            Err(error) => Reply::Failed { why: format!("not a request: {error}") },
            Ok(Request::Stop) => {
                // From here on the connection is the watcher's.
                let _ = wishes.send(Wish::Stop(stream.into_inner().into_std().ok()));
                return;
            }
            Ok(Request::Change { component, removed }) => {
                let change = Change { forced: component, removed };
                let _ = wishes.send(Wish::Change(change, stream.into_inner().into_std().ok()));
                return;
            }
            Ok(Request::Kill) => {
                let _ = wishes.send(Wish::Kill);
                return;
            }
            Ok(request) => {
                let (sender, receiver) = oneshot::channel();
                let _ = wishes.send(Wish::Ask(request, sender));
                receiver.await.unwrap_or(Reply::Failed { why: "the cluster is ending".into() })
            }
        };
        let mut text = serde_json::to_vec(&reply).unwrap_or_default();
        text.push(b'\n');
        if stream.get_mut().write_all(&text).await.is_err() {
            return;
        }
    }
}
