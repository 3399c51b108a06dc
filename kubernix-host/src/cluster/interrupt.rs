//! Ctrl-C while a cluster boots or changes: once stops in order and cleans up, twice ends at once.

use crate::control::{Client, PendingChange};
use crate::root::Root;
use crate::sandbox::{BootChannel, Keeper, Order};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a cluster may take to say whether it is up.
const ANSWER: Duration = Duration::from_secs(1);

/// What an interrupt is an order to.
enum Target {
    Boot { channel: BootChannel, keeper: Keeper, root: Root },
    Change(PendingChange),
}

impl Target {
    fn interrupt(&self, count: usize) {
        match (self, count) {
            (_, 0) => {}
            (Self::Boot { channel, .. }, 1) => channel.order(Order::Interrupt),
            // The line may hold back that the cluster is up: it isn't this command's to end any more then.
            (Self::Boot { root, .. }, _) if is_booted(root) => {}
            (Self::Boot { channel, keeper, .. }, _) => {
                channel.order(Order::Kill);
                keeper.end_at_once();
            }
            (Self::Change(changing), 1) => changing.cancel(),
            (Self::Change(changing), _) => changing.leave(),
        }
    }
}

fn is_booted(root: &Root) -> bool {
    let asked = Client::connect(root, ANSWER).and_then(|mut client| client.report(false));
    asked.is_ok_and(|report| report.booted)
}

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    target: Mutex<Option<Target>>,
}

impl Shared {
    fn pass_on(&self) {
        let count = self.count.load(Ordering::SeqCst);
        if let Some(target) = &*self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            target.interrupt(count);
        }
    }
}

/// Takes over SIGINT, SIGTERM and SIGHUP of this process. They stay without effect afterwards, so that what a caller has to
/// clean up isn't cut short; programs that it starts have them as usual.
pub(super) struct Interrupts {
    shared: Arc<Shared>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    pub(super) fn take_over() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let shared = Arc::<Shared>::default();
        let counted = shared.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            for _ in signals.forever() {
                counted.count.fetch_add(1, Ordering::SeqCst);
                counted.pass_on();
            }
        })?;
        Ok(Self { shared, handle, thread: Some(thread) })
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        self.count() > 0
    }

    /// From now on they are orders to this boot; one that came before is passed on.
    pub(super) fn pass_to_boot(&self, channel: BootChannel, keeper: Keeper, root: &Root) {
        self.pass_to(Target::Boot { channel, keeper, root: root.clone() });
    }

    /// From now on they are about this change; one that came before is passed on.
    pub(super) fn pass_to_change(&self, changing: PendingChange) {
        self.pass_to(Target::Change(changing));
    }

    fn pass_to(&self, target: Target) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
        self.shared.pass_on();
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
