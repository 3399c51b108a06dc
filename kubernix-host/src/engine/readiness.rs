//! Which roles are ready, with a way to wait for one.

use crate::graph::RoleAt;
use std::cell::RefCell;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// Which roles are ready.
#[derive(Default)]
pub(super) struct Readiness {
    roles: RefCell<BTreeMap<RoleAt, watch::Sender<bool>>>,
}

impl Readiness {
    fn subscribe(&self, role: &RoleAt) -> watch::Receiver<bool> {
        let mut roles = self.roles.borrow_mut();
        roles.entry(role.clone()).or_insert_with(|| watch::channel(false).0).subscribe()
    }

    /// Records whether a role is ready.
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
        // Can't fail: the sender lives as long as `self`.
        let _ = receiver.wait_for(|ready| *ready).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::Role;

    #[tokio::test(flavor = "current_thread")]
    async fn wait_returns_for_early_and_late_subscribers() {
        let readiness = Readiness::default();
        let cri = RoleAt { role: Role::new("cri"), node: Some("node-0".into()) };
        let other = RoleAt { role: Role::new("cri"), node: Some("node-1".into()) };
        let set = async {
            tokio::task::yield_now().await;
            readiness.set(&other, true);
            readiness.set(&cri, true);
        };
        tokio::join!(readiness.wait(&cri), set);
        readiness.wait(&cri).await;
    }
}
