//! The init's life: sets up what a boot needs, and then is the loop around the rules: an input, a
//! decision, its actions.

use super::nodes::Nodes;
use super::planned::Planned;
use super::ports::Ports;
use super::reducer::{Action, End, Input, InstanceId, Reducer};
use super::requests::Requests;
use super::watch::{By, Watched};
use super::{Cluster, Committed, authority, hooks, outward};
use crate::boot::Inside;
use crate::chain::chain;
use crate::control::{ControlServer, Message};
use crate::events::{Event, FileSink, Sink, Watcher, WriterSink};
use crate::graph::{self, Environment, NodeSpec};
use crate::network::balance::Balancer;
use crate::network::{forward, netlink};
use crate::plugins::{Components, Registered, Snapshot, snapshot};
use crate::process::{Local, Reaper, Spawner};
use crate::root::ClusterFile;
use crate::sandbox::Order;
use crate::settings::WaitFor;
use kubernix_core::roles;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// The host's step that makes the namespaces and the network in them, as it reads in the timeline.
const SANDBOX: &str = "sandbox";

/// How long work that was begun on other threads may take to end with the cluster: it ends at once,
/// or hangs.
const AT_MOST: Duration = Duration::from_secs(2);

/// Runs a cluster until its end. `Inside` says in what; every process that remains in the sandbox
/// is killed. Components are those that are compiled in, and the plugins that the boot names in
/// their place.
///
/// # Errors
/// The engine itself can't start.
pub fn run(inside: &Inside, built_in: Vec<Arc<Registered>>) -> io::Result<()> {
    inside.channel.set_nonblocking(true)?;
    let watched = Arc::new(Watched::new(FileSink::append(&inside.root.events())?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let life = async {
        let end = live(inside, built_in, &watched).await;
        watched.flush().await;
        end
    };
    let end = runtime.block_on(local.run_until(life));
    drop(local);
    inside.kill_all();
    // Work on the uplink comes to its end first, or it would take what is about to be given back.
    runtime.shutdown_timeout(AT_MOST);
    inside.release_uplink();
    // Also one that died a moment ago, when nothing was listening any more.
    if end == End::KeeperGone || inside.has_lost_keeper() {
        inside.clean_without_keeper();
    }
    if let End::BootFailed { error, timed_out } = end {
        // The command is told when nothing is left. One that doesn't read finds it in the file.
        inside.channel.set_nonblocking(false)?;
        inside.channel.set_write_timeout(Some(AT_MOST))?;
        let event = Event::BootFailed { error, timed_out };
        watched.emit(event.clone());
        WriterSink::new(inside.channel.try_clone()?).emit(event);
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

/// What reaches the loop.
struct Inbox {
    inputs: mpsc::UnboundedReceiver<Input>,
    messages: mpsc::UnboundedReceiver<Message>,
}

/// The cluster's life, from its first process to its last.
async fn live(inside: &Inside, built_in: Vec<Arc<Registered>>, watched: &Arc<Watched>) -> End {
    match set_up(inside, built_in, watched).await {
        Ok((cluster, inbox)) => drive(&cluster, inbox).await,
        // The boot can't even begin.
        Err(error) => End::BootFailed { error: chain(&*error), timed_out: false },
    }
}

async fn set_up(
    inside: &Inside,
    built_in: Vec<Arc<Registered>>,
    watched: &Arc<Watched>,
) -> Result<(Rc<Cluster>, Inbox), Box<dyn Error>> {
    // Two handles and no halves of one: a half that is dropped ends the connection, whose last word
    // comes later.
    let open = || inside.channel.try_clone().and_then(UnixStream::from_std);
    let (orders, events) = (open()?, open()?);
    // The last word, that a boot failed, is written when everything is cleaned up.
    watched.add(By::Boot, Watcher::shared(events));
    let (sender, inputs) = mpsc::unbounded_channel();
    let life = inside.life.try_clone()?;
    life.set_nonblocking(true)?;
    listen(UnixStream::from_std(life)?, &sender, input_of_keeper);
    listen(orders, &sender, input_of_command);
    set_up_network(inside).await?;
    outward::raise_uplink(inside, watched);
    let proxies = outward::open(inside, watched).await;
    let reaper = Reaper::default();
    tokio::task::spawn_local(reaper.clone().run());
    let (hooks, asked) = mpsc::unbounded_channel();
    let cluster = assemble(inside, built_in, watched.clone(), reaper, hooks, sender, proxies)?;
    tokio::task::spawn_local(cluster.clone().serve_hooks(asked));
    watched.emit(Event::Ready { instance: SANDBOX.into() });
    forward_api(inside, &cluster)?;
    forward_registry(inside)?;
    cluster.open_ports()?;
    let (messages, received) = mpsc::unbounded_channel();
    let server = ControlServer::open(&inside.root, messages)?;
    tokio::task::spawn_local(server.serve());
    cluster.announce();
    Ok((cluster, Inbox { inputs, messages: received }))
}

/// The loop: an input, a decision, its actions, until the end.
async fn drive(cluster: &Rc<Cluster>, mut inbox: Inbox) -> End {
    let mut input = Input::Tick;
    loop {
        let now = cluster.now();
        let actions = cluster.reducer.borrow_mut().handle(now, input);
        let mut end = None;
        for action in actions {
            if let Action::Exit(how) = &action {
                end = Some(how.clone());
            }
            cluster.perform(action);
        }
        if let Some(end) = end {
            return end;
        }
        input = next(cluster, &mut inbox).await;
    }
}

async fn next(cluster: &Rc<Cluster>, inbox: &mut Inbox) -> Input {
    loop {
        let deadline = cluster.reducer.borrow().deadline();
        let due = async {
            match deadline {
                Some(time) => tokio::time::sleep_until(cluster.instant(time)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The cluster has a sender of its own.
            Some(input) = inbox.inputs.recv() => return input,
            Some(message) = inbox.messages.recv() => {
                if let Some(input) = cluster.input_of(message) {
                    return input;
                }
            }
            () = due => return Input::Tick,
        }
    }
}

async fn set_up_network(inside: &Inside) -> io::Result<()> {
    let addresses = &inside.boot.environment.addresses;
    let mut own = vec![addresses.control_plane_ip()];
    let beside = |node: &&NodeSpec| node.placement.is_in_sandbox();
    own.extend(inside.boot.environment.nodes.iter().filter(beside).map(|node| addresses.node_ip(node.index)));
    netlink::set_up(addresses.nodes, &own).await.map_err(io::Error::other)
}

fn assemble(
    inside: &Inside,
    built_in: Vec<Arc<Registered>>,
    sink: Arc<Watched>,
    reaper: Reaper,
    hooks: mpsc::UnboundedSender<hooks::HookCommand>,
    inputs: mpsc::UnboundedSender<Input>,
    proxies: BTreeMap<String, String>,
) -> Result<Rc<Cluster>, Box<dyn Error>> {
    let file = ClusterFile::read(&inside.root)?.ok_or("cluster.json is gone")?;
    let boot = Rc::new(inside.boot.clone());
    let components = with_plugins(&built_in, &boot.plugins)?;
    let environment = Arc::new(boot.environment.clone());
    let instances = graph::plan(&components, &boot.slots, &environment)?;
    let planned: BTreeMap<InstanceId, Rc<Planned>> = (0..)
        .map(InstanceId)
        .zip(instances)
        .map(|(id, instance)| (id, Rc::new(Planned::new(id, instance, &environment))))
        .collect();
    let later = boot.wait == WaitFor::Node;
    let mut specs: Vec<_> = planned.iter().map(|(id, planned)| (*id, planned.spec(later))).collect();
    authority::hold_nodes(&inside.root, &planned, &mut specs);
    let limit = Duration::from_secs(boot.boot_timeout_s);
    let now = SystemTime::now();
    let cluster = Cluster {
        root: inside.root.clone(),
        lock: inside.lock.clone(),
        built_in,
        reducer: RefCell::new(Reducer::boot(specs, limit, file.revision)),
        next_instance: Cell::new(u32::try_from(planned.len()).unwrap_or(u32::MAX)),
        order: RefCell::new(planned.keys().copied().collect()),
        planned: RefCell::new(planned),
        committed: RefCell::new(Committed { file, boot }),
        writing: Cell::new(false),
        trying: RefCell::default(),
        running: RefCell::default(),
        works: RefCell::default(),
        requests: Requests::default(),
        board: Default::default(),
        spawner: RefCell::new(Spawner { reaper, path: search_path(&environment), target: Arc::new(Local) }),
        nodes: Nodes::of_thread()?,
        hooks,
        inputs,
        sink,
        checker: RefCell::default(),
        proxies,
        ports: Ports::new(inside.host.clone()),
        started: Instant::now(),
        booted_at: now,
        since: Cell::new(now),
    };
    cluster.instances().iter().for_each(|planned| cluster.let_run_commands(planned));
    Ok(Rc::new(cluster))
}

/// The directories of the cluster's binaries before those of the system.
pub(super) fn search_path(environment: &Environment) -> String {
    let own: BTreeSet<_> = environment.binaries.values().filter_map(|path| path.parent()).collect();
    let own = own.into_iter().map(|path| path.to_string_lossy().into_owned());
    let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(String::from);
    own.chain(system).collect::<Vec<_>>().join(":")
}

/// Passes on what comes over a line, up to its end.
fn listen(mut line: UnixStream, inputs: &mpsc::UnboundedSender<Input>, input_of: fn(Option<Order>) -> Input) {
    let inputs = inputs.clone();
    tokio::task::spawn_local(async move {
        loop {
            let order = match line.read_u8().await.map(Order::from_byte) {
                Ok(None) => continue,
                Ok(order) => order,
                Err(_) => None,
            };
            if inputs.send(input_of(order)).is_err() || order.is_none() {
                return;
            }
        }
    });
}

/// What an order of the keeper is to the rules; `None`: the line to it ended.
fn input_of_keeper(order: Option<Order>) -> Input {
    match order {
        Some(Order::Kill) => Input::Kill,
        Some(Order::Interrupt) => Input::Stop,
        None => Input::KeeperGone,
    }
}

/// The same of the command that boots. Once the cluster is up none of it counts any more.
fn input_of_command(order: Option<Order>) -> Input {
    match order {
        Some(Order::Kill) => Input::KillBoot,
        Some(Order::Interrupt) | None => Input::Abandon,
    }
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
    // The same port inside, so that the admin's kubeconfig works in both worlds; the server's own
    // port is answered there.
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

/// Whether it is there already or not: a connection that comes too early is refused, as by any
/// server.
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
