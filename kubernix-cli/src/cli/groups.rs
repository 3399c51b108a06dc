//! Commands of commands, a group for each thing that there are several of.

use super::BootArgs;
use clap::{Args, Subcommand};
use kubernix_host::settings::parse_node;
use std::path::PathBuf;

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
