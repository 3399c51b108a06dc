//! The table of settings. Flags, variables, `kubernix.toml`, `config show`, the JSON Schema and the
//! table in `docs/configuration.md` are generated from it. A new setting is one entry here, and the
//! code that uses it.
//!
//! Documents and editors show the description of an entry. The help is that of its flag.

use super::define::{self, Value, per_sort, settings};
use super::kind::{Addons, Bool, Choice, Cidr, Count, Directory, Kind, Members, Name, Paths, Port, Publish, Seconds};
use super::resolve::Resolver;
use super::setting::{DefaultValue, Operations, Scope, Setting, Takes, setting};
use super::{DEFAULT_NAME, Defaults, Error, Origin, WaitFor};
use crate::network::UplinkMode;
use crate::placement::NodeBackend;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

settings! {
    /// The cluster's name: at most 40 of a-z, 0-9 and `-`, with a `-` only inside.
    Name name: Name = value(DEFAULT_NAME) => setting("name", Scope::Identity)
        .flag("NAME", "The cluster's name")
        .global()
        .pinned();

    /// The directory of all clusters, with a subdirectory for each.
    Root root: Directory = of_user(Defaults::root) => setting("root", Scope::Call)
        .flag(
            "DIR",
            "The directory of all clusters, with a subdirectory for each",
        )
        .global()
        .default("`/var/lib/kubernix`; `~/.local/state/kubernix` if not root");

    /// The range that all of the cluster's addresses come from, `/8` to `/24`; fixed by the first
    /// boot.
    Cidr cidr: Cidr = value("10.10.0.0/16") => setting("cidr", Scope::Boot)
        .flag("CIDR", "The range that all of the cluster's addresses come from")
        .pinned();

    /// The API server's port on 127.0.0.1.
    Port port: Port = unset("first free from 6443") => setting("port", Scope::Boot)
        .flag("PORT", "The API server's port on 127.0.0.1")
        .host_ports();

    /// The access to other networks: `auto` if the host has a default route, `always`, or `none`.
    Uplink uplink: Choice<UplinkMode> = value("auto") => setting("uplink", Scope::Boot)
        .flag(
            "MODE",
            "The access to other networks: auto (if the host has a default route), always or none",
        )
        .document("network.md");

    /// The port of the local registry on 127.0.0.1, if the registry runs.
    RegistryPort registry_port: Port = unset("first free from 5000") => setting("registry-port", Scope::Boot)
        .flag("PORT", "The port of the local registry on 127.0.0.1, if the registry runs")
        .host_ports();

    /// The number of nodes.
    Nodes nodes: Count = unset("1") => setting("nodes", Scope::Cluster)
        .flag("N", "The number of nodes")
        .default("the present number, 1 at first")
        .document("nodes.md");

    /// The number of members of the control plane, each on its own node: 1, 3, 5 or 7; fixed by the
    /// first boot.
    ControlPlanes control_planes: Members = unset("1") => setting("control-planes", Scope::Cluster)
        .flag("N", "The number of members of the control plane, each on its own node: 1, 3, 5 or 7")
        .default("`1`");

    /// Where nodes run: in `namespaces`, or with `podman` each in a container; fixed by the first
    /// boot.
    Placement placement: Choice<NodeBackend> = unset("namespaces") => setting("placement", Scope::Cluster)
        .flag("KIND", "Where nodes run: in namespaces, or with podman each in a container")
        .default("`namespaces`");

    /// The number of zones. Nodes are distributed over them in turn, by label.
    Zones zones: Count = unset("none") => setting("zones", Scope::Cluster)
        .flag("N", "The number of zones: nodes are distributed over them in turn, by label");

    /// Host ports that are forwarded to node ports, as `HOST:NODEPORT[/udp]`.
    Publish publish: Publish = value("") => setting("publish", Scope::Cluster)
        .flag_of(
            "publish",
            Takes::Many("HOST:NODEPORT"),
            "A host port that is forwarded to a node port: 8080:30080, 0.0.0.0:8080:30080, [::1]:53:30053/udp; \
             can be repeated",
        )
        .host_ports()
        .document("network.md#published-ports");

    /// The addons that run in the cluster, by name; `none` or an empty list for no addon.
    Addons addons: Addons = unset("default") => setting("addons", Scope::Cluster)
        .flag("NAMES", "The addons that run in the cluster: names separated by commas, or none")
        .default("`coredns`")
        .document("addons.md");

    /// Your own addons: manifests, and directories of manifests.
    AddonFiles addon_files: Paths = value("") => setting("addon-files", Scope::Cluster)
        .flag_of(
            "addon",
            Takes::Many("FILE|DIR"),
            "Your own addon: a manifest, or a directory of manifests; can be repeated",
        )
        .document("addons.md");

    /// When `up` returns: with `node` when nodes are Ready and pods can be created, with `all` when
    /// addons are ready as well.
    Wait wait: Choice<WaitFor> = value("all") => setting("wait", Scope::Call)
        .flag(
            "node|all",
            "Returns when nodes are Ready and pods can be created, or when addons are ready as well",
        );

    /// Whether each boot merges the cluster's context into your own kubeconfig, and makes it the
    /// current one.
    MergeKubeconfig merge_kubeconfig: Bool = value("false") => setting("merge-kubeconfig", Scope::Cluster)
        .flag_of(
            "merge-kubeconfig",
            Takes::Optional { name: "BOOL", bare: "true" },
            "Merges the cluster's context into your own kubeconfig, and makes it the current one",
        )
        .document("kubeconfig.md");

    /// Plugins, and directories of plugins, that have precedence over all others.
    Plugins plugins: Paths = value("") => setting("plugins", Scope::Cluster)
        .flag_of(
            "plugin",
            Takes::Many("FILE|DIR"),
            "A plugin, or a directory of plugins, that has precedence over all others; can be repeated",
        )
        .document("plugins.md");

    /// Further plugins, and directories of plugins, that are searched after those of `plugins`.
    PluginPath plugin_path: Paths = value("") => setting("plugin-path", Scope::Cluster).document("plugins.md");

    /// Whether missing host packages may be installed.
    Install install: Bool = value("true") => setting("install", Scope::Call)
        .flag_of(
            "no-install",
            Takes::Nothing("false"),
            "Doesn't install missing host packages: prints the command and stops",
        );

    /// The time limit of a boot, in seconds.
    BootTimeout boot_timeout_s: Seconds = value("120") => setting("boot-timeout", Scope::Call)
        .flag("SECONDS", "The time limit of a boot");

    /// The directory of built binaries, for all clusters.
    CacheDir cache_dir: Directory = of_user(Defaults::cache_dir) => setting("cache-dir", Scope::Call)
        .flag("DIR", "The directory of built binaries, for all clusters")
        .default("`~/.cache/kubernix`");
}

impl Id {
    /// Its entry of the table.
    pub fn setting(self) -> &'static Setting {
        &TABLE[self as usize]
    }

    /// The setting of this name in `kubernix.toml`.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.setting().key() == key)
    }

    /// The setting of this variable.
    pub fn of_variable(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.setting().variable() == name)
    }
}
