//! Clusters as a command sees them: booted, looked at, ended.
//!
//! This is the host's side, outside of any sandbox. It brings settings, toolchain, certificates and components together and
//! hands them to the sandbox; what happens inside is the engine's.

mod again;
mod change;
mod condition;
mod disk;
mod end;
mod error;
mod facts;
mod handle;
mod images;
mod interrupt;
mod kubeconfig;
mod limits;
mod nodes;
mod pids;
mod port;
mod ports;
mod prepare;
mod rename;
mod restore;
mod save;
mod status;
mod traces;
mod up;

pub use crate::settings::{Call, quoted};
pub use again::Existing;
pub use error::HostError;
pub use handle::Cluster;
pub use images::LoadedImage;
pub use nodes::NodeEntry;
pub use ports::Unpublishable;
pub use rename::Renamed;
pub use restore::{Restored, restore};
pub use save::Saved;
pub use status::{ComponentStatus, ListEntry, State, Status, list};
pub use up::UpReport;

use crate::events::{Event, Sink};
use crate::graph;
use crate::plugins::Registry;
use crate::root::{Allotment, INSIDE, Root};
use crate::settings::{Catalogue, Resolved, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long a running cluster may take to answer a request that waits for nothing.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a command that only looks at a cluster may hold its lock.
const A_LOOK: Duration = Duration::from_millis(200);
/// Between two questions for the outcome of a boot or a change whose line broke.
const PAUSE: Duration = Duration::from_millis(300);

/// Refuses a command that only root can run.
fn need_root(command: &'static str) -> Result<(), HostError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(HostError::NotRoot(command)) }
}

/// Components to choose from, and the program that carries sandboxes.
pub struct Host {
    /// All components, compiled in or loaded.
    pub registry: Registry,
    /// The `kubernix` binary.
    pub executable: PathBuf,
    /// What a user types to call it, for advice.
    pub program: String,
}

impl Host {
    /// What there is to be set.
    pub fn catalogue(&self) -> Catalogue {
        graph::catalogue(&self.registry.components, self.registry.table.tool.keys().cloned().collect())
    }

    /// The cluster of these settings, as a user names it.
    fn call(&self, settings: &Settings) -> Call {
        Call::new(&self.program, &settings.name, &settings.root)
    }

    /// The component that fills each role with these settings; `none` where it stays empty on purpose.
    ///
    /// # Errors
    /// A slot is filled by what doesn't fit.
    pub fn filled(&self, settings: &Settings) -> Result<BTreeMap<String, String>, HostError> {
        Ok(graph::filled(&self.registry.components, &self.slots(settings)?)?)
    }

    /// The slots that these settings fill, be it by role or as addons.
    fn slots(&self, settings: &Settings) -> Result<BTreeMap<String, String>, HostError> {
        Ok(graph::with_addons(&self.registry.components, &settings.slots, settings.addons.as_deref())?)
    }

    /// The nodes of these settings' cluster, those that it has first.
    fn allot(&self, settings: &Settings) -> Result<Allotment, HostError> {
        prepare::allot(self, settings, Allotment::read(&Root::new(&settings.root, &settings.name))?)
    }

    /// Holds settings against the components, and says what there is to be said of both: first what explains an error that
    /// may follow; `removed` are nodes that go. A plan that can't be made is an error before anything is built or written.
    fn check(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        removed: &[String],
        sink: &dyn Sink,
    ) -> Result<(), HostError> {
        for message in &resolved.said {
            sink.emit(Event::Note { message: message.clone() });
        }
        for problem in self.registry.problems() {
            sink.emit(Event::Warning { message: format!("{problem}; this plugin is not used") });
        }
        resolved.validate(&self.catalogue())?;
        let running = allotment.nodes.iter().filter(|node| !node.stopped).count();
        let low = limits::too_low(u32::try_from(running).unwrap_or(u32::MAX));
        for message in prepare::for_no_node(&resolved.settings, allotment, removed).into_iter().chain(low) {
            sink.emit(Event::Warning { message });
        }
        let dry = prepare::dry(self, &resolved.settings, allotment)?;
        graph::plan(&self.registry.components, &self.slots(&resolved.settings)?, &dry)?;
        Ok(())
    }

    /// What a boot with these settings would do, as data. Needs no privileges and changes nothing. Paths are those of the sandbox;
    /// `mounts` says what the host has there.
    ///
    /// # Errors
    /// The settings don't fit, or a component refuses its context.
    pub fn plan(&self, resolved: &Resolved) -> Result<serde_json::Value, HostError> {
        resolved.validate(&self.catalogue())?;
        let allotment = self.allot(&resolved.settings)?;
        let prepared = prepare::dry(self, &resolved.settings, &allotment)?;
        let instances = graph::plan(&self.registry.components, &self.slots(&resolved.settings)?, &prepared)?;
        let root = Root::new(&resolved.settings.root, &resolved.settings.name);
        Ok(serde_json::json!({
            "cluster": resolved.settings.name,
            "id": prepared.id,
            "mounts": { INSIDE: root.path() },
            "instances": instances,
        }))
    }
}
