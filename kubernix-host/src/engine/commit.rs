//! Commits states: writes the next state durably, and makes it the current one.

use super::copy::CopyError;
use super::ports::PortError;
use super::reducer::RequestId;
use super::{Cluster, Committed};
use crate::boot::{Boot, BootFile, write_views};
use crate::control::{Reply, Request};
use crate::events::Event;
use crate::network::Published;
use crate::network::publish::{PublishError, distinct};
use crate::root_dir::{self, ClusterFile, Root};
use std::io;
use std::rc::Rc;
use tokio::task::JoinError;

/// Why a state can't be committed. The committed state stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// The command has disconnected.
    #[error("the command has exited")]
    CommandExited,
    /// The state can't be parsed.
    #[error("the requested state can't be parsed")]
    Parse(#[source] io::Error),
    /// A port can't be parsed.
    #[error(transparent)]
    PortSyntax(#[from] PublishError),
    /// Two ports are published at the same address.
    #[error("{0}")]
    Conflict(String),
    /// A port can't be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The state can't be written.
    #[error("the change can't be saved")]
    Save(#[source] root_dir::Error),
    /// The thread that writes the state panicked.
    #[error("the change can't be saved")]
    Thread(#[source] JoinError),
    /// The data of a component can't be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

fn parse(ports: &[String]) -> Result<Vec<Published>, PublishError> {
    ports.iter().map(|port| port.parse()).collect()
}

impl Cluster {
    /// Commits the state of a change, opens its ports and deletes the objects that it doesn't need.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub(super) async fn commit(&self, request: RequestId) -> Result<(), CommitError> {
        let change = self.requests.change(request).ok_or(CommitError::CommandExited)?;
        let file =
            self.committed.borrow().file.next(change.settings.clone(), change.allotment.clone(), change.boot.clone());
        let boot = BootFile::parse(&file).map_err(CommitError::Parse)?;
        self.commit_state(file, boot).await?;
        // Deleted objects can't be restored, so this has to follow the commit.
        self.prune().await;
        Ok(())
    }

    /// Commits a state. Opens its ports before, and closes other ports afterwards.
    async fn commit_state(&self, file: ClusterFile, boot: Boot) -> Result<(), CommitError> {
        self.open_missing(&boot)?;
        if let Err(error) = self.write_state(file.clone()).await {
            // Closes the ports that were just opened.
            let before = self.committed.borrow().boot.clone();
            self.serve_published(&before);
            // The new file may have been written, if only the last step failed.
            self.repair_file();
            return Err(error);
        }
        let boot = Rc::new(boot);
        *self.committed.borrow_mut() = Committed { file: file.clone(), boot: boot.clone() };
        self.set_pending(None);
        self.serve_published(&boot);
        let (root, lock) = (self.root.clone(), self.lock.clone());
        let views = tokio::task::spawn_blocking(move || {
            let outside = Root::on_host(&lock).unwrap_or_else(|_| root.clone());
            write_views(&root, &outside, &file).and(root.remove_other_nodes(&file.allotment))
        });
        if let Ok(Err(error)) = views.await {
            // Not an error: the next boot writes them again, and KuberNix doesn't read them before.
            self.emit(Event::Warning { message: error.to_string() });
        }
        Ok(())
    }

    async fn write_state(&self, file: ClusterFile) -> Result<(), CommitError> {
        let root = self.root.clone();
        self.writing.set(true);
        let result = tokio::task::spawn_blocking(move || file.commit(&root)).await;
        self.writing.set(false);
        result.map_err(CommitError::Thread)?.map_err(CommitError::Save)
    }

    /// Writes the committed state again if its file differs. The running cluster is the reference.
    pub(super) fn repair_file(&self) {
        if self.writing.get() {
            // The cluster ends during a commit, which is atomic: the file has the old or the new
            // state.
            return;
        }
        let committed = self.committed.borrow();
        let why = match ClusterFile::read(&self.root) {
            Ok(Some(file)) if file == committed.file => return,
            Ok(Some(_)) => "it was changed".to_owned(),
            Ok(None) => "it was missing".to_owned(),
            Err(error) => error.to_string(),
        };
        let path = ClusterFile::path(&self.root);
        let message = match committed.file.commit(&self.root) {
            Ok(()) => format!("{} was written again: {why}", path.display()),
            Err(error) => format!("{error}; {why}"),
        };
        self.emit(Event::Warning { message });
    }

    /// Performs an exclusive request. Returns the reply, and whether a state was committed.
    pub(super) async fn perform_request(&self, request: RequestId) -> Result<(Reply, bool), CommitError> {
        match self.requests.exclusive(request) {
            Some(Request::Publish { ports }) => {
                let ports = parse(&ports)?;
                let before = self.committed.borrow().boot.publish.clone();
                let all = distinct([before, ports].concat());
                self.set_published(all.map_err(|error| CommitError::Conflict(error.to_string()))?).await
            }
            Some(Request::Unpublish { ports }) => {
                let ports = parse(&ports)?;
                let mut remaining = self.committed.borrow().boot.publish.clone();
                remaining.retain(|one| !ports.contains(one));
                self.set_published(remaining).await
            }
            Some(Request::CopyState { role }) => Ok((Reply::Copied { copied: self.copy_state(&role).await? }, false)),
            Some(Request::Rename { name }) => {
                self.edit(|root, state| BootFile::renamed(root, state, &name)).await?;
                Ok((Reply::Renamed { name }, true))
            }
            _ => Err(CommitError::CommandExited),
        }
    }

    async fn set_published(&self, ports: Vec<Published>) -> Result<(Reply, bool), CommitError> {
        let publish = |root: &Root, state: &ClusterFile| {
            BootFile::edited(root, state, |settings, boot| {
                settings.publish.clone_from(&ports);
                boot.publish = ports;
            })
        };
        self.edit(publish).await?;
        Ok((Reply::Ports { ports: self.published() }, true))
    }

    /// Commits an edited copy of the committed state.
    async fn edit(
        &self,
        edit: impl FnOnce(&Root, &ClusterFile) -> io::Result<(ClusterFile, Boot)>,
    ) -> Result<(), CommitError> {
        let edited = edit(&self.root, &self.committed.borrow().file);
        let (file, boot) = edited.map_err(CommitError::Parse)?;
        self.commit_state(file, boot).await
    }
}
