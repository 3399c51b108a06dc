//! `up`: everything that happens on the host before a sandbox stands, and the wait for what happens inside.

use super::interrupt::Interrupts;
use super::{
    A_LOOK, ANSWER, Call, Existing, Host, HostError, PAUSE, disk, kubeconfig, need_root, port, ports, prepare, traces,
};
use crate::boot::{Boot, write_views};
use crate::control::Client;
use crate::events::{Event, FileSink, Sink, Tee, ToolEvents, records};
use crate::graph::{self, Environment};
use crate::kubeconfig::Merged;
use crate::network::plan::routed_by_host;
use crate::network::publish::Socket;
use crate::network::{AddressPlan, Outside, Published};
use crate::pki::Renewal;
use crate::plugins::{Registered, snapshot};
use crate::process::tail;
use crate::root::{self, Allotment, ClusterFile, Made, Root};
use crate::sandbox::lock::{self, LockError};
use crate::sandbox::{self, BootChannel, Ending, KeeperStart, SandboxIds};
use crate::settings::{Resolved, Settings, binary_overrides, of_any_version};
use crate::toolchain;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The certificates step, as it reads in the timeline.
const CERTIFICATES: &str = "certificates";
/// The step that the sandbox's init reports the end of.
const SANDBOX: &str = "sandbox";
/// Absent where the kernel module br_netfilter isn't loaded.
const BRIDGE_SETTINGS: &str = "/proc/sys/net/bridge";
/// Places that every sandbox replaces by its own.
pub(super) const REPLACED: &[&str] = &["/proc", "/sys", "/run", "/dev", "/var/log", "/var/lib/kubelet", "/var/lib/cni"];

/// What came up.
#[derive(Debug, Clone, Serialize)]
pub struct UpReport {
    /// The cluster's name.
    pub name: String,
    /// Its ID.
    pub id: String,
    /// Its root directory.
    pub root: PathBuf,
    /// The admin's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The API server's URL on this host.
    pub api: String,
    /// The user's own kubeconfig, where it was to get the cluster's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was started anew, by instance, of a cluster that ran already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
}

/// What a boot has of the host, and keeps.
pub(super) struct Held {
    /// The API server's port.
    pub api_port: u16,
    /// Ports of the nodes.
    pub publish: Vec<Published>,
    /// The ways to the world outside.
    pub outside: Outside,
}

/// What a boot begins with.
struct Taken {
    lock: lock::Lock,
    /// Places on the host that are to be published.
    places: Vec<Socket>,
    tools: toolchain::Resolution,
    /// The kinds of keys that are made anew.
    renew: BTreeSet<Renewal>,
}

impl Host {
    /// Boots a cluster, or starts a stopped one again; `existing` says what becomes of one that is there. Returns when its node
    /// is ready and pods can be made; it goes on in the background. Keys of the kinds in `renew` are made anew. Ctrl-C stops and
    /// cleans up, a second one does so at once.
    ///
    /// # Errors
    /// See [`HostError`]. What was started is gone then; a root directory that this call made stays only where its logs
    /// tell why.
    pub fn up(
        &self,
        resolved: &Resolved,
        existing: Existing,
        renew: BTreeSet<Renewal>,
        sink: Arc<dyn Sink>,
    ) -> Result<UpReport, HostError> {
        let began = Instant::now();
        let settings = &resolved.settings;
        need_root("up")?;
        let root = Root::new(&settings.root, &settings.name);
        let allotment = match existing {
            // Nodes begin anew as well.
            Existing::StartsOver => prepare::allot(self, settings, Allotment::default())?,
            Existing::GoesOn | Existing::IsLeft => self.allot(settings)?,
        };
        self.check(resolved, &allotment, &[], &*sink)?;
        fits(&root)?;
        super::end::refuse_orphan(&self.call(settings))?;
        let report = |kubeconfig, api, changed| UpReport {
            name: settings.name.clone(),
            id: root.open_existing().ok().and_then(|state| state.id).map(String::from).unwrap_or_default(),
            root: root.path().to_owned(),
            kubeconfig,
            api,
            merged: None,
            seconds: began.elapsed().as_secs_f64(),
            changed,
        };
        match existing {
            Existing::StartsOver => {}
            _ if !lock::is_taken(&root) => {}
            Existing::IsLeft => return Err(HostError::Running(self.call(settings))),
            Existing::GoesOn if !renew.is_empty() => {
                let changes = vec!["its keys can't be made anew".to_owned()];
                return Err(HostError::OfBoot { call: self.call(settings), changes });
            }
            Existing::GoesOn => {
                let (changed, api_port) = self.go_over(resolved, &allotment, &root, &*sink)?;
                let merged = kubeconfig::after_boot(&root, settings, &*sink);
                let (kubeconfig, api) = (root.kubeconfig("admin"), port::api_url(api_port));
                return Ok(UpReport { merged, ..report(kubeconfig, api, Some(changed)) });
            }
        }
        warn_of_routes(settings, &*sink);
        if !Path::new(BRIDGE_SETTINGS).exists() {
            // Not loaded here: it would change how the host's own bridges treat their traffic.
            let message = "the kernel module br_netfilter is not loaded: a pod may fail to reach a Service whose pod is on its own node; `modprobe br_netfilter` helps, and makes the host's own bridges pass through netfilter too";
            sink.emit(Event::Warning { message: message.into() });
        }
        kubeconfig::before_boot(&root, settings)?;
        // Held from here on, so that nobody else takes them, nor the API server what it looks for.
        let own = if existing == Existing::StartsOver { self.own_ports(resolved) } else { Vec::new() };
        let others: Vec<Published> = settings.publish.iter().filter(|one| !own.contains(one)).copied().collect();
        let mut places = ports::hold(&others)?;
        let tools = self.tools_of(settings, &allotment, &[], &*sink)?;

        let interrupts = Interrupts::take_over().map_err(HostError::io("signals can't be handled"))?;
        let (mut made, told) = (Made::default(), sink.clone());
        let emptied = match existing {
            Existing::StartsOver => self.start_over(resolved, &root, &*sink)?,
            _ => None,
        };
        places.extend(ports::hold(&own)?);
        let result = emptied
            .map_or_else(|| self.lock(&root, settings, &mut made), Ok)
            .and_then(|lock| self.boot(resolved, &root, Taken { lock, places, tools, renew }, &interrupts, sink))
            .map(|(kubeconfig, api)| UpReport {
                merged: kubeconfig::after_boot(&root, settings, &*told),
                ..report(kubeconfig, api, None)
            });
        if let Err(error) = &result {
            if made.contains(root.path()) && !error.leaves_cluster() {
                clear_away(&root)?;
            }
            made.undo();
        }
        result
    }

    /// Makes the root directory and takes its lock; `made` gets what wasn't there before.
    fn lock(&self, root: &Root, settings: &Settings, made: &mut Made) -> Result<lock::Lock, HostError> {
        loop {
            made.extend(root.make()?);
            match lock::wait(root, A_LOOK) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) => return Err(HostError::Running(self.call(settings))),
                // A `down` took it away in between.
                Err(LockError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Finds, or makes, all binaries that this cluster needs, and `more`.
    ///
    /// # Errors
    /// One error that lists all that can't be had.
    pub fn tools(
        &self,
        settings: &Settings,
        more: &[String],
        sink: &dyn Sink,
    ) -> Result<toolchain::Resolution, HostError> {
        self.tools_of(settings, &self.allot(settings)?, more, sink)
    }

    /// As [`Host::tools`], for these nodes.
    pub(super) fn tools_of(
        &self,
        settings: &Settings,
        allotment: &Allotment,
        more: &[String],
        sink: &dyn Sink,
    ) -> Result<toolchain::Resolution, HostError> {
        let needed = prepare::binaries(self, settings, allotment)?;
        let request = toolchain::Request {
            optional: prepare::FOR_USERS_IF_THERE.map(str::to_owned).to_vec(),
            names: needed.iter().chain(more.iter().filter(|name| !needed.contains(name))).cloned().collect(),
            overrides: binary_overrides(settings, &self.catalogue())?,
            any_version: of_any_version(settings, &self.catalogue()),
        };
        let options = toolchain::Options { cache_dir: settings.cache_dir.clone(), install: settings.install };
        Ok(toolchain::resolve(&self.registry.table, &request, &options, &ToolEvents(sink))?)
    }

    fn boot(
        &self,
        resolved: &Resolved,
        root: &Root,
        taken: Taken,
        interrupts: &Interrupts,
        sink: Arc<dyn Sink>,
    ) -> Result<(PathBuf, String), HostError> {
        let (settings, Taken { lock, places, tools, renew }) = (&resolved.settings, taken);
        let found = root.create()?;
        if found.id.is_none() {
            // An older version named its cgroups otherwise, or the directory is a copy and has none.
            traces::look(root, &[]).remove(root);
            root.identify()?;
        }
        // What the last life left says nothing of this one.
        Ending::forget(root);
        SandboxIds::forget(root);
        for directory in [root.run(), root.images()] {
            std::fs::create_dir_all(&directory).map_err(HostError::io(format!("`{}`", directory.display())))?;
        }
        let file = FileSink::append(&root.events()).map_err(|cause| root::Error::io("write", &root.events(), cause))?;
        let both = Tee::new(vec![Arc::new(file), sink.clone()]);
        let step = |instance: &str| Event::Planned {
            instance: instance.into(),
            component: String::new(),
            phase: "Host".into(),
            waits_for: Vec::new(),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        both.emit(Event::BootStarted { cluster: settings.name.clone(), version });
        if let Some(message) = root.mend_ledger()? {
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
        let outside = Outside::look(settings.uplink, &AddressPlan::new(settings.cidr)?);
        let found = prepare::Found { tools: &tools, outside: &outside, registry_port };
        let (environment, reissued) = prepare::booted(self, settings, root, &allotment, found, &renew)?;
        for reason in reissued {
            both.emit(Event::Note { message: format!("made anew: {reason}") });
        }
        let api_port = listeners[0].local_addr().map_err(HostError::io("the API server's port"))?.port();
        allotment.api_port = Some(api_port);
        // Copies of an earlier life, which nobody has loaded any more.
        snapshot::clear(&root.run().join(snapshot::DIRECTORY))
            .map_err(HostError::io("old copies of plugins can't be removed"))?;
        let held = Held { api_port, publish: settings.publish.clone(), outside };
        let (boot, instances) = self.prepare_boot(settings, root, environment, held, &both)?;
        prepare::write_kubeconfigs(root, &boot.environment, &instances, api_port)?;
        root.fix_cidr(settings.cidr)?;
        let state = next_state(root, settings.to_toml(), allotment, &boot)?;
        state.commit(root)?;
        write_views(root, root, &state)?;
        root.forget_other_nodes(&state.allotment)?;
        both.emit(Event::Ready { instance: CERTIFICATES.into() });
        both.emit(step(SANDBOX));
        both.emit(Event::Started { instance: SANDBOX.into() });
        drop(both);
        if interrupts.any() {
            return Err(HostError::Interrupted);
        }
        let (near, channel) = BootChannel::pair().map_err(HostError::io("no line to the sandbox"))?;
        // The cluster opens them itself.
        drop(places);
        let (executable, id) = (&*self.executable, boot.environment.id.as_str());
        let start = KeeperStart { executable, root, id, lock, listeners, channel };
        let keeper = sandbox::start_keeper(start).map_err(HostError::io("the keeper can't be started"))?;
        let line = near.try_clone().map_err(HostError::io("no line to the sandbox"))?;
        interrupts.pass_to_boot(line, keeper, root);
        watch(&near, root, self.call(settings), interrupts, &*sink)?;
        Ok((root.kubeconfig("admin"), port::api_url(api_port)))
    }

    /// Plans what is real, asks the components about this host, and puts it all into what the init reads.
    pub(super) fn prepare_boot(
        &self,
        settings: &Settings,
        root: &Root,
        environment: Environment,
        held: Held,
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
            api_port: held.api_port,
            publish: held.publish,
            outside: held.outside,
            boot_timeout_s: settings.boot_timeout_s,
        };
        Ok((boot, instances))
    }

    /// Asks all components about this host.
    fn preflight(&self, instances: &[graph::Instance], sink: &dyn Sink) -> Result<(), HostError> {
        let mut fatal = Vec::new();
        for instance in instances {
            let refuse = |source| graph::GraphError::Component { instance: instance.instance.clone(), source };
            for finding in instance.registered.preflight(&instance.context).map_err(refuse)? {
                let message = format!("{}: {}", instance.instance, finding.message);
                if finding.fatal {
                    fatal.push(message);
                } else {
                    sink.emit(Event::Warning { message });
                }
            }
        }
        if fatal.is_empty() { Ok(()) } else { Err(HostError::Preflight(fatal)) }
    }
}

/// Whether clusters can live there.
///
/// # Errors
/// Every sandbox replaces that place.
pub(super) fn fits(root: &Root) -> Result<(), HostError> {
    match REPLACED.iter().find(|place| root.path().starts_with(place)) {
        Some(place) => Err(HostError::UnfitRoot(PathBuf::from(place))),
        None => Ok(()),
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

fn warn_of_routes(settings: &Settings, sink: &dyn Sink) {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    for route in routed_by_host(settings.cidr, &table) {
        let message = format!(
            "this host routes {route}, which overlaps the cluster's {}: pods won't reach hosts there, choose another --cidr if they have to",
            settings.cidr
        );
        sink.emit(Event::Warning { message });
    }
}

/// The state that a boot puts in force, after the one that there may be.
fn next_state(root: &Root, settings: String, allotment: Allotment, boot: &Boot) -> Result<ClusterFile, HostError> {
    let boot = serde_json::to_value(boot).map_err(|error| HostError::io("the state of the cluster")(error.into()))?;
    Ok(match ClusterFile::read(root) {
        Ok(Some(last)) => last.next(settings, allotment, boot),
        // What can be said of one that is damaged was said when the settings were read.
        Ok(None) | Err(root::Error::Damaged { .. }) => ClusterFile::first(settings, allotment, boot),
        Err(error) => return Err(error.into()),
    })
}

/// Removes a root directory that came to nothing, unless somebody has it by now.
pub(super) fn clear_away(root: &Root) -> Result<(), root::Error> {
    match lock::take(root) {
        Ok(Some(_lock)) => match root.remove() {
            Err(root::Error::Missing { .. }) => Ok(()),
            removed => removed,
        },
        Ok(None) | Err(LockError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Passes events on until the cluster is ready, or nothing of it is left.
fn watch(
    channel: &BootChannel,
    root: &Root,
    call: Call,
    interrupts: &Interrupts,
    sink: &dyn Sink,
) -> Result<(), HostError> {
    let mut why = None;
    for record in records(BufReader::new(channel.reader())) {
        let event = record.event.seen_outside(root);
        match &event {
            Event::BootReady => {
                sink.emit(event);
                return Ok(());
            }
            // Of several the first says most: the others follow from it.
            Event::BootFailed { error, timed_out } => drop(why.get_or_insert_with(|| (error.clone(), *timed_out))),
            _ => {}
        }
        sink.emit(event);
    }
    if interrupts.any() {
        return Err(HostError::Interrupted);
    }
    if let (None, Some(by @ (Ending::Down | Ending::Stop))) = (&why, Ending::read(root)) {
        return Err(HostError::Revoked { call, by: by.word() });
    }
    let Some((mut why, timed_out)) = why.or_else(|| recorded_failure(root)) else {
        return outcome_without_line(root, call);
    };
    if let Some(hint) = disk::hint(&why, root.path()) {
        why = format!("{why}\n{hint}");
    }
    Err(HostError::Boot { call, why, root: root.path().to_owned(), timed_out })
}

/// Why the last boot failed, by the events that it recorded.
fn recorded_failure(root: &Root) -> Option<(String, bool)> {
    let records = crate::events::read(&root.events()).ok()?;
    let of_last_boot =
        records.into_iter().rev().take_while(|record| !matches!(record.event, Event::BootStarted { .. }));
    of_last_boot.into_iter().find_map(|record| match record.event {
        Event::BootFailed { error, timed_out } => Some((error, timed_out)),
        _ => None,
    })
}

/// How a boot went whose line broke without a word, from the cluster itself.
fn outcome_without_line(root: &Root, call: Call) -> Result<(), HostError> {
    loop {
        match Client::connect(root, ANSWER).and_then(|mut client| client.report(false)) {
            Ok(report) if report.booted => return Ok(()),
            Ok(report) if !report.ending => std::thread::sleep(PAUSE),
            _ => {
                let log = root.run().join("keeper.log");
                let lines = tail(&log, 20).join("\n  ");
                let why = format!("the sandbox exited without reporting an error; {}:\n  {lines}", log.display());
                return Err(HostError::Boot { call, why, root: root.path().to_owned(), timed_out: false });
            }
        }
    }
}
