//! The way up: every instance as soon as what it needs is there, then the host's own last steps.

use super::instance::Live;
use super::steps::{DEFAULT_NAMESPACE, PAUSE_IMAGE, STEPS};
use super::supervise::Patience;
use super::{BootFailure, Cluster, InstanceState, StartFailure};
use crate::api::Api;
use crate::chain::chain;
use crate::events::Event;
use crate::graph::Environment;
use crate::probe::{Prober, TlsFiles};
use crate::process::{Launch, end_all_patience};
use crate::root::{Root, Written, write_managed};
use crate::spec::WaitFor;
use kubernix_core::{Phase, Role, roles};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

impl Cluster {
    /// Brings everything up, or all that is waited for; the rest then goes on by itself.
    ///
    /// # Errors
    /// The first instance or step that fails.
    pub(super) async fn bring_up(self: &Rc<Self>, root: &Root) -> Result<(), BootFailure> {
        let limit = Duration::from_secs(self.boot.boot_timeout_s);
        let deadline = Instant::now() + limit;
        // Probes end by themselves at the deadline and say what they saw; this is for what can't.
        let latest = deadline + Duration::from_secs(1);
        self.announce();
        let unusable = |why| BootFailure::Step { step: "sandbox".into(), why, late: false };
        let api = self.api().map_err(unusable)?;
        let prober = self.prober(api.clone()).map_err(unusable)?;
        let (later, now): (Vec<_>, Vec<_>) = self.instances().into_iter().partition(|live| self.comes_later(live));
        if !later.is_empty() {
            tokio::task::spawn_local(self.clone().follow(later, root.clone(), deadline));
        }
        let instances = self.start_all(&now, &prober, root, deadline);
        let steps = async {
            tokio::try_join!(
                self.load_pause_image(root),
                self.open_default_namespace(api.as_ref(), deadline),
                self.furnish(&now, api.as_ref(), root, deadline)
            )
        };
        let everything = async { tokio::try_join!(instances, steps).map(drop) };
        let result = tokio::time::timeout_at(latest, everything).await.unwrap_or_else(|_| Err(self.timed_out()));
        end_all_patience();
        result
    }

    /// Whether `up` returns without it.
    fn comes_later(&self, live: &Live) -> bool {
        self.boot.wait == WaitFor::Node && live.planned.phase == Phase::ADDON
    }

    /// Brings up what nobody waits for. What fails is said, and is no reason to end the rest.
    async fn follow(self: Rc<Self>, instances: Vec<Rc<Live>>, root: Root, deadline: Instant) {
        let all = async {
            let failed = |why| BootFailure::Step { step: "addons".into(), why, late: false };
            let api = self.api().map_err(failed)?;
            let prober = self.prober(api.clone()).map_err(failed)?;
            let started = self.start_all(&instances, &prober, &root, deadline);
            tokio::try_join!(started, self.furnish(&instances, api.as_ref(), &root, deadline)).map(drop)
        };
        let done = all.await;
        end_all_patience();
        let Err(failure) = done else { return };
        for live in instances.iter().filter(|live| !live.is_stopping() && live.state() != InstanceState::Ready) {
            live.set(InstanceState::Failed);
            self.emit(Event::Failed { instance: live.name().into(), error: chain(&failure) });
        }
    }

    /// Starts instances, each as soon as what it needs is there.
    ///
    /// # Errors
    /// The first that doesn't become ready.
    pub(super) async fn start_all(
        self: &Rc<Self>,
        instances: &[Rc<Live>],
        prober: &Prober,
        root: &Root,
        deadline: Instant,
    ) -> Result<(), BootFailure> {
        let started = instances.iter().map(|live| async {
            let result = self.start(live, prober, root, deadline).await;
            result.map_err(|source| BootFailure::Instance { instance: live.name().into(), source: Box::new(source) })
        });
        futures_util::future::try_join_all(started).await.map(drop)
    }

    fn announce(&self) {
        for live in self.instances() {
            let planned = &live.planned;
            self.emit(Event::Planned {
                instance: planned.instance.clone(),
                component: planned.component.clone(),
                phase: planned.phase.to_string(),
                waits_for: planned.waits_for().map(|at| at.role.to_string()).collect(),
            });
        }
        for (step, _, waits_for) in STEPS.iter().filter(|(_, role, _)| self.provider(role).is_some()) {
            self.emit(Event::Planned {
                instance: (*step).into(),
                component: String::new(),
                phase: "Host".into(),
                waits_for: waits_for.iter().map(|role| (*role).into()).collect(),
            });
        }
    }

    async fn start(
        self: &Rc<Self>,
        live: &Rc<Live>,
        prober: &Prober,
        root: &Root,
        deadline: Instant,
    ) -> Result<(), StartFailure> {
        if live.is_off() {
            return Ok(());
        }
        for role in live.planned.waits_for() {
            self.board.wait(role).await;
        }
        let spawner = self.spawner_of(live).await.map_err(StartFailure::Node)?;
        self.write_files(live, root)?;
        self.apply_first(live, deadline).await?;
        for process in &live.planned.plan.processes {
            let process = &self.told_of_proxies(live, process);
            let launch = Launch { process, directory: &live.directory };
            let spawned = spawner.spawn(&launch);
            let failed = |source| StartFailure::Spawn { process: process.name.clone(), source };
            live.processes.borrow_mut().push(spawned.map_err(failed)?);
        }
        self.started(live);
        live.set(InstanceState::Starting);
        self.emit(Event::Started { instance: live.name().into() });
        self.probe_all(prober, live, Patience::Until(deadline)).await?;
        live.set(InstanceState::Ready);
        self.emit(Event::Ready { instance: live.name().into() });
        self.no_longer_waited_for(live);
        for slot in 0..live.processes.borrow().len() {
            tokio::task::spawn_local(self.clone().supervise(live.clone(), slot));
        }
        Ok(())
    }

    /// Where the API is there already, what an instance wants of it is there before its processes are: a kubelet finds its node as
    /// it was planned, and nobody has given the node other pods' addresses.
    async fn apply_first(&self, live: &Live, deadline: Instant) -> Result<(), StartFailure> {
        let plan = &live.planned.plan;
        if plan.processes.is_empty() || plan.manifests.is_empty() {
            return Ok(());
        }
        let server = self.provider(roles::APISERVER);
        let is_there = server.is_some_and(|it| self.board.is_ready(&it.planned.at(&Role::new(roles::APISERVER))));
        if let (true, Some(api)) = (is_there, self.api().map_err(StartFailure::Api)?) {
            for manifest in &plan.manifests {
                api.apply(manifest, deadline).await.map_err(|error| StartFailure::Api(error.to_string()))?;
            }
        }
        Ok(())
    }

    pub(super) fn write_files(&self, live: &Live, root: &Root) -> Result<(), StartFailure> {
        let failed =
            |path: &Path, error: &dyn std::error::Error| StartFailure::File(format!("{}: {error}", path.display()));
        make_directory(&live.directory, 0o700).map_err(|error| failed(&live.directory, &error))?;
        for directory in &live.planned.plan.directories {
            let path = Path::new(&directory.path);
            make_directory(path, directory.mode).map_err(|error| failed(path, &error))?;
        }
        for file in &live.planned.plan.files {
            let path = Path::new(&file.path);
            if let Some(parent) = path.parent() {
                make_directory(parent, 0o700).map_err(|error| failed(parent, &error))?;
            }
            let written = if path.starts_with(root.path()) {
                write_managed(path, file.content.as_bytes(), file.mode, &root.managed_file())
            } else {
                crate::root::write_atomic(path, file.content.as_bytes(), file.mode).map(|_| Written::Updated)
            };
            if written.map_err(|error| StartFailure::File(error.to_string()))? == Written::KeptEdited {
                let message = format!("{} was edited and is left as it is", path.display());
                self.emit(Event::Note { message });
            }
        }
        Ok(())
    }

    /// The first instance that fills a role and is to run.
    pub(super) fn provider(&self, role: &str) -> Option<Rc<Live>> {
        let role = Role::new(role);
        let fills = |live: &Rc<Live>| !live.is_off() && live.planned.plan.provides.iter().any(|e| e.role == role);
        self.instances().into_iter().find(fills)
    }

    /// The URL of a role, wherever it is filled.
    pub(super) fn endpoint(&self, role: &str) -> Option<String> {
        let provider = self.provider(role)?;
        let mut provides = provider.planned.plan.provides.iter();
        provides.find(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone())
    }

    /// The URLs of a role, in all places where it is filled.
    pub(super) fn endpoints(&self, role: &str) -> Vec<String> {
        let instances = self.instances();
        let all = instances.iter().flat_map(|live| &live.planned.plan.provides);
        all.filter(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone()).collect()
    }

    /// A client of the cluster's own API, where it has one.
    pub(super) fn api(&self) -> Result<Option<Api>, String> {
        let Some(server) = self.provider(roles::APISERVER) else { return Ok(None) };
        let Some(url) = self.endpoint(roles::APISERVER) else { return Ok(None) };
        self.api_of(&server, &url).map(Some)
    }

    /// A client of the API that an instance serves at this URL. None of several is relied on.
    pub(super) fn api_of(&self, server: &Live, url: &str) -> Result<Api, String> {
        let server = self.boot.environment.seen_from(None, server.planned.node.as_deref(), url);
        let identity = Environment::of_node(&self.boot.environment.identities, "admin", None);
        let identity = identity.ok_or("the cluster has no identity `admin`")?;
        Api::connect(&server, &tls(identity)).map_err(|error| error.to_string())
    }

    /// Asks `api` for nodes.
    pub(super) fn prober(&self, api: Option<Api>) -> Result<Prober, String> {
        let environment = &self.boot.environment;
        let ca = environment.files.get("ca.crt").ok_or("the cluster has no CA certificate")?;
        let identities = environment.identities.clone();
        let (spawner, places) = (self.spawner(), self.nodes.places());
        let prober = Prober::new(ca, move |user| identities.get(user).map(tls)).commands(move |command, node| {
            let mut spawner = spawner.clone();
            if let Some(place) = node.and_then(|node| places.get(node)) {
                spawner.place = place;
            }
            async move { spawner.output(&command).await.map_err(io::Error::other) }
        });
        let places = self.nodes.places();
        let prober = prober.networks(move |node| places.network(node));
        Ok(match api {
            Some(api) => prober.api(api),
            None => prober,
        })
    }

    /// The instances that aren't ready.
    pub(super) fn late(&self) -> Vec<Rc<Live>> {
        self.instances().into_iter().filter(|live| !live.is_off() && live.state() != InstanceState::Ready).collect()
    }

    fn timed_out(&self) -> BootFailure {
        let mut waiting: Vec<String> =
            self.late().iter().map(|live| format!("{} ({})", live.name(), live.state())).collect();
        if waiting.is_empty() {
            waiting.push(format!("{PAUSE_IMAGE} or {DEFAULT_NAMESPACE}"));
        }
        BootFailure::TimedOut { waiting }
    }
}

fn tls(identity: &crate::pki::Identity) -> TlsFiles {
    TlsFiles { cert: identity.cert.clone(), key: identity.key.clone(), ca: identity.ca.clone() }
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The mode of what is asked for, whatever the umask; parents stay 0700.
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}
