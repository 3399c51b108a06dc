//! Boots a cluster whose root directory is locked: creates its state, starts its sandbox, and waits
//! until it is ready.

use super::boot_watch::watch;
use super::interrupt::Interrupts;
use super::{BootError, Host, HostError, port, prepare, traces};
use crate::boot::{Boot, write_views};
use crate::events::{Event, FileSink, Sink, Tee};
use crate::graph::{self, Environment};
use crate::network::publish::Socket;
use crate::network::{AddressPlan, Egress, Published};
use crate::pki::Renewal;
use crate::plugins::{Registered, snapshot};
use crate::root_dir::{self, Allotment, ClusterFile, Root};
use crate::sandbox::lock;
use crate::sandbox::{self, BootChannel, Ending, KeeperStart, SandboxIds};
use crate::settings::{Resolved, Settings};
use crate::toolchain;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The name of the certificates step in the timeline.
const CERTIFICATES: &str = "certificates";
/// The name of the sandbox step in the timeline. The init reports its end.
const SANDBOX: &str = "sandbox";

/// The host's part of a boot's state, which changes of the running cluster keep.
pub(super) struct Inherited {
    /// The API server's port.
    pub api_port: u16,
    /// The published ports.
    pub publish: Vec<Published>,
    /// Default routes and DNS of the host.
    pub outside: Egress,
}

/// The resources that `up` acquires before a boot.
pub(super) struct Acquired {
    pub lock: lock::Lock,
    /// The reserved ports of the host that the cluster will publish.
    pub reserved: Vec<Socket>,
    pub tools: toolchain::Resolution,
    /// The kinds of keys to create again.
    pub renew: BTreeSet<Renewal>,
}

impl Host {
    /// Boots a cluster, and waits until it is ready. Returns the path of the admin's kubeconfig and
    /// the API server's URL.
    ///
    /// # Errors
    /// See [`HostError`]. The sandbox has ended then.
    pub(super) fn boot(
        &self,
        resolved: &Resolved,
        root: &Root,
        acquired: Acquired,
        interrupts: &Interrupts,
        sink: Arc<dyn Sink>,
    ) -> Result<(PathBuf, String), HostError> {
        let (settings, Acquired { lock, reserved, tools, renew }) = (&resolved.settings, acquired);
        let state = root.create()?;
        if state.id.is_none() {
            // Created by an older version, whose cgroups have other names; or a copy of another
            // cluster's directory.
            traces::look(root, &[]).remove(root);
            root.ensure_id()?;
        }
        // Left by the last boot.
        Ending::forget(root);
        SandboxIds::forget(root);
        for directory in [root.run(), root.images()] {
            std::fs::create_dir_all(&directory).map_err(HostError::io(format!("`{}`", directory.display())))?;
        }
        let file =
            FileSink::append(&root.events()).map_err(|cause| root_dir::Error::io("write", &root.events(), cause))?;
        let both = Tee::new(vec![Arc::new(file), sink.clone()]);
        let step = |instance: &str| Event::Planned {
            instance: instance.into(),
            component: String::new(),
            phase: "Host".into(),
            waits_for: Vec::new(),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        both.emit(Event::BootStarted { cluster: settings.name.clone(), version });
        if let Some(message) = root.repair_ledger()? {
            both.emit(Event::Warning { message });
        }
        both.emit(step(CERTIFICATES));
        both.emit(Event::Started { instance: CERTIFICATES.into() });
        let mut allotment = self.allot(settings)?;
        let mut listeners = vec![port::listen(settings.port, allotment.api_port, &port::API)?];
        let mut registry_port = 0;
        if prepare::has_registry(self, settings)? {
            let listener = port::listen(settings.registry_port, allotment.registry_port, &port::REGISTRY)?;
            registry_port = listener.local_addr().map_err(HostError::io("the local registry's port"))?.port();
            allotment.registry_port = Some(registry_port);
            listeners.push(listener);
        }
        let outside = Egress::detect(settings.uplink, &AddressPlan::new(settings.cidr)?);
        let found = prepare::HostResources { tools: &tools, outside: &outside, registry_port };
        let (environment, reissued) = prepare::for_boot(self, settings, root, &allotment, found, &renew)?;
        for reason in reissued {
            both.emit(Event::Note { message: format!("created again: {reason}") });
        }
        let api_port = listeners[0].local_addr().map_err(HostError::io("the API server's port"))?.port();
        allotment.api_port = Some(api_port);
        // Copies for an earlier boot. No process uses them any more.
        snapshot::clear(&root.run().join(snapshot::DIRECTORY))
            .map_err(HostError::io("old copies of plugins can't be removed"))?;
        let inherited = Inherited { api_port, publish: settings.publish.clone(), outside };
        let (boot, instances) = self.prepare_boot(settings, root, environment, inherited, &both)?;
        prepare::write_kubeconfigs(root, &boot.environment, &instances, api_port)?;
        root.record_cidr(settings.cidr)?;
        let state = next_state(root, settings.to_toml(), allotment, &boot)?;
        state.commit(root)?;
        write_views(root, root, &state)?;
        root.remove_other_nodes(&state.allotment)?;
        both.emit(Event::Ready { instance: CERTIFICATES.into() });
        both.emit(step(SANDBOX));
        both.emit(Event::Started { instance: SANDBOX.into() });
        drop(both);
        if interrupts.any() {
            return Err(HostError::Interrupted);
        }
        let (near, channel) = BootChannel::pair().map_err(HostError::io("the boot channel can't be created"))?;
        // The cluster opens these ports itself.
        drop(reserved);
        let (executable, id) = (&*self.executable, boot.environment.id.as_str());
        let start = KeeperStart { executable, root, id, lock, listeners, channel };
        let keeper = sandbox::start_keeper(start).map_err(HostError::io("the keeper can't be started"))?;
        let orders = near.try_clone().map_err(HostError::io("the boot channel can't be duplicated"))?;
        interrupts.set_boot(orders, keeper, root);
        watch(&near, root, self.call(settings), interrupts, &*sink)?;
        Ok((root.kubeconfig("admin"), port::api_url(api_port)))
    }

    /// Plans with real files and addresses, runs the preflight checks of the components, and
    /// creates the init's input.
    pub(super) fn prepare_boot(
        &self,
        settings: &Settings,
        root: &Root,
        environment: Environment,
        inherited: Inherited,
        sink: &dyn Sink,
    ) -> Result<(Boot, Vec<graph::Instance>), HostError> {
        let (environment, slots) = (Arc::new(environment), self.slots(settings)?);
        let instances = graph::plan(&self.registry.components, &slots, &environment)?;
        self.preflight(&instances, sink)?;
        let environment = Environment { variables: prepare::variables(&instances), ..Environment::clone(&environment) };
        let mut plugins = snapshot::take(&used(&instances), &root.run().join(snapshot::DIRECTORY))
            .map_err(HostError::io("plugins can't be copied into the cluster's directory"))?;
        for plugin in &mut plugins {
            plugin.copy = root.to_inside(&plugin.copy);
        }
        let boot = Boot {
            hostname: prepare::hostname(&environment),
            environment,
            slots: graph::filled(&self.registry.components, &slots)?,
            wait: settings.wait,
            plugins,
            api_port: inherited.api_port,
            publish: inherited.publish,
            outside: inherited.outside,
            boot_timeout_s: settings.boot_timeout_s,
        };
        Ok((boot, instances))
    }

    /// Runs the preflight checks of all components.
    fn preflight(&self, instances: &[graph::Instance], sink: &dyn Sink) -> Result<(), HostError> {
        let mut fatal = Vec::new();
        for instance in instances {
            let failed = |source| graph::GraphError::Component { instance: instance.instance.clone(), source };
            for finding in instance.registered.preflight(&instance.context).map_err(failed)? {
                let message = format!("{}: {}", instance.instance, finding.message);
                if finding.fatal {
                    fatal.push(message);
                } else {
                    sink.emit(Event::Warning { message });
                }
            }
        }
        if fatal.is_empty() { Ok(()) } else { Err(BootError::Preflight(fatal).into()) }
    }
}

/// The components of these instances, each once.
fn used(instances: &[graph::Instance]) -> Vec<Arc<Registered>> {
    let mut all: Vec<Arc<Registered>> = Vec::new();
    for instance in instances {
        if !all.iter().any(|one| one.name() == instance.component) {
            all.push(instance.registered.clone());
        }
    }
    all
}

/// The next state of the cluster, which this boot commits.
fn next_state(root: &Root, settings: String, allotment: Allotment, boot: &Boot) -> Result<ClusterFile, HostError> {
    let boot = serde_json::to_value(boot)
        .map_err(|error| HostError::io("the state of the cluster can't be encoded")(error.into()))?;
    Ok(match ClusterFile::read(root) {
        Ok(Some(last)) => last.next(settings, allotment, boot),
        // A damaged file was reported when the settings were read.
        Ok(None) | Err(root_dir::Error::Damaged { .. }) => ClusterFile::first(settings, allotment, boot),
        Err(error) => return Err(error.into()),
    })
}
