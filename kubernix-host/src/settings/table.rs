//! The table of settings: one entry each. Flags, variables, `kubernix.toml`, `config show`, the
//! JSON Schema and the table in `docs/configuration.md` come from it. A new setting is one entry
//! here, and the code that uses it.
//!
//! The description of an entry is what documents and editors show; the help is that of its flag.

use super::define::{self, Value, per_sort, settings};
use super::kind::{Addons, Bool, Choice, Cidr, Count, Directory, Kind, Members, Name, Paths, Port, Publish, Seconds};
use super::resolve::Settled;
use super::setting::{Operations, Scope, Setting, Standard, Takes, setting};
use super::{DEFAULT_NAME, Defaults, Error, Origin, WaitFor};
use crate::network::UplinkMode;
use crate::placement::NodeBackend;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

settings! {
    /// The cluster's name: at most 40 of a-z, 0-9 and `-`, with a `-` only inside.
    Name name: Name = value(DEFAULT_NAME) => setting("name", Scope::Identity)
        .flag("NAME", "The cluster's name [default: kubernix]")
        .global()
        .pinned();

    /// The directory of all clusters, with a subdirectory for each.
    Root root: Directory = of_user(Defaults::root) => setting("root", Scope::Call)
        .flag(
            "DIR",
            "The directory of all clusters, with a subdirectory for each [default: /var/lib/kubernix for root]",
        )
        .global()
        .default("`/var/lib/kubernix`; `~/.local/state/kubernix` if not root");

    /// The range that all of the cluster's addresses come from, `/8` to `/24`; fixed by the first
    /// boot.
    Cidr cidr: Cidr = value("10.10.0.0/16") => setting("cidr", Scope::Boot)
        .flag("CIDR", "The range that all of the cluster's addresses come from [default: 10.10.0.0/16]")
        .pinned();

    /// The API server's port on 127.0.0.1.
    Port port: Port = unset("first free from 6443") => setting("port", Scope::Boot)
        .flag("PORT", "The API server's port on 127.0.0.1 [default: the first free one from 6443]")
        .of_host();

    /// The access to other networks: `auto` if the host has a default route, `always`, or `none`.
    Uplink uplink: Choice<UplinkMode> = value("auto") => setting("uplink", Scope::Boot)
        .flag(
            "MODE",
            "A way to other networks: auto (where the host has a default route), always or none [default: auto]",
        )
        .document("network.md");

    /// The local registry's port on 127.0.0.1, if there is one.
    RegistryPort registry_port: Port = unset("first free from 5000") => setting("registry-port", Scope::Boot)
        .flag("PORT", "The local registry's port on 127.0.0.1, if there is one [default: first free from 5000]")
        .of_host();

    /// How many nodes the cluster has.
    Nodes nodes: Count = unset("1") => setting("nodes", Scope::Cluster)
        .flag("N", "How many nodes the cluster has [default: as many as it has, 1 at first]")
        .default("as many as it has, 1 at first")
        .document("nodes.md");

    /// How many members the control plane has, each on a node of its own: 1, 3, 5 or 7; fixed by
    /// the first boot.
    ControlPlanes control_planes: Members = unset("1") => setting("control-planes", Scope::Cluster)
        .flag("N", "How many members the control plane has, each on a node of its own: 1, 3, 5 or 7 [default: 1]")
        .default("`1`");

    /// What nodes are placed into: `namespaces`, or `podman` for a container each; fixed by the
    /// first boot.
    Placement placement: Choice<NodeBackend> = unset("namespaces") => setting("placement", Scope::Cluster)
        .flag("KIND", "What nodes are placed into: namespaces, or podman (a container each) [default: namespaces]")
        .default("`namespaces`");

    /// How many zones the nodes are in, in turn, by label.
    Zones zones: Count = unset("none") => setting("zones", Scope::Cluster)
        .flag("N", "How many zones the nodes are in, in turn, by label [default: none]");

    /// Ports of the host that are forwarded to ports of the nodes, as `HOST:NODEPORT[/udp]`.
    Publish publish: Publish = value("") => setting("publish", Scope::Cluster)
        .flag_of(
            "publish",
            Takes::Many("HOST:NODEPORT"),
            "A port of the host that leads to one of the nodes: 8080:30080, 0.0.0.0:8080:30080, [::1]:53:30053/udp; \
             can be repeated",
        )
        .of_host()
        .document("network.md#published-ports");

    /// The addons that run in the cluster, by name; `none` or an empty list for no addon.
    Addons addons: Addons = unset("default") => setting("addons", Scope::Cluster)
        .flag("NAMES", "The addons that run in the cluster: names separated by commas, or none [default: coredns]")
        .default("`coredns`")
        .document("addons.md");

    /// Addons of one's own: manifests, and directories of manifests.
    AddonFiles addon_files: Paths = value("") => setting("addon-files", Scope::Cluster)
        .flag_of(
            "addon",
            Takes::Many("FILE|DIR"),
            "An addon of one's own: a manifest, or a directory of manifests; can be repeated",
        )
        .document("addons.md");

    /// When `up` returns: with `node` when nodes are Ready and pods can be created, with `all` when
    /// addons are ready as well.
    Wait wait: Choice<WaitFor> = value("all") => setting("wait", Scope::Call)
        .flag(
            "node|all",
            "Returns when nodes are Ready and pods can be made, or when all is ready, addons as well [default: all]",
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

    /// Plugins, and directories of plugins, that are preferred to all others.
    Plugins plugins: Paths = value("") => setting("plugins", Scope::Cluster)
        .flag_of(
            "plugin",
            Takes::Many("FILE|DIR"),
            "A plugin, or a directory of plugins, that is looked at before all others; can be repeated",
        )
        .document("plugins.md");

    /// Further plugins, and directories of plugins, that are searched after those.
    PluginPath plugin_path: Paths = value("") => setting("plugin-path", Scope::Cluster).document("plugins.md");

    /// Whether missing host packages may be installed.
    Install install: Bool = value("true") => setting("install", Scope::Call)
        .flag_of(
            "no-install",
            Takes::Nothing("false"),
            "Doesn't install missing host packages: prints the command and stops",
        );

    /// How long a boot may take, in seconds.
    BootTimeout boot_timeout_s: Seconds = value("120") => setting("boot-timeout", Scope::Call)
        .flag("SECONDS", "How long the boot may take [default: 120]");

    /// The directory of built binaries, for all clusters.
    CacheDir cache_dir: Directory = of_user(Defaults::cache_dir) => setting("cache-dir", Scope::Call)
        .flag("DIR", "Where built tools are kept, for all clusters [default: ~/.cache/kubernix]")
        .default("`~/.cache/kubernix`");
}

impl Id {
    /// What the table has about it.
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
