//! Ctrl-C while a cluster boots: once stops in order and cleans up, twice ends at once.

use crate::sandbox::{BootChannel, Keeper, Order};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    boot: Mutex<Option<(BootChannel, Keeper)>>,
}

impl Shared {
    fn pass_on(&self) {
        let order = match self.count.load(Ordering::SeqCst) {
            0 => return,
            1 => Order::Interrupt,
            _ => Order::Kill,
        };
        if let Some((channel, keeper)) = &*self.boot.lock().unwrap_or_else(PoisonError::into_inner) {
            channel.order(order);
            if order == Order::Kill {
                keeper.end_at_once();
            }
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
        let thread = std::thread::spawn(move || {
            for _ in signals.forever() {
                counted.count.fetch_add(1, Ordering::SeqCst);
                counted.pass_on();
            }
        });
        Ok(Self { shared, handle, thread: Some(thread) })
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        self.shared.count.load(Ordering::SeqCst) > 0
    }

    /// From now on they are orders to this boot; one that came before is passed on.
    pub(super) fn pass_to(&self, channel: BootChannel, keeper: Keeper) {
        *self.shared.boot.lock().unwrap_or_else(PoisonError::into_inner) = Some((channel, keeper));
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
