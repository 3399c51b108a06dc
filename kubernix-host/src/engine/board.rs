//! Which roles are ready, for those that wait for them.

use crate::graph::RoleAt;
use std::cell::RefCell;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// Which roles are ready.
#[derive(Default)]
pub(super) struct Board {
    roles: RefCell<BTreeMap<RoleAt, watch::Sender<bool>>>,
}

impl Board {
    fn subscribe(&self, role: &RoleAt) -> watch::Receiver<bool> {
        let mut roles = self.roles.borrow_mut();
        roles.entry(role.clone()).or_insert_with(|| watch::channel(false).0).subscribe()
    }

    /// Says that a role is ready, or not any more.
    pub(super) fn set(&self, role: &RoleAt, ready: bool) {
        let mut roles = self.roles.borrow_mut();
        roles.entry(role.clone()).or_insert_with(|| watch::channel(false).0).send_replace(ready);
    }

    /// Whether a role is ready now.
    pub(super) fn is_ready(&self, role: &RoleAt) -> bool {
        self.roles.borrow().get(role).is_some_and(|sender| *sender.borrow())
    }

    /// Waits until a role is ready.
    pub(super) async fn wait(&self, role: &RoleAt) {
        let mut receiver = self.subscribe(role);
        // The sender lives as long as the board, so this can't fail while a task waits.
        let _ = receiver.wait_for(|ready| *ready).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::Role;

    #[tokio::test(flavor = "current_thread")]
    async fn who_asks_early_is_woken_and_who_asks_late_does_not_wait() {
        let board = Board::default();
        let cri = RoleAt { role: Role::new("cri"), node: Some("node-0".into()) };
        let other = RoleAt { role: Role::new("cri"), node: Some("node-1".into()) };
        let set = async {
            tokio::task::yield_now().await;
            board.set(&other, true);
            board.set(&cri, true);
        };
        tokio::join!(board.wait(&cri), set);
        board.wait(&cri).await;
    }
}
