//! The init's life: boot, serve, end.

use super::instance::Live;
use super::nodes::Nodes;
use super::ports::Ports;
use super::shutdown::HookCommand;
use super::{BootFailure, Cluster, InstanceState, Report, outward};
use crate::chain::chain;
use crate::control::{self, Hub, Wish};
use crate::events::{Event, FileSink, Sink, WriterSink};
use crate::graph::{self, Environment, NodeSpec};
use crate::network::balance::Balancer;
use crate::network::{Published, forward, netlink};
use crate::plugins::{Components, Registered, Snapshot, snapshot};
use crate::process::{Here, Reaper, Spawner};
use crate::sandbox::{Ending, Inside, Order};
use futures_util::future::LocalBoxFuture;
use kubernix_core::roles;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

/// The host's step that makes the namespaces and the network in them, as it reads in the timeline.
const SANDBOX: &str = "sandbox";

/// How long work that was begun on other threads may take to end with the cluster: it ends at once, or hangs.
const AT_MOST: Duration = Duration::from_secs(2);

/// Where events go: the cluster's file, and whoever watches right now.
struct Watched {
    file: FileSink,
    watcher: Mutex<Option<WriterSink<UnixStream>>>,
}

impl Watched {
    /// Events go to this stream from now on, in place of the one before. It must not block.
    fn watch(&self, watcher: Option<UnixStream>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = watcher.map(WriterSink::new);
    }
}

impl Sink for Watched {
    fn emit(&self, event: Event) {
        self.file.emit(event.clone());
        if let Some(watcher) = &*self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher.emit(event);
        }
    }
}

/// Runs a cluster until its end. `Inside` says in what; what is left in the sandbox afterwards is killed. Components are those
/// that are compiled in, and the plugins that the boot names in their place.
///
/// # Errors
/// The engine itself can't start.
pub fn run(inside: &Inside, built_in: Vec<Arc<Registered>>) -> io::Result<()> {
    inside.channel.set_nonblocking(true)?;
    let watched = Arc::new(Watched {
        file: FileSink::append(&inside.root.events())?,
        watcher: Mutex::new(Some(WriterSink::new(inside.channel.try_clone()?))),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let end = runtime.block_on(local.run_until(live(inside, built_in, &watched)));
    drop(local);
    inside.kill_all();
    // Who is still at work on the uplink comes to its end first, or it would take what was just given back.
    runtime.shutdown_timeout(AT_MOST);
    inside.give_uplink_back();
    // Also one that died a moment ago, when nobody was listening any more.
    if matches!(end, Ok(End::KeeperGone)) || inside.has_lost_keeper() {
        inside.clean_without_keeper();
    }
    if let Err(failure) = end {
        watched.emit(Event::BootFailed { error: failure.error, timed_out: failure.timed_out });
    }
    Ok(())
}

/// The plugins of a boot, and what is compiled in and not replaced by them.
pub(super) fn with_plugins(built_in: &Components, plugins: &[Snapshot]) -> Result<Vec<Arc<Registered>>, String> {
    let mut all = snapshot::load(plugins)?;
    let others: Vec<_> =
        built_in.iter().filter(|own| !all.iter().any(|one| one.name() == own.name())).cloned().collect();
    all.extend(others);
    Ok(all)
}

/// Tells somebody who wants a change that there will be none.
fn refuse(watcher: Option<UnixStream>, why: &str) {
    if let Some(watcher) = watcher {
        WriterSink::new(watcher).emit(Event::ChangeFailed { error: why.into(), restored: true });
    }
}

/// How a cluster's life ended.
enum End {
    Ordered,
    KeeperGone,
}

/// Why a boot came to nothing.
struct Failure {
    error: String,
    timed_out: bool,
}

async fn live(inside: &Inside, built_in: Vec<Arc<Registered>>, watched: &Arc<Watched>) -> Result<End, Failure> {
    let failed = |error| Failure { error, timed_out: false };
    let components = with_plugins(&built_in, &inside.boot.plugins).map_err(failed)?;
    let text = |error: &(dyn std::error::Error + 'static)| Failure { error: chain(error), timed_out: false };
    let (wishes, mut inbox) = mpsc::unbounded_channel();
    listen(inside, &wishes).map_err(|error| text(&error))?;
    let addresses = &inside.boot.environment.addresses;
    let mut own = vec![addresses.control_plane_ip()];
    let beside = |node: &&NodeSpec| node.placement.is_beside();
    own.extend(inside.boot.environment.nodes.iter().filter(beside).map(|node| addresses.node_ip(node.index)));
    netlink::set_up(addresses.nodes, &own).await.map_err(|error| text(&error))?;
    outward::raise_uplink(inside, watched);
    let proxies = outward::open(inside, watched).await;
    let reaper = Reaper::default();
    tokio::task::spawn_local(reaper.clone().run());
    let (hooks, asked) = mpsc::unbounded_channel();
    let nodes = Nodes::of_thread().map_err(|error| text(&error))?;
    let cluster =
        assemble(inside, &components, watched.clone(), reaper, hooks, proxies, nodes).map_err(|error| text(&error))?;
    tokio::task::spawn_local(cluster.clone().serve_hooks(asked));
    watched.emit(Event::Ready { instance: SANDBOX.into() });
    forward_api(inside, &cluster).map_err(|error| text(&error))?;
    forward_registry(inside).map_err(|error| text(&error))?;
    cluster.open_ports().map_err(failed)?;
    let hub = Hub::open(&inside.root, wishes.clone()).map_err(|error| text(&error))?;
    tokio::task::spawn_local(hub.serve());

    let boot = cluster.bring_up(&inside.root);
    tokio::pin!(boot);
    let mut booted = None;
    let mut change: Option<LocalBoxFuture<'_, ()>> = None;
    loop {
        let wish = tokio::select! {
            biased;
            wish = inbox.recv() => wish,
            () = async { if let Some(change) = &mut change { change.await } }, if change.is_some() => {
                change = None;
                watched.watch(None);
                continue;
            }
            result = &mut boot, if booted.is_none() => match result {
                Ok(()) => {
                    watched.emit(Event::BootReady);
                    // The command returns now; what it would say with its end is no order any more.
                    watched.watch(None);
                    booted = Some(());
                    continue;
                }
                Err(error) => {
                    Ending::Boot.note(&inside.root);
                    return tokio::select! {
                        error = give_up(&cluster, &error) => Err(error),
                        end = at_once(&mut inbox, &cluster) => Ok(end),
                    };
                }
            },
        };
        match wish {
            None | Some(Wish::Kill) => return Ok(End::Ordered),
            Some(Wish::KeeperGone) => return Ok(End::KeeperGone),
            // An order of the command that boots, or its end.
            Some(Wish::Abandon) if booted.is_some() => {}
            Some(Wish::Abandon) => {
                Ending::Boot.note(&inside.root);
                return tokio::select! {
                    error = give_up(&cluster, &BootFailure::Interrupted) => Err(error),
                    end = at_once(&mut inbox, &cluster) => Ok(end),
                };
            }
            Some(Wish::Stop(watcher)) => {
                drop(change.take());
                Ending::Stop.note(&inside.root);
                watched.watch(watcher);
                let end = tokio::select! {
                    _ = cluster.shut_down() => End::Ordered,
                    end = at_once(&mut inbox, &cluster) => end,
                };
                return Ok(end);
            }
            Some(Wish::Change(_, watcher)) if booted.is_none() => refuse(watcher, "the cluster is still booting"),
            Some(Wish::Change(_, watcher)) if change.is_some() => refuse(watcher, "another change goes on"),
            Some(Wish::Change(asked, watcher)) => {
                watched.watch(watcher);
                let (cluster, built_in) = (cluster.clone(), built_in.clone());
                let changed = async move { cluster.change(&inside.root, &built_in, &asked).await };
                change = Some(Box::pin(changed));
            }
            Some(Wish::Ask(request, reply)) => {
                Answers { cluster: cluster.clone(), ready: booted.is_some(), ending: false }.give(request, reply);
            }
        }
    }
}

/// What the rest of a stop can't wait for. Who asks meanwhile gets an answer.
async fn at_once(inbox: &mut mpsc::UnboundedReceiver<Wish>, cluster: &Rc<Cluster>) -> End {
    loop {
        match inbox.recv().await {
            None | Some(Wish::Kill) => return End::Ordered,
            Some(Wish::KeeperGone) => return End::KeeperGone,
            Some(Wish::Ask(request, reply)) => {
                Answers { cluster: cluster.clone(), ready: false, ending: true }.give(request, reply);
            }
            Some(Wish::Change(_, watcher)) => refuse(watcher, "the cluster is ending"),
            Some(Wish::Stop(_) | Wish::Abandon) => {}
        }
    }
}

/// Ends what a failed boot had started, and says why it failed.
async fn give_up(cluster: &Cluster, error: &BootFailure) -> Failure {
    let text = chain(error);
    // Whoever is late first needn't be who keeps the others waiting.
    let late = cluster.late();
    let late = late.iter().map(|live| live.name()).collect::<Vec<_>>().join(", ");
    if let BootFailure::Instance { instance, .. } = error {
        // The log's end comes once, with the boot's own failure.
        let first = text.lines().next().unwrap_or_default();
        let first = first.split("; the end of").next().unwrap_or(first).to_owned();
        cluster.emit(Event::Failed { instance: instance.clone(), error: first });
    }
    cluster.shut_down().await;
    match error.is_late() {
        true => {
            let limit = cluster.boot.boot_timeout_s;
            Failure { error: format!("not ready after {limit} s: {late}\n{text}"), timed_out: true }
        }
        false => Failure { error: text, timed_out: false },
    }
}

fn assemble(
    inside: &Inside,
    components: &Components,
    sink: Arc<dyn Sink>,
    reaper: Reaper,
    hooks: mpsc::UnboundedSender<HookCommand>,
    proxies: BTreeMap<String, String>,
    nodes: Nodes,
) -> Result<Rc<Cluster>, graph::GraphError> {
    let environment = Arc::new(inside.boot.environment.clone());
    let planned = graph::plan(components, &inside.boot.slots, &environment)?;
    let now = SystemTime::now();
    let instances: Vec<_> = planned.into_iter().map(|one| Rc::new(Live::new(Rc::new(one), &environment))).collect();
    let cluster = Cluster {
        boot: inside.boot.clone(),
        instances: RefCell::new(instances),
        board: Default::default(),
        spawner: RefCell::new(Spawner { reaper, path: search_path(&environment), place: Arc::new(Here) }),
        nodes,
        hooks,
        sink,
        proxies,
        ports: Ports::new(inside.root.clone(), inside.host.clone()),
        copying: Cell::new(false),
        booted_at: now,
        since: Cell::new(now),
    };
    cluster.instances().iter().for_each(|live| cluster.let_run_commands(live));
    Ok(Rc::new(cluster))
}

/// The directories of the cluster's binaries before those of the system.
pub(super) fn search_path(environment: &Environment) -> String {
    let own: BTreeSet<_> = environment.binaries.values().filter_map(|path| path.parent()).collect();
    let own = own.into_iter().map(|path| path.to_string_lossy().into_owned());
    let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(String::from);
    own.chain(system).collect::<Vec<_>>().join(":")
}

/// Passes on what comes over the lines to the keeper and to the command that boots.
fn listen(inside: &Inside, wishes: &mpsc::UnboundedSender<Wish>) -> io::Result<()> {
    let open = |stream: &UnixStream| -> io::Result<tokio::net::UnixStream> {
        let stream = stream.try_clone()?;
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    };
    let lines = [(open(&inside.life)?, true), (open(&inside.channel)?, false)];
    for (mut line, is_keeper) in lines {
        let wishes = wishes.clone();
        tokio::task::spawn_local(async move {
            loop {
                let read = line.read_u8().await;
                let ended = read.is_err();
                let wish = match read.map(Order::from_byte) {
                    Ok(Some(Order::Kill)) => Wish::Kill,
                    Ok(Some(Order::Interrupt)) if is_keeper => Wish::Stop(None),
                    Ok(Some(Order::Interrupt)) => Wish::Abandon,
                    Ok(None) => continue,
                    Err(_) if is_keeper => Wish::KeeperGone,
                    Err(_) => Wish::Abandon,
                };
                if wishes.send(wish).is_err() || ended {
                    return;
                }
            }
        });
    }
    Ok(())
}

fn forward_api(inside: &Inside, cluster: &Cluster) -> io::Result<()> {
    let servers = cluster.endpoints(roles::APISERVER_PORT).into_iter().map(|url| {
        let address = url.split("//").nth(1).and_then(|rest| rest.parse::<SocketAddr>().ok());
        address.ok_or_else(|| io::Error::other(format!("`{url}` is not https://IP:PORT")))
    });
    let servers = servers.collect::<io::Result<Vec<_>>>()?;
    let Some(port) = servers.first().map(SocketAddr::port) else { return Ok(()) };
    let environment = &inside.boot.environment;
    let mut listeners = vec![inside.listener.try_clone()?];
    // The same port inside, so that the admin's kubeconfig works in both worlds; the server's own port is answered there.
    let has_own = environment.members.is_empty() && port == inside.boot.api_port;
    if !has_own {
        listeners.push(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, inside.boot.api_port))?);
    }
    if !environment.members.is_empty() {
        listeners.push(std::net::TcpListener::bind((environment.addresses.control_plane_ip(), port))?);
    }
    let balancer = Balancer::new(servers);
    tokio::task::spawn_local(balancer.clone().watch());
    for listener in listeners {
        listener.set_nonblocking(true)?;
        tokio::task::spawn_local(balancer.clone().run(tokio::net::TcpListener::from_std(listener)?));
    }
    Ok(())
}

/// Whether it is there already or not: who connects too early is refused, as by any server.
fn forward_registry(inside: &Inside) -> io::Result<()> {
    let Some(outer) = &inside.registry else { return Ok(()) };
    // Inside, its images have the same names.
    let inner = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, inside.boot.environment.registry_port));
    let address = SocketAddr::V4(inside.boot.environment.addresses.registry());
    for listener in [outer.try_clone()?].into_iter().chain(inner) {
        listener.set_nonblocking(true)?;
        tokio::task::spawn_local(forward::run(tokio::net::TcpListener::from_std(listener)?, address));
    }
    Ok(())
}

/// Answers to those who ask over the control socket.
struct Answers {
    cluster: Rc<Cluster>,
    ready: bool,
    ending: bool,
}

impl Answers {
    /// Answers, which may take its time, beside everything else.
    fn give(self, request: control::Request, reply: oneshot::Sender<control::Reply>) {
        tokio::task::spawn_local(async move {
            let _ = reply.send(control::answer(request, &self).await);
        });
    }
}

impl control::Answer for Answers {
    fn report(&self) -> Report {
        let since = self.cluster.booted_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let all_ready =
            self.cluster.instances().iter().all(|live| live.is_off() || live.state() == InstanceState::Ready);
        Report {
            instances: self.cluster.instances().iter().map(|live| live.report()).collect(),
            nodes: self.cluster.nodes.first_processes(),
            booted_at_ms: u64::try_from(since.as_millis()).unwrap_or_default(),
            ready: self.ready && all_ready,
            booted: self.ready,
            ending: self.ending,
        }
    }

    async fn summary(&self) -> Result<crate::api::Summary, String> {
        let api = self.cluster.api()?.ok_or("the cluster has no API server")?;
        api.summary().await.map_err(|error| error.to_string())
    }

    async fn images(&self) -> Result<Vec<(String, Vec<crate::cri::Image>)>, String> {
        self.cluster.images().await
    }

    async fn import(&self, archive: &str, name: &str, id: &str) -> Result<Vec<String>, String> {
        self.cluster.import(archive, name, id).await
    }

    async fn remove_image(&self, name: &str) -> Result<Vec<String>, String> {
        self.cluster.remove_image(name).await
    }

    fn ports(&self) -> Vec<control::OpenPort> {
        self.cluster.published()
    }

    fn publish(&self, ports: &[Published]) -> Result<(), String> {
        self.cluster.publish(ports)
    }

    fn unpublish(&self, ports: &[Published]) -> Result<(), String> {
        self.cluster.unpublish(ports)
    }

    async fn copy_state(&self, role: &str) -> Result<control::Copied, String> {
        self.cluster.copy_state(role).await
    }
}
