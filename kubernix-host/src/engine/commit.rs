//! The commit: the state that a change leads to is written durably, and is in force from then on.

use super::reducer::RequestId;
use super::{Cluster, Committed};
use crate::boot::{Boot, BootFile, write_views};
use crate::chain::chain;
use crate::control::{Reply, Request};
use crate::events::Event;
use crate::network::Published;
use crate::network::publish::distinct;
use crate::root::{ClusterFile, Root};
use std::io;
use std::rc::Rc;

impl Cluster {
    /// Commits what a change leads to, with the ports that it publishes.
    ///
    /// # Errors
    /// A port can't be opened, or the state not be written: then the one before is in force.
    pub(super) async fn commit(&self, request: RequestId) -> Result<(), String> {
        let change = self.requests.change(request).ok_or("the request is gone")?;
        let file =
            self.committed.borrow().file.next(change.settings.clone(), change.allotment.clone(), change.boot.clone());
        let boot = BootFile::parse(&file).map_err(|error| error.to_string())?;
        self.put_in_force(file, boot).await?;
        // What the new state lacks goes only now that there is no way back.
        self.prune().await;
        Ok(())
    }

    /// Commits a state. Its ports are open before it counts, and those that it lacks are closed
    /// after.
    pub(super) async fn put_in_force(&self, file: ClusterFile, boot: Boot) -> Result<(), String> {
        self.open_missing(&boot)?;
        let (root, written) = (self.root.clone(), file.clone());
        self.writing.set(true);
        let result = tokio::task::spawn_blocking(move || written.commit(&root)).await;
        self.writing.set(false);
        let result = result.map_err(|error| error.to_string()).and_then(|result| result.map_err(|error| chain(&error)));
        if let Err(why) = result {
            // Closes what was just opened.
            let before = self.committed.borrow().boot.clone();
            self.serve_only(&before);
            // It may be that only the last step failed, and the new file lies there.
            self.repair_file();
            return Err(format!("the change can't be saved: {why}"));
        }
        let boot = Rc::new(boot);
        *self.committed.borrow_mut() = Committed { file: file.clone(), boot: boot.clone() };
        self.use_boot(None);
        self.serve_only(&boot);
        let (root, lock) = (self.root.clone(), self.lock.clone());
        let views = tokio::task::spawn_blocking(move || {
            let outside = Root::on_host(&lock).unwrap_or_else(|_| root.clone());
            write_views(&root, &outside, &file).and(root.remove_other_nodes(&file.allotment))
        });
        let views = views.await;
        if let Ok(Err(error)) = views {
            // They are written again at the next boot, and nothing of ours reads them before.
            self.emit(Event::Warning { message: error.to_string() });
        }
        Ok(())
    }

    /// Writes the state in force again where its file isn't what was committed: what runs is whole.
    pub(super) fn repair_file(&self) {
        if self.writing.get() {
            // The cluster ends while a commit is under way: it is made or it isn't.
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
            Ok(()) => format!("{} is written again: {why}", path.display()),
            Err(error) => format!("{error}; {why}"),
        };
        self.emit(Event::Warning { message });
    }

    /// Performs a request that must not happen beside a change. The answer comes with whether a
    /// state was committed.
    pub(super) async fn perform_asked(&self, request: RequestId) -> Result<(Reply, bool), String> {
        match self.requests.asked(request) {
            Some(Request::Publish { ports }) => {
                let before = self.committed.borrow().boot.publish.clone();
                let ports = distinct([before, ports].concat()).map_err(|error| error.to_string())?;
                self.publish_exactly(ports).await
            }
            Some(Request::Unpublish { ports }) => {
                let mut left = self.committed.borrow().boot.publish.clone();
                left.retain(|one| !ports.contains(one));
                self.publish_exactly(left).await
            }
            Some(Request::CopyState { role }) => {
                self.copy_state(&role).await.map(|copied| (Reply::Copied { copied }, false))
            }
            Some(Request::Rename { name }) => {
                self.edit(|root, state| BootFile::renamed(root, state, &name)).await?;
                Ok((Reply::Renamed { name }, true))
            }
            _ => Err("the command that asked for it went away".into()),
        }
    }

    async fn publish_exactly(&self, ports: Vec<Published>) -> Result<(Reply, bool), String> {
        let publish = |root: &Root, state: &ClusterFile| {
            BootFile::edited(root, state, |settings, boot| {
                settings.publish.clone_from(&ports);
                boot.publish = ports;
            })
        };
        self.edit(publish).await?;
        Ok((Reply::Ports { ports: self.published() }, true))
    }

    /// Commits what an edit makes of the state in force.
    async fn edit(
        &self,
        edit: impl FnOnce(&Root, &ClusterFile) -> io::Result<(ClusterFile, Boot)>,
    ) -> Result<(), String> {
        let edited = edit(&self.root, &self.committed.borrow().file);
        let (file, boot) = edited.map_err(|error| chain(&error))?;
        self.put_in_force(file, boot).await
    }
}
