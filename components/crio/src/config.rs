//! The content of CRI-O's configuration files. It must not know their paths: [`Layout`] does.

use crate::layout::{Driver, Layout};
use crate::{PAUSE_IMAGE, runtime};
use kubernix_core::{Context, Result, facts, quote};
use std::collections::BTreeSet;

/// Images come from local archives and from the user's registries, so no signature is required.
pub(crate) const POLICY: &str = "{ \"default\": [{ \"type\": \"insecureAcceptAnything\" }] }\n";

/// Short names mean Docker Hub, as users expect of `kubectl run --image=nginx`.
const REGISTRIES: &str = "\
unqualified-search-registries = [\"docker.io\"]
short-name-mode = \"permissive\"
";

/// registries.conf: the mirrors that are tried before the registry of an image's name.
pub(crate) fn registries_conf(ctx: &Context<'_>) -> String {
    let mirror = |url: &String| {
        let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
        // `insecure` means without TLS.
        let insecure = url.starts_with("http://");
        format!("[[registry.mirror]]\nlocation = {}\ninsecure = {insecure}\n", quote(place))
    };
    let registry = |(prefix, mirrors): (String, Vec<String>)| {
        let mirrors: String = mirrors.iter().map(mirror).collect();
        format!("\n[[registry]]\nprefix = {0}\nlocation = {0}\n{mirrors}", quote(&prefix))
    };
    let registries: String = ctx.registries().into_iter().map(registry).collect();
    format!("{REGISTRIES}{registries}")
}

/// The levels of CRI-O's log.
pub(crate) const LOG_LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "fatal", "panic"];

/// Paths as a TOML array.
fn array<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = items.into_iter().map(quote).collect();
    format!("[{}]", quoted.join(", "))
}

/// storage.conf: without it CRI-O would use the host's /etc/containers/storage.conf.
pub(crate) fn storage_conf(layout: &Layout) -> String {
    format!(
        "\
[storage]
driver = {driver}
graphroot = {root}
runroot = {run}
",
        driver = quote(layout.driver.name()),
        root = quote(&layout.storage()),
        run = quote(&layout.volatile("run")),
    )
}

/// crio.conf. Each setting with a default path on the host is set here.
pub(crate) fn crio_conf(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    Ok([root(layout)?, api_and_images(layout)?, runtime_section(ctx, layout)?, network(ctx, layout)?].join("\n"))
}

fn root(layout: &Layout) -> Result<String> {
    let option = match layout.driver {
        Driver::Overlay => format!("overlay.imagestore={}", layout.images()),
        Driver::Vfs => format!("vfs.imagestore={}", layout.images()),
    };
    Ok(format!(
        "\
[crio]
root = {root}
runroot = {run}
storage_driver = {driver}
# A read-only store: imported images survive damage to CRI-O's own store.
storage_option = {option}
log_dir = {logs}
# Doesn't survive a boot, so CRI-O knows that no earlier container can be running.
version_file = {version}
version_file_persist = \"\"
clean_shutdown_file = {clean}
# After an unclean shutdown the check misses the layers of the read-only store, reports all containers as broken, can't repair
# them, and deletes all pulled images. Earlier containers are removed in any case.
internal_repair = false
",
        root = quote(&layout.storage()),
        run = quote(&layout.volatile("run")),
        driver = quote(layout.driver.name()),
        option = array([&*option]),
        logs = quote(&layout.logs()),
        version = quote(&layout.volatile("version")),
        clean = quote(&layout.clean_shutdown_file()),
    ))
}

fn api_and_images(layout: &Layout) -> Result<String> {
    Ok(format!(
        "\
[crio.api]
listen = {socket}
stream_address = \"127.0.0.1\"
stream_port = \"0\"

[crio.image]
pause_image = {pause}
# The image's own entry point.
pause_command = \"\"
pinned_images = {pinned}
signature_policy = {policy}
signature_policy_dir = {policies}
big_files_temporary_dir = {temporary}

[crio.metrics]
enable_metrics = false

[crio.nri]
enable_nri = false
",
        socket = quote(layout.socket()?.path()),
        pause = quote(PAUSE_IMAGE),
        pinned = array([PAUSE_IMAGE]),
        policy = quote(&layout.policy()),
        policies = quote(&layout.volatile("policies")),
        temporary = quote(&layout.temporary()),
    ))
}

fn runtime_section(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    let log_level = ctx.parameter("log-level")?;
    let (name, path) = runtime::runtime(ctx, layout)?;
    let driver = ctx.fact(facts::CGROUP_DRIVER).unwrap_or_else(|| "cgroupfs".into());
    Ok(format!(
        "\
[crio.runtime]
log_level = {log_level}
cgroup_manager = {driver}
# conmon runs in its pod's cgroup.
conmon_cgroup = \"pod\"
default_runtime = {name}
pinns_path = {pinns}
namespaces_dir = {namespaces}
container_exits_dir = {exits}
container_attach_socket_dir = {attach}
# CRI-O would load its own profile into the host's kernel; pods can still name profiles.
apparmor_profile = \"unconfined\"
irqbalance_config_restore_file = \"disable\"
decryption_keys_path = \"\"
hooks_dir = []
cdi_spec_dirs = []
enable_criu_support = false

[crio.runtime.runtimes.{name}]
runtime_path = {path}
runtime_type = \"oci\"
runtime_root = {runtime_root}
monitor_path = {conmon}
monitor_cgroup = \"pod\"
",
        log_level = quote(&log_level),
        driver = quote(&driver),
        name = quote(&name),
        pinns = quote(&ctx.executable("pinns")?),
        namespaces = quote(&layout.volatile("ns")),
        exits = quote(&layout.volatile("exits")),
        attach = quote(&layout.attach_sockets()),
        path = quote(&path),
        runtime_root = quote(&layout.volatile("runtime")),
        conmon = quote(&ctx.executable("conmon")?),
    ))
}

fn network(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    let mut directories = BTreeSet::new();
    for plugin in ["bridge", "host-local", "loopback"] {
        let path = ctx.executable(plugin)?;
        directories.insert(path.rsplit_once('/').map_or("/", |(directory, _)| directory).to_owned());
    }
    Ok(format!(
        "\
[crio.network]
network_dir = {directory}
plugin_dirs = {plugins}
",
        directory = quote(&layout.cni_dir()),
        plugins = array(directories.iter().map(String::as_str)),
    ))
}
