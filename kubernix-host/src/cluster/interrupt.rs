//! Ctrl-C during a boot or a change. During a boot, the first stops it in order, the second kills
//! it. During a change, the first requests a rollback, the second ends the wait.

use crate::control::{Client, PendingChange};
use crate::root_dir::Root;
use crate::sandbox::{BootChannel, Keeper, Order};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The time limit of the request for the cluster's state.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// The receiver of interrupts.
enum Target {
    Boot { channel: BootChannel, keeper: Keeper, root: Root },
    Change(PendingChange),
}

impl Target {
    fn interrupt(&self, count: usize) {
        match (self, count) {
            (_, 0) => {}
            (Self::Boot { channel, .. }, 1) => channel.order(Order::Interrupt),
            // The cluster may be ready before the event is read from the channel. A ready cluster
            // isn't killed.
            (Self::Boot { root, .. }, _) if is_booted(root) => {}
            (Self::Boot { channel, keeper, .. }, _) => {
                channel.order(Order::Kill);
                keeper.order_kill();
            }
            (Self::Change(changing), 1) => changing.cancel(),
            (Self::Change(changing), _) => changing.leave(),
        }
    }
}

fn is_booted(root: &Root) -> bool {
    let report = Client::connect(root, STATUS_TIMEOUT).and_then(|mut client| client.report(false));
    report.is_ok_and(|report| report.booted)
}

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    target: Mutex<Option<Target>>,
}

impl Shared {
    fn forward(&self) {
        let count = self.count.load(Ordering::SeqCst);
        if let Some(target) = &*self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            target.interrupt(count);
        }
    }
}

/// Counts SIGINT, SIGTERM and SIGHUP of this process, and forwards them to a boot or a change.
/// Without a target, and after this value is dropped, they have no effect, so that they don't break
/// off the caller's clean-up. Spawned programs handle these signals as usual.
pub(super) struct Interrupts {
    shared: Arc<Shared>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    pub(super) fn install() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let shared = Arc::<Shared>::default();
        let counted = shared.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            for _ in signals.forever() {
                counted.count.fetch_add(1, Ordering::SeqCst);
                counted.forward();
            }
        })?;
        Ok(Self { shared, handle, thread: Some(thread) })
    }

    /// The number of interrupts so far.
    pub(super) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Whether there was an interrupt.
    pub(super) fn any(&self) -> bool {
        self.count() > 0
    }

    /// Forwards interrupts to this boot, including one that was received before.
    pub(super) fn set_boot(&self, channel: BootChannel, keeper: Keeper, root: &Root) {
        self.set_target(Target::Boot { channel, keeper, root: root.clone() });
    }

    /// Forwards interrupts to this change, including one that was received before.
    pub(super) fn set_change(&self, change: PendingChange) {
        self.set_target(Target::Change(change));
    }

    fn set_target(&self, target: Target) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
        self.shared.forward();
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
