//! Sets up the engine for a boot: the network, the connections to keeper and commands, and the
//! planned instances.

use super::broadcast::{Broadcast, Subscriber};
use super::hooks::HookCommand;
use super::nodes::Nodes;
use super::planned::Planned;
use super::ports::{PortError, Ports};
use super::reducer::{Input, InstanceId, Reducer};
use super::requests::Requests;
use super::{Cluster, Committed, authority, egress, forwarding};
use crate::boot::Inside;
use crate::control::{ControlServer, Message};
use crate::events::{Event, Sink, Watcher};
use crate::graph::{self, Environment, GraphError, NodeSpec};
use crate::network::netlink;
use crate::plugins::{Components, Registered, Snapshot, snapshot};
use crate::process::{Local, Reaper, Spawner};
use crate::root_dir::{self, ClusterFile};
use crate::sandbox::Order;
use crate::settings::WaitFor;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The host's step that creates the sandbox, by its name in the timeline.
const SANDBOX: &str = "sandbox";

/// Why a boot can't begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetUpError {
    /// The network, a socket or a connection can't be set up.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The committed state can't be read.
    #[error(transparent)]
    State(#[from] root_dir::Error),
    /// The committed state is missing.
    #[error("cluster.json is missing")]
    NoState,
    /// A plugin can't be loaded.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The instances can't be planned.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A port can't be published.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A plugin can't be loaded. The text names its file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct PluginError(String);

/// Loads the plugins of a boot, and adds the compiled-in components that they don't replace.
pub(super) fn load_components(
    built_in: &Components,
    plugins: &[Snapshot],
) -> Result<Vec<Arc<Registered>>, PluginError> {
    let mut all = snapshot::load(plugins).map_err(|error| PluginError(error.to_string()))?;
    let is_replaced = |component: &Registered| all.iter().any(|plugin| plugin.name() == component.name());
    let others: Vec<_> = built_in.iter().filter(|component| !is_replaced(component)).cloned().collect();
    all.extend(others);
    Ok(all)
}

/// The directories of the cluster's binaries, then those of the system.
pub(super) fn search_path(environment: &Environment) -> String {
    let own: BTreeSet<_> = environment.binaries.values().filter_map(|path| path.parent()).collect();
    let own = own.into_iter().map(|path| path.to_string_lossy().into_owned());
    let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(String::from);
    own.chain(system).collect::<Vec<_>>().join(":")
}

/// The receivers of the event loop.
pub(super) struct Inbox {
    pub inputs: mpsc::UnboundedReceiver<Input>,
    pub messages: mpsc::UnboundedReceiver<Message>,
}

/// Sets up the cluster, and the background tasks that don't depend on its instances.
pub(super) async fn set_up(
    inside: &Inside,
    built_in: Vec<Arc<Registered>>,
    sink: &Arc<Broadcast>,
) -> Result<(Rc<Cluster>, Inbox), SetUpError> {
    let (sender, inputs) = mpsc::unbounded_channel();
    receive_orders(inside, &sender, sink)?;
    set_up_network(inside).await?;
    egress::set_up_uplink(inside, sink);
    let proxies = egress::forward(inside, sink).await;
    let reaper = Reaper::default();
    tokio::task::spawn_local(reaper.clone().run());
    let (hooks, commands) = mpsc::unbounded_channel();
    let cluster = assemble(inside, built_in, sink.clone(), reaper, hooks, sender, proxies)?;
    tokio::task::spawn_local(cluster.clone().run_hook_commands(commands));
    sink.emit(Event::Ready { instance: SANDBOX.into() });
    forwarding::forward_api(inside, &cluster)?;
    forwarding::forward_registry(inside)?;
    cluster.open_missing(&cluster.boot())?;
    let (messages, received) = mpsc::unbounded_channel();
    let server = ControlServer::open(&inside.root, messages)?;
    tokio::task::spawn_local(server.serve());
    cluster.emit_planned();
    Ok((cluster, Inbox { inputs, messages: received }))
}

async fn set_up_network(inside: &Inside) -> io::Result<()> {
    let addresses = &inside.boot.environment.addresses;
    let mut own = vec![addresses.control_plane_ip()];
    let in_sandbox = |node: &&NodeSpec| node.placement.is_in_sandbox();
    own.extend(inside.boot.environment.nodes.iter().filter(in_sandbox).map(|node| addresses.node_ip(node.index)));
    netlink::set_up(addresses.nodes, &own).await.map_err(io::Error::other)
}

/// Receives orders of the keeper and of the command that boots, and sends events to the latter.
fn receive_orders(inside: &Inside, inputs: &mpsc::UnboundedSender<Input>, sink: &Broadcast) -> io::Result<()> {
    // The channel is cloned and not split: dropping one half would close the connection, but the
    // event of a failed boot is sent after everything is cleaned up.
    let channel = || inside.channel.try_clone().and_then(UnixStream::from_std);
    let (orders, events) = (channel()?, channel()?);
    sink.add(Subscriber::Boot, Watcher::shared(events));
    let life = inside.life.try_clone()?;
    life.set_nonblocking(true)?;
    listen(UnixStream::from_std(life)?, inputs, keeper_input);
    listen(orders, inputs, command_input);
    Ok(())
}

/// Converts the orders of a connection to inputs, until the connection closes.
fn listen(mut connection: UnixStream, inputs: &mpsc::UnboundedSender<Input>, convert: fn(Option<Order>) -> Input) {
    let inputs = inputs.clone();
    tokio::task::spawn_local(async move {
        loop {
            let order = match connection.read_u8().await.map(Order::from_byte) {
                Ok(None) => continue,
                Ok(order) => order,
                Err(_) => None,
            };
            if inputs.send(convert(order)).is_err() || order.is_none() {
                return;
            }
        }
    });
}

/// The input for an order of the keeper; `None` if the connection closed.
fn keeper_input(order: Option<Order>) -> Input {
    match order {
        Some(Order::Kill) => Input::Kill,
        Some(Order::Interrupt) => Input::Stop,
        None => Input::KeeperGone,
    }
}

/// The input for an order of the command that boots; `None` if the connection closed. The reducer
/// ignores it after the boot.
fn command_input(order: Option<Order>) -> Input {
    match order {
        Some(Order::Kill) => Input::KillBoot,
        Some(Order::Interrupt) | None => Input::AbortBoot,
    }
}

fn assemble(
    inside: &Inside,
    built_in: Vec<Arc<Registered>>,
    sink: Arc<Broadcast>,
    reaper: Reaper,
    hooks: mpsc::UnboundedSender<HookCommand>,
    inputs: mpsc::UnboundedSender<Input>,
    proxies: BTreeMap<String, String>,
) -> Result<Rc<Cluster>, SetUpError> {
    let file = ClusterFile::read(&inside.root)?.ok_or(SetUpError::NoState)?;
    let boot = Rc::new(inside.boot.clone());
    let components = load_components(&built_in, &boot.plugins)?;
    let environment = Arc::new(boot.environment.clone());
    let instances = graph::plan(&components, &boot.slots, &environment)?;
    let planned: BTreeMap<InstanceId, Rc<Planned>> = (0..)
        .map(InstanceId)
        .zip(instances)
        .map(|(id, instance)| (id, Rc::new(Planned::new(id, instance, &environment))))
        .collect();
    let background_addons = boot.wait == WaitFor::Node;
    let mut specs: Vec<_> = planned.iter().map(|(id, planned)| (*id, planned.spec(background_addons))).collect();
    authority::delay_nodes(&inside.root, &planned, &mut specs);
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
        pending: RefCell::default(),
        running: RefCell::default(),
        works: RefCell::default(),
        requests: Requests::default(),
        readiness: Default::default(),
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
    cluster.instances().iter().for_each(|planned| cluster.enable_hook_commands(planned));
    Ok(Rc::new(cluster))
}
