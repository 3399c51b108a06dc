//! `snapshot restore`: creates a stopped cluster from a snapshot. An invalid snapshot leaves
//! nothing behind.

use super::interrupt::Interrupts;
use super::{Call, ClusterError, Host, HostError, PROBE_LOCK_WAIT, need_root, up};
use crate::events::{Event, Sink};
use crate::root_dir::{self, CreatedDirs, Root, State, write_durable};
use crate::sandbox::lock;
use crate::settings::{self, NONE, Resolved};
use crate::snapshot::{self, Datastore, Manifest};
use kubernix_core::roles;
use std::path::{Path, PathBuf};

/// A cluster that was created from a snapshot, and has not been booted yet.
pub struct Restored {
    root: Root,
    made: CreatedDirs,
    datastore: Datastore,
}

/// Creates a stopped cluster from a snapshot whose manifest was read before.
///
/// # Errors
/// A cluster of that name exists, or the snapshot is invalid. Nothing is left behind then.
pub fn restore(call: &Call, file: &Path, manifest: &Manifest, sink: &dyn Sink) -> Result<Restored, HostError> {
    need_root("snapshot restore")?;
    let root = Root::new(call.base(), call.name());
    up::check_location(&root)?;
    super::down::refuse_orphan(call)?;
    let exists = || HostError::from(ClusterError::AlreadyExists(call.clone()));
    match root.open_existing() {
        Err(root_dir::Error::Missing { .. }) => {}
        Ok(state) if state.removing => {}
        Ok(_) => return Err(exists()),
        Err(error) => return Err(error.into()),
    }
    let interrupts = Interrupts::install().map_err(HostError::io("signals can't be handled"))?;
    let made = root.create_directory()?;
    let lock = lock::wait(&root, PROBE_LOCK_WAIT).map_err(HostError::from).and_then(|lock| lock.ok_or_else(exists));
    let lock = lock.inspect_err(|_| made.undo())?;
    let datastore = manifest.head.datastore.clone();
    match fill(&root, file, manifest, &interrupts, sink) {
        Ok(()) => {
            drop(lock);
            Ok(Restored { root, made, datastore })
        }
        Err(HostError::Root(root_dir::Error::Exists { .. })) => Err(exists()),
        Err(error) => {
            // The directory has the mark of a begun removal, so that a later `down` can complete
            // it.
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
    root.begin_fill(&State { cidr: Some(head.cidr), authority, ..State::new(name.clone()) })?;
    snapshot::unpack(file, manifest, root.path(), &|| !interrupts.any())?.ok_or(HostError::Interrupted)?;
    let settings = root.settings_file();
    let text = std::fs::read_to_string(&settings).map_err(HostError::io("the snapshot's settings can't be read"))?;
    let transferred = settings::transfer(&file.join(snapshot::SETTINGS), &text, &name, &head.datastore.component)?;
    for key in transferred.omitted {
        let message =
            format!("`{key}` isn't restored, cluster `{}` may use it: set another one if needed", head.cluster);
        sink.emit(Event::Note { message });
    }
    write_durable(&settings, transferred.text.as_bytes(), 0o600)?;
    Ok(root.complete_fill()?)
}

impl Restored {
    /// The cluster's root directory.
    pub fn root(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    /// Checks that the settings select the datastore that the snapshot was taken of: no other can
    /// read its objects.
    ///
    /// # Errors
    /// The settings are invalid, or they select another datastore.
    pub fn check_datastore(&self, host: &Host, resolved: &Resolved) -> Result<(), HostError> {
        resolved.validate(&host.catalogue())?;
        let filled = host.filled(&resolved.settings)?;
        let selected = filled.get(roles::DATASTORE).cloned().unwrap_or_else(|| NONE.into());
        if selected == self.datastore.component {
            return Ok(());
        }
        Err(ClusterError::OtherDatastore { saved: self.datastore.component.clone(), selected }.into())
    }

    /// Removes the restored cluster again, after a failed boot. Keeps it if another command uses
    /// it.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn discard(self) -> Result<(), HostError> {
        up::remove_unused(&self.root)?;
        self.made.undo();
        Ok(())
    }
}
