//! The commands and their flags. Flags of settings are plain options without clap's own reading of variables: the host settles
//! what counts, and has to know where a value came from.

mod access;

pub use access::{KubeconfigCommand, PortCommand};

use crate::exit::Exit;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ipnet::Ipv4Net;
use kubernix_host::network::plan::parse_cidr;
use kubernix_host::network::{Published, UplinkMode};
use kubernix_host::spec::{WaitFor, parse_members, parse_name, parse_node};
use std::ffi::OsString;
use std::path::PathBuf;

/// Real Kubernetes clusters out of plain processes, in seconds.
///
/// Without a command: boots a cluster, opens a shell in it, and destroys it when the shell ends.
#[derive(Debug, Parser)]
#[command(name = "kubernix", version, after_long_help = after_help(), disable_help_subcommand = true)]
pub struct Cli {
    /// Flags that every command has.
    #[command(flatten)]
    pub global: Global,
    /// Settings for the boot without a command.
    #[command(flatten)]
    pub boot: BootArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command has.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The cluster's name [default: kubernix]
    #[arg(long, global = true, value_parser = parse_name)]
    pub name: Option<String>,
    /// The directory that clusters live in, each in one of its name [default: /var/lib/kubernix for root]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The configuration file [default: ./kubernix.toml, else the user's]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// Says more on standard error; twice: all there is
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Says nothing on standard error but warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How standard error is written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How standard error is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of a boot; all of them can come from `KUBERNIX_*` variables and `kubernix.toml` as well.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = "Settings of a boot")]
pub struct BootArgs {
    /// The range that all of the cluster's addresses come from [default: 10.10.0.0/16]
    #[arg(long, value_parser = parse_cidr)]
    pub cidr: Option<Ipv4Net>,
    /// The API server's port on 127.0.0.1 [default: the first free one from 6443]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// A way to other networks: auto (where the host has a default route), always or none [default: auto]
    #[arg(long, value_name = "MODE")]
    pub uplink: Option<UplinkMode>,
    /// The local registry's port on 127.0.0.1, if there is one [default: first free from 5000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub registry_port: Option<u16>,
    /// How many nodes the cluster has [default: as many as it has, 1 at first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: Option<u32>,

    /// How many members the control plane has, each on a node of its own: 1, 3, 5 or 7 [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_members)]
    pub control_planes: Option<u32>,

    /// How many zones the nodes are in, in turn, by label [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub zones: Option<u32>,

    /// A port of the host that leads to one of the nodes: 8080:30080, 0.0.0.0:8080:30080, [::1]:53:30053/udp; can be repeated
    #[arg(long, value_name = "HOST:NODEPORT")]
    pub publish: Vec<Published>,
    /// Fills a slot (ROLE=COMPONENT) or sets a parameter (COMPONENT.PARAMETER=VALUE, crio.binary=PATH), with NODE/ before it on that node alone; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The container runtime: short for --set cri=NAME
    #[arg(long, value_name = "COMPONENT")]
    pub cri: Option<String>,
    /// The datastore: short for --set datastore=NAME
    #[arg(long, value_name = "COMPONENT")]
    pub datastore: Option<String>,
    /// What routes Services: short for --set proxy=NAME
    #[arg(long, value_name = "COMPONENT")]
    pub proxy: Option<String>,
    /// The addons that run in the cluster: names separated by commas, or none [default: coredns]
    #[arg(long, value_name = "NAMES")]
    pub addons: Option<String>,
    /// An addon of one's own: a manifest, or a directory of manifests; can be repeated
    #[arg(long = "addon", value_name = "FILE|DIR")]
    pub addon_files: Vec<PathBuf>,
    /// Returns when nodes are Ready and pods can be made, or when all is ready, addons as well [default: all]
    #[arg(long, value_name = "node|all")]
    pub wait: Option<WaitFor>,
    /// Merges the cluster's context into your own kubeconfig, and makes it the current one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub merge_kubeconfig: Option<bool>,
    /// A plugin, or a directory of plugins, that is looked at before all others; can be repeated
    #[arg(long = "plugin", value_name = "FILE|DIR")]
    pub plugins: Vec<PathBuf>,
    /// Doesn't install missing host packages: prints the command and stops
    #[arg(long)]
    pub no_install: bool,
    /// How long the boot may take [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub boot_timeout: Option<u64>,
    /// Where built tools are kept, for all clusters [default: ~/.cache/kubernix]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boots a cluster, or continues one that was stopped; it goes on in the background
    Up(UpArgs),
    /// Shows how a cluster and its components are
    Status,
    /// Runs kubectl on a cluster
    #[command(disable_help_flag = true)]
    Kubectl(KubectlArgs),
    /// Opens your shell with KUBECONFIG and PATH set to reach a cluster
    Shell,
    /// Opens a shell inside a cluster's sandbox, or runs a command there
    Enter(EnterArgs),
    /// Prints what components wrote
    Logs(LogsArgs),
    /// Stops a cluster and keeps its data; `up` continues it
    Stop,
    /// Destroys a cluster and its data
    Down {
        /// All clusters of this place, going on past those that can't be destroyed
        #[arg(long)]
        all: bool,
    },
    /// Lists the clusters
    List,
    /// Prints what `up` would do, without doing it
    Plan(BootArgs),
    /// Shows where the time of the last boot went
    Timeline(TimelineArgs),
    /// Who fills which role
    #[command(subcommand)]
    Component(ComponentCommand),
    /// What runs in the cluster: DNS, metrics, storage, manifests of one's own
    #[command(subcommand)]
    Addon(AddonCommand),
    /// The nodes of a cluster, changed while it runs
    #[command(subcommand)]
    Node(NodeCommand),
    /// Ports of the host that lead to ports of the nodes
    #[command(subcommand)]
    Port(PortCommand),
    /// Your own kubeconfig, and the cluster's context in it
    #[command(subcommand)]
    Kubeconfig(KubeconfigCommand),
    /// Images for pods
    #[command(subcommand)]
    Image(ImageCommand),
    /// A cluster's objects, certificates and settings in one file
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The binaries that clusters are made of
    #[command(subcommand)]
    Toolchain(ToolchainCommand),
    /// Components that others ship
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Prints the version
    Version,
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How a cluster is booted.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Starts over: removes a cluster of that name first, running or not, with all its data; its settings stay
    #[arg(long)]
    pub fresh: bool,
    /// Its settings
    #[command(flatten)]
    pub boot: BootArgs,
}

/// What to do about snapshots.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Saves a cluster, running or stopped: its objects, certificates, keys and settings
    Save {
        /// Where to, or a directory for it [default: among the snapshots beside the clusters, by name and time]
        #[arg(value_name = "FILE|DIR")]
        file: Option<PathBuf>,
    },
    /// Makes a cluster of a snapshot and boots it; with --name one of another name
    Restore {
        /// The snapshot
        file: PathBuf,
        /// Doesn't boot it: `up` does so later
        #[arg(long)]
        no_up: bool,
        /// Settings of the boot
        #[command(flatten)]
        boot: Box<BootArgs>,
    },
    /// Lists snapshots, and says which are damaged
    List {
        /// Where [default: beside the clusters, where `save` puts them]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// What kubectl gets.
#[derive(Debug, Args)]
pub struct KubectlArgs {
    /// kubectl's arguments; after `--` none of them is taken for one of kubernix
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Where to enter and what to run there.
#[derive(Debug, Args)]
pub struct EnterArgs {
    /// A node [default: the control plane]
    pub node: Option<String>,
    /// A command instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Which logs, and how.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Components [default: all]
    #[arg(value_name = "COMPONENT")]
    pub components: Vec<String>,
    /// Goes on with what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Begins this many lines before the end of each log
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
}

/// How to show the timeline.
#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Draws it as a Gantt chart into this SVG file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The picture's title
    #[arg(long, requires = "svg")]
    pub title: Option<String>,
}

/// What to do about components.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Lists roles, who fills them and who could
    List(BootArgs),
    /// Puts another component, binary or parameter in its place while the cluster runs; goes back if it doesn't become ready
    Replace(ReplaceArgs),
}

/// What to replace.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The role, if a component is to fill it
    #[arg(requires = "component", required_unless_present = "set")]
    pub role: Option<String>,
    /// That component; the one that fills the role already is started anew
    pub component: Option<String>,
    /// Settings that change
    #[command(flatten)]
    pub boot: BootArgs,
}

/// What to do about addons.
#[derive(Debug, Subcommand)]
pub enum AddonCommand {
    /// Lists the addons that a cluster has, and those that it could have
    List,
    /// Adds addons to a running cluster and waits until they are ready
    Add(AddonArgs),
    /// Takes addons out of a running cluster, with all that they applied
    Remove(AddonArgs),
}

/// Which addons.
#[derive(Debug, Args)]
pub struct AddonArgs {
    /// Names, as `addon list` has them, or manifests and directories of manifests
    #[arg(required = true, value_name = "NAME|FILE|DIR")]
    pub addons: Vec<String>,
}

/// What to do about nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Adds nodes and waits until they are Ready
    Add {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Moves a node's pods elsewhere and takes it away
    Remove {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
    /// Lists the nodes
    List,
    /// Ends all that runs on a node; its pods move elsewhere
    Stop {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
    /// Starts a stopped node again
    Start {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
}

/// What to do about images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Imports OCI or docker archives, or OCI layouts, into all nodes that lack their images
    Load {
        /// The archives, or directories of OCI layouts
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
    },
    /// Makes an image of one program, linked statically, and loads it
    BuildFrom {
        /// The program
        #[arg(value_name = "BINARY")]
        program: PathBuf,
        /// The image's name; behind `build-from`, `--name` says the same
        #[arg(long, value_name = "NAME")]
        image: String,
        /// Arguments that containers run it with, before those of the pod
        #[arg(last = true, value_name = "ARGS")]
        command: Vec<String>,
    },
    /// Lists the images that the cluster's runtime has
    List,
    /// Removes images from all nodes
    Remove {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Behind `image build-from`, `--name` names the image: the cluster's name stands before it.
pub fn name_the_image(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(at) = args.windows(2).position(|two| two[0] == "image" && two[1] == "build-from") else { return args };
    for arg in args[at + 2..].iter_mut().take_while(|arg| *arg != "--") {
        if arg == "--name" {
            *arg = "--image".into();
        } else if let Some(name) = arg.to_str().and_then(|arg| arg.strip_prefix("--name=")) {
            *arg = format!("--image={name}").into();
        }
    }
    args
}

/// What to do about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Shows every setting and where its value came from
    Show {
        /// Shows components' parameters that have their defaults as well
        #[arg(long)]
        all: bool,
        /// Settings to show as if they were given to `up`
        #[command(flatten)]
        boot: BootArgs,
    },
}

/// What to do about the toolchain.
#[derive(Debug, Subcommand)]
pub enum ToolchainCommand {
    /// Gets everything that a boot would need, building what isn't there yet
    Ensure {
        /// Tools to get beside those
        #[arg(value_name = "TOOL")]
        tools: Vec<String>,
        /// Settings of that boot
        #[command(flatten)]
        boot: Box<BootArgs>,
    },
    /// Lists the tools that are known, and the versions that fit
    List,
}

/// What to do about plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Writes a crate for a component of your own, which builds and boots as it is
    New {
        /// The component's name, also that of the crate's directory in this one
        name: String,
        /// The role that it fills; `cri`: containerd, to begin with [default: one of its own name]
        #[arg(long)]
        role: Option<String>,
    },
    /// Says by name what a plugin does that no cluster can live with: the conformance kit
    Check(Box<CheckArgs>),
    /// Lists the plugins that are found, where each comes from, and what is wrong with those that aren't used
    List {
        /// Where else to look
        #[command(flatten)]
        search: PluginSearch,
    },
    /// Shows all that a plugin says of itself
    Info {
        /// The component
        name: String,
        /// Where else to look
        #[command(flatten)]
        search: PluginSearch,
    },
    /// Installs the plugins of a file, a directory or an address (https, or any with #sha256=HASH at its end)
    Install {
        /// `libX.so` with `X.toml` beside it, a TOML component, a directory of them, or the address of a .tar.gz or .toml
        source: String,
        /// Where to install
        #[command(flatten)]
        to: PluginDirectory,
    },
    /// Removes a plugin that was installed
    Remove {
        /// The component
        name: String,
        /// Where it is installed
        #[command(flatten)]
        from: PluginDirectory,
    },
}

/// Where plugins are searched beside the usual places.
#[derive(Debug, Default, Args)]
pub struct PluginSearch {
    /// A plugin, or a directory of plugins, that comes before all others; can be repeated
    #[arg(long = "plugin", value_name = "FILE|DIR")]
    pub plugins: Vec<PathBuf>,
}

/// What is checked, and how.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// `libX.so` with `X.toml` beside it, a TOML component, or a directory of them
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    /// Boots what fills `cri` or `datastore`, alone, and asks of it what a cluster would; needs root
    #[arg(long)]
    pub live: bool,
    /// Settings of that boot
    #[command(flatten)]
    pub boot: BootArgs,
}

/// A plugin directory.
#[derive(Debug, Args)]
pub struct PluginDirectory {
    /// The machine's directory, for all users [default: the user's]
    #[arg(long, conflicts_with = "dir")]
    pub system: bool,
    /// Any other directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn after_help() -> String {
    let codes: Vec<String> = Exit::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning())).collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

#[cfg(test)]
mod tests;
