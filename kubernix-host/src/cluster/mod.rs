//! The operations of commands on clusters: boots, inspects, changes and ends them.
//!
//! This is the host's side, outside of any sandbox. It combines settings, toolchain, certificates
//! and components, and passes them to the sandbox. Must not know what happens inside: that is the
//! engine's part.

mod boot;
mod boot_watch;
mod change;
mod condition;
mod disk;
mod down;
mod error;
mod facts;
mod handle;
mod if_exists;
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
mod tools;
mod traces;
mod up;
mod wire;

pub use crate::settings::{Call, quoted};
pub use error::{
    BootError, ChangeError, ClusterError, HostError, ImageError, InUseError, NodeError, PortError, StopError,
};
pub use handle::Cluster;
pub use if_exists::IfExists;
pub use images::{LoadedImage, NodeImages};
pub use nodes::NodeEntry;
pub use ports::PublishedPort;
pub use rename::Renamed;
pub use restore::{Restored, restore};
pub use save::Saved;
pub use status::{ComponentStatus, ListEntry, State, Status, list};
pub use up::UpReport;

use crate::events::{Event, Sink};
use crate::graph;
use crate::plugins::Registry;
use crate::root_dir::{Allotment, INSIDE, Root};
use crate::settings::{Catalogue, Resolved, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The time limit of a request that a running cluster answers at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a lock that commands hold for a moment while they inspect a cluster.
const PROBE_LOCK_WAIT: Duration = Duration::from_millis(200);
/// The interval of requests for the outcome of a boot or a change whose connection broke.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Rejects a command that only root can run.
fn need_root(command: &'static str) -> Result<(), HostError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(HostError::NotRoot(command)) }
}

/// The available components, and the program that runs sandboxes.
pub struct Host {
    /// All components, compiled in or loaded.
    pub registry: Registry,
    /// The `kubernix` binary.
    pub executable: PathBuf,
    /// The command by which the user calls it, for advice in messages.
    pub program: String,
}

impl Host {
    /// Everything that settings can name: slots, components, parameters and binaries.
    pub fn catalogue(&self) -> Catalogue {
        graph::catalogue(&self.registry.components, self.registry.table.tool.keys().cloned().collect())
    }

    /// The cluster of these settings, for advice in messages.
    fn call(&self, settings: &Settings) -> Call {
        Call::new(&self.program, &settings.name, &settings.root)
    }

    /// The component that fills each role with these settings; `none` for a role that the settings
    /// leave empty.
    ///
    /// # Errors
    /// A component doesn't fit its slot.
    pub fn filled(&self, settings: &Settings) -> Result<BTreeMap<String, String>, HostError> {
        Ok(graph::filled(&self.registry.components, &self.slots(settings)?)?)
    }

    /// The slots that these settings fill, by role or as addons.
    fn slots(&self, settings: &Settings) -> Result<BTreeMap<String, String>, HostError> {
        Ok(graph::with_addons(&self.registry.components, &settings.slots, settings.addons.as_deref())?)
    }

    /// The nodes of the cluster with these settings: its existing nodes, then new ones.
    fn allot(&self, settings: &Settings) -> Result<Allotment, HostError> {
        prepare::allot(self, settings, Allotment::read(&Root::new(&settings.root, &settings.name))?)
    }

    /// Checks settings against the components, and emits notes and warnings about both. Notes come
    /// first: they may explain an error that follows. `removed`: nodes that are removed. An
    /// impossible plan is an error before anything is built or written.
    fn check(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        removed: &[String],
        sink: &dyn Sink,
    ) -> Result<(), HostError> {
        for message in &resolved.notes {
            sink.emit(Event::Note { message: message.clone() });
        }
        for problem in self.registry.problems() {
            sink.emit(Event::Warning { message: format!("{problem}; this plugin is not used") });
        }
        resolved.validate(&self.catalogue())?;
        let running = allotment.nodes.iter().filter(|node| !node.stopped).count();
        let low = limits::too_low(u32::try_from(running).unwrap_or(u32::MAX));
        for message in prepare::ineffective_node_settings(&resolved.settings, allotment, removed).into_iter().chain(low)
        {
            sink.emit(Event::Warning { message });
        }
        let environment = prepare::for_dry_run(self, &resolved.settings, allotment)?;
        graph::plan(&self.registry.components, &self.slots(&resolved.settings)?, &environment)?;
        Ok(())
    }

    /// The plan of a boot with these settings, as JSON. Needs no privileges and changes nothing.
    /// Paths are those of the sandbox; `mounts` maps them to paths of the host.
    ///
    /// # Errors
    /// The settings are invalid, or a component rejects its context.
    pub fn plan(&self, resolved: &Resolved) -> Result<serde_json::Value, HostError> {
        resolved.validate(&self.catalogue())?;
        let allotment = self.allot(&resolved.settings)?;
        let environment = prepare::for_dry_run(self, &resolved.settings, &allotment)?;
        let instances = graph::plan(&self.registry.components, &self.slots(&resolved.settings)?, &environment)?;
        let root = Root::new(&resolved.settings.root, &resolved.settings.name);
        Ok(serde_json::json!({
            "cluster": resolved.settings.name,
            "id": environment.id,
            "mounts": { INSIDE: root.path() },
            "instances": instances,
        }))
    }
}
