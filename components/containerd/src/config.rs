//! The content of the configuration files. It must not know their paths: [`Layout`] does.

use crate::layout::Layout;
use kubernix_core::{Binary, Context, Error, Result, facts, quote};
use std::collections::BTreeSet;

/// The namespace in which containerd's CRI keeps its images and containers.
pub(crate) const NAMESPACE: &str = "k8s.io";
/// The image of each pod's pause container. The host builds and imports it; it is never pulled.
pub(crate) const PAUSE_IMAGE: &str = "kubernix.local/pause:1.0.0";
/// The parameter that chooses the OCI runtime.
pub(crate) const RUNTIME: &str = "runtime";
/// The CNI plugins for a pod's network.
pub(crate) const CNI_PLUGINS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];
/// The levels of containerd's log.
pub(crate) const LOG_LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "fatal", "panic"];

/// The snapshotter, which creates containers' file systems from images' layers. It copies them if
/// overlays can't be mounted.
pub(crate) fn snapshotter(ctx: &Context<'_>) -> &'static str {
    if ctx.fact(facts::OVERLAY).as_deref() == Some("false") { "native" } else { "overlayfs" }
}

/// The OCI runtime that the shim calls: name and path.
fn runtime(ctx: &Context<'_>) -> Result<(String, String)> {
    let path = ctx.executable(Binary::from_parameter(RUNTIME))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::invalid(format!("OCI runtime `{path}` has a file name that isn't letters, digits, -_.")));
    }
    Ok((name.to_owned(), path))
}

/// config.toml. Each setting with a default path on the host is set here or switched off.
pub(crate) fn containerd(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    let (runtime, runtime_path) = runtime(ctx)?;
    Ok(format!(
        "\
version = 3
root = {content}
state = {state}
temp = {temp}
imports = []
disabled_plugins = [
    \"io.containerd.internal.v1.opt\",
    \"io.containerd.image-verifier.v1.bindir\",
    \"io.containerd.snapshotter.v1.blockfile\",
    \"io.containerd.snapshotter.v1.btrfs\",
    \"io.containerd.snapshotter.v1.devmapper\",
    \"io.containerd.snapshotter.v1.erofs\",
    \"io.containerd.snapshotter.v1.zfs\",
]

[grpc]
address = {socket}

[ttrpc]
address = {ttrpc}

[plugins.\"io.containerd.nri.v1.nri\"]
disable = true

[plugins.\"io.containerd.shim.v1.manager\"]
socket_dir = {shims}

[plugins.\"io.containerd.cri.v1.images\"]
snapshotter = {snapshotter}

[plugins.\"io.containerd.cri.v1.images\".registry]
config_path = {registries}

[plugins.\"io.containerd.cri.v1.images\".pinned_images]
sandbox = {pause}

[plugins.\"io.containerd.cri.v1.runtime\"]
# Without CAP_SYS_RESOURCE no process may lower an oom_score_adj, and pods that ask for it would fail to start.
restrict_oom_score_adj = {restrict}
# containerd would load its own profile into the host's kernel.
disable_apparmor = true
netns_mounts_under_state_dir = true
cdi_spec_dirs = []

[plugins.\"io.containerd.cri.v1.runtime\".cni]
bin_dirs = {plugins}
conf_dir = {cni}

[plugins.\"io.containerd.cri.v1.runtime\".containerd]
default_runtime_name = {runtime}

[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.{runtime}]
runtime_type = \"io.containerd.runc.v2\"
runtime_path = {shim}

[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.{runtime}.options]
BinaryName = {runtime_path}
Root = {runtime_root}
SystemdCgroup = {systemd}
",
        content = quote(&layout.content()),
        state = quote(&layout.volatile("state")),
        temp = quote(&layout.volatile("tmp")),
        socket = quote(layout.socket.path()),
        ttrpc = quote(&layout.volatile("ttrpc.sock")),
        // A short name: sockets in there are called by 64 digits.
        shims = quote(&layout.volatile("s")),
        snapshotter = quote(snapshotter(ctx)),
        registries = quote(&layout.registries()),
        pause = quote(PAUSE_IMAGE),
        restrict = !ctx.is(facts::LOWER_OOM_SCORE),
        plugins = plugin_directories(ctx)?,
        cni = quote(&layout.cni()),
        shim = quote(&ctx.executable("containerd-shim-runc-v2")?),
        runtime = quote(&runtime),
        runtime_path = quote(&runtime_path),
        runtime_root = quote(&layout.volatile("runtime")),
        systemd = ctx.fact(facts::CGROUP_DRIVER).as_deref() == Some("systemd"),
    ))
}

/// The directories of the CNI plugins, as a TOML array.
fn plugin_directories(ctx: &Context<'_>) -> Result<String> {
    let mut directories = BTreeSet::new();
    for plugin in CNI_PLUGINS {
        let path = ctx.executable(plugin)?;
        directories.insert(quote(path.rsplit_once('/').map_or("/", |(directory, _)| directory)));
    }
    Ok(format!("[{}]", directories.into_iter().collect::<Vec<_>>().join(", ")))
}

/// The CNI configuration: a bridge as the pods' gateway, addresses from the node's pod CIDR, and
/// host ports. Pods of other nodes see the pod's own address, as Kubernetes requires. For other
/// networks, the cluster's uplink masquerades it.
///
/// Uses nftables, since some kernels lack the legacy xt targets. Leases are volatile like CNI's
/// cache of results: keeping only one of the two leaks addresses.
pub(crate) fn conflist(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    Ok(format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "kubernix",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {{
        "type": "host-local",
        "dataDir": {leases},
        "ranges": [[{{ "subnet": {subnet} }}]],
        "routes": [{{ "dst": "0.0.0.0/0" }}]
      }}
    }},
    {{ "type": "portmap", "backend": "nftables", "capabilities": {{ "portMappings": true }} }}
  ]
}}
"#,
        leases = quote(&layout.volatile("ipam")),
        subnet = quote(&ctx.node()?.pod_cidr),
    ))
}
