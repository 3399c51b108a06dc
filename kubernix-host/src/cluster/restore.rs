//! `snapshot restore`: a cluster made of a snapshot, stopped. What comes of a snapshot that is no good is nothing at all.

use super::interrupt::Interrupts;
use super::{A_LOOK, Call, Host, HostError, need_root, up};
use crate::events::{Event, Sink};
use crate::root::{self, Made, Root, State, write_durable};
use crate::sandbox::lock;
use crate::settings::{self, NONE, Resolved};
use crate::snapshot::{self, Datastore, Manifest};
use kubernix_core::roles;
use std::path::{Path, PathBuf};

/// A cluster that was made of a snapshot, and has not been booted yet.
pub struct Restored {
    root: Root,
    made: Made,
    datastore: Datastore,
}

/// Makes a cluster of a snapshot whose manifest was read before. It is stopped.
///
/// # Errors
/// There is a cluster of that name, or the snapshot is no good: nothing is left then.
pub fn restore(call: &Call, file: &Path, manifest: &Manifest, sink: &dyn Sink) -> Result<Restored, HostError> {
    need_root("snapshot restore")?;
    let root = Root::new(call.base(), call.name());
    up::fits(&root)?;
    super::end::refuse_orphan(call)?;
    let occupied = || HostError::Exists(call.clone());
    match root.open_existing() {
        Err(root::Error::Missing { .. }) => {}
        Ok(state) if state.removing => {}
        Ok(_) => return Err(occupied()),
        Err(error) => return Err(error.into()),
    }
    let interrupts = Interrupts::take_over().map_err(HostError::io("signals can't be handled"))?;
    let made = root.make()?;
    let taken = lock::wait(&root, A_LOOK).map_err(HostError::from).and_then(|lock| lock.ok_or_else(occupied));
    let lock = taken.inspect_err(|_| made.undo())?;
    let datastore = manifest.head.datastore.clone();
    match fill(&root, file, manifest, &interrupts, sink) {
        Ok(()) => {
            drop(lock);
            Ok(Restored { root, made, datastore })
        }
        Err(HostError::Root(root::Error::Exists { .. })) => Err(occupied()),
        Err(error) => {
            // Marked as one whose removal has begun, so that what can't be removed now can be later.
            if root.open_existing().is_ok_and(|state| state.removing) {
                root.remove()?;
            }
            made.undo();
            Err(error)
        }
    }
}

fn fill(
    root: &Root,
    file: &Path,
    manifest: &Manifest,
    interrupts: &Interrupts,
    sink: &dyn Sink,
) -> Result<(), HostError> {
    let (head, name) = (&manifest.head, root.name());
    let authority = Some(head.authority.clone()).filter(|authority| *authority != name);
    root.begin(&State { cidr: Some(head.cidr), authority, ..State::new(name.clone()) })?;
    snapshot::unpack(file, manifest, root.path(), &|| !interrupts.any())?.ok_or(HostError::Interrupted)?;
    let settings = root.spec_file();
    let text = std::fs::read_to_string(&settings).map_err(HostError::io("the snapshot's settings can't be read"))?;
    let carried = settings::carry(&file.join(snapshot::SETTINGS), &text, &name, &head.datastore.component)?;
    for key in carried.left_out {
        let message = format!("`{key}` is left to cluster `{}`: give this one its own, if need be", head.cluster);
        sink.emit(Event::Note { message });
    }
    write_durable(&settings, carried.text.as_bytes(), 0o600)?;
    Ok(root.complete()?)
}

impl Restored {
    /// Its root directory.
    pub fn root(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    /// Whether it can be booted with these settings: its objects are in one datastore, and no other can read them.
    ///
    /// # Errors
    /// They don't fit, or fill the slot with another.
    pub fn accepts(&self, host: &Host, resolved: &Resolved) -> Result<(), HostError> {
        resolved.validate(&host.catalogue())?;
        let filled = host.filled(&resolved.settings)?;
        let found = filled.get(roles::DATASTORE).cloned().unwrap_or_else(|| NONE.into());
        if found == self.datastore.component {
            return Ok(());
        }
        Err(HostError::OtherDatastore { saved: self.datastore.component.clone(), found })
    }

    /// Takes it back: what was to be done with it came to nothing, and it was not to stay for itself.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn take_back(self) -> Result<(), HostError> {
        // Where somebody else has it by now it is theirs.
        up::clear_away(&self.root)?;
        self.made.undo();
        Ok(())
    }
}
