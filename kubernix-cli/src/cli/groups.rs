//! The commands that have subcommands, such as `node` and `image`.

use super::BootArgs;
use clap::{Args, Subcommand};
use kubernix_host::settings::parse_node;
use std::path::PathBuf;

/// The subcommands of `component`.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// List roles, the components that fill them, and the components that could
    List(BootArgs),
    /// Replace a component, binary or parameter of a running cluster; restore the old one if the
    /// new one doesn't become ready
    Replace(ReplaceArgs),
}

/// Arguments of `component replace`.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The role to fill with another component
    #[arg(requires = "component", required_unless_present = "set")]
    pub role: Option<String>,
    /// The component to fill it with; one that fills the role already is restarted
    pub component: Option<String>,
    /// Settings to change
    #[command(flatten)]
    pub boot: BootArgs,
}

/// The subcommands of `addon`.
#[derive(Debug, Subcommand)]
pub enum AddonCommand {
    /// List the addons of a cluster, and those that it could have
    List,
    /// Add addons to a running cluster and wait until they are ready
    Add(AddonArgs),
    /// Remove addons from a running cluster, with all objects that they applied
    Remove(AddonArgs),
}

/// The addons that `addon add` and `addon remove` change.
#[derive(Debug, Args)]
pub struct AddonArgs {
    /// Names from `addon list`, manifests, or directories of manifests
    #[arg(required = true, value_name = "NAME|FILE|DIR")]
    pub addons: Vec<String>,
}

/// The subcommands of `node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Add nodes and wait until they are Ready
    Add {
        /// The number of nodes to add
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Drain a node and remove it from the cluster
    Remove {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
    /// List the nodes
    List,
    /// Stop everything on a node; its pods are created on other nodes
    Stop {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
    /// Start a stopped node
    Start {
        /// The node
        #[arg(value_parser = parse_node)]
        node: String,
    },
}

/// The subcommands of `image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Import OCI archives, docker archives or OCI layouts into all nodes that lack their images
    Load {
        /// Archives, or directories with an OCI layout
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
    },
    /// Build an image of one statically linked program and load it
    BuildFrom {
        /// The program
        #[arg(value_name = "BINARY")]
        program: PathBuf,
        /// The name of the image; behind `build-from`, `--name` is the same option
        #[arg(long, value_name = "NAME")]
        image: String,
        /// Arguments of the image's entry point, in front of those of the pod
        #[arg(last = true, value_name = "ARGS")]
        command: Vec<String>,
    },
    /// List the images of the cluster's container runtime
    List,
    /// Remove images from all nodes
    Remove {
        /// The names of the images
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// The subcommands of `snapshot`.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Save a running or stopped cluster: its objects, certificates, keys and settings
    Save {
        /// The file to write, or a directory for it [default: .snapshots below --root, named by
        /// cluster and time]
        #[arg(value_name = "FILE|DIR")]
        file: Option<PathBuf>,
    },
    /// Create a cluster from a snapshot and boot it; --name gives it another name
    Restore {
        /// The snapshot
        file: PathBuf,
        /// Creates the cluster without booting it; `up` boots it later
        #[arg(long)]
        no_up: bool,
        /// Settings of the boot
        #[command(flatten)]
        boot: Box<BootArgs>,
    },
    /// List snapshots, and mark damaged ones
    List {
        /// The directory to search [default: .snapshots below --root]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// The subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting and where its value comes from
    Show {
        /// Includes parameters of components that have their default values
        #[arg(long)]
        all: bool,
        /// Settings to show as if they were given to `up`
        #[command(flatten)]
        boot: Box<BootArgs>,
    },
    /// Print the JSON Schema of kubernix.toml, for editors
    Schema,
    /// Report everything that is wrong in a configuration file, by line and column
    Validate {
        /// The configuration file
        file: PathBuf,
    },
}

/// The subcommands of `toolchain`.
#[derive(Debug, Subcommand)]
pub enum ToolchainCommand {
    /// Build or install every missing binary that a boot with these settings needs
    Ensure {
        /// Further tools to build or install
        #[arg(value_name = "TOOL")]
        tools: Vec<String>,
        /// Settings of that boot
        #[command(flatten)]
        boot: Box<BootArgs>,
    },
    /// List the known tools and the accepted versions
    List,
}

/// The subcommands of `plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Create a crate for your own component, which builds and boots without changes
    New {
        /// The name of the component, and of the new directory
        name: String,
        /// The role that it fills; `cri` starts from the component for containerd [default: a role
        /// of the component's name]
        #[arg(long)]
        role: Option<String>,
    },
    /// Run the conformance checks on a plugin
    Check(Box<CheckArgs>),
    /// Print the manifest of a shared library, made from what the library says of itself
    Manifest {
        /// The library, `libX.so`
        #[arg(value_name = "FILE")]
        library: PathBuf,
        /// Writes it to `X.toml` beside the library; the tables and `host` of an existing manifest
        /// are kept
        #[arg(long)]
        write: bool,
    },
    /// List plugins with their origins, and why a plugin isn't used
    List {
        /// Further places to search
        #[command(flatten)]
        search: PluginSearch,
    },
    /// Show the details of a plugin
    Info {
        /// The component
        name: String,
        /// Further places to search
        #[command(flatten)]
        search: PluginSearch,
    },
    /// Install plugins from a file, a directory or a URL (https, or any URL that ends with
    /// #sha256=HASH)
    Install {
        /// `libX.so` with `X.toml` beside it, a TOML component, a directory of them, or the URL of
        /// a .tar.gz or .toml file
        source: String,
        /// Where to install
        #[command(flatten)]
        to: PluginDirectory,
    },
    /// Remove an installed plugin
    Remove {
        /// The component
        name: String,
        /// Where it is installed
        #[command(flatten)]
        from: PluginDirectory,
    },
}

/// Places to search for plugins, in front of the usual ones.
#[derive(Debug, Default, Args)]
pub struct PluginSearch {
    /// A plugin, or a directory of plugins, that is preferred to all others; can be repeated
    #[arg(long = "plugin", value_name = "FILE|DIR")]
    pub plugins: Vec<PathBuf>,
}

/// Arguments of `plugin check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// `libX.so` with `X.toml` beside it, a TOML component, or a directory of them
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    /// Boots the component as well, and runs the live checks of its role against it; needs root
    #[arg(long)]
    pub live: bool,
    /// Settings of that boot
    #[command(flatten)]
    pub boot: BootArgs,
}

/// A plugin directory.
#[derive(Debug, Args)]
pub struct PluginDirectory {
    /// Uses the directory for all users of this machine [default: the user's own]
    #[arg(long, conflicts_with = "dir")]
    pub system: bool,
    /// Uses another directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
