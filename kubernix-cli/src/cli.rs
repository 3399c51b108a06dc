//! The commands and their options. Options of settings don't use clap's support for variables: the
//! host merges flags, variables and files, and records where each value came from.
//!
//! The help texts here are also the man pages and `docs/cli.md`, see [`crate::reference`].

mod access;
mod boot;
mod groups;

pub use access::{KubeconfigCommand, PortCommand};
pub use boot::{BootArgs, GlobalSettings, Sets};
pub use groups::{
    AddonArgs, AddonCommand, CheckArgs, ComponentCommand, ConfigCommand, ImageCommand, NodeCommand, PluginCommand,
    PluginDirectory, PluginSearch, ReplaceArgs, SnapshotCommand, ToolchainCommand,
};

use crate::exit::Exit;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kubernix_host::pki::Renewal;
use kubernix_host::settings::{Partial, Place};
use std::ffi::OsString;
use std::path::PathBuf;

/// Run real Kubernetes clusters as plain processes
///
/// Without a command: boots a cluster, opens a shell with access to it, and destroys the cluster
/// when the shell exits. A cluster that existed before is stopped instead, and keeps its data.
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
    /// Settings that every command has.
    #[command(flatten)]
    pub settings: GlobalSettings,
    /// The configuration file [default: ./kubernix.toml, then ~/.config/kubernix/kubernix.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The format of results on standard output
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// Prints debug messages on standard error; given twice: trace messages as well
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Prints only warnings and errors on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// The format of messages on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

impl Global {
    /// The same flags for this cluster.
    pub fn of(mut self, place: &Place) -> Self {
        let named = Partial { name: Some(place.name.clone()), root: Some(place.root.clone()), ..Partial::default() };
        self.settings = GlobalSettings(self.settings.0.with(named));
        self
    }
}

/// The format of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// The format of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a cluster or continue a stopped one, in the background; change the settings of a
    /// running one
    Up(UpArgs),
    /// Show the state of a cluster and of its components
    Status,
    /// Run kubectl against a cluster
    #[command(disable_help_flag = true)]
    Kubectl(KubectlArgs),
    /// Open your shell with KUBECONFIG, PATH and the addresses of the container runtime set for a
    /// cluster
    Shell,
    /// Open a shell inside a cluster's sandbox, or run a command there
    Enter(EnterArgs),
    /// Print the logs of components
    Logs(LogsArgs),
    /// Stop a cluster and keep its data and images; `up` continues it
    Stop,
    /// Destroy a cluster and its data
    Down {
        /// Destroys all clusters below --root, and continues after a failure
        #[arg(long)]
        all: bool,
    },
    /// Rename a running or stopped cluster, without restarting anything
    Rename {
        /// The current name
        #[arg(value_name = "OLD")]
        from: String,
        /// The new name
        #[arg(value_name = "NEW")]
        to: String,
    },
    /// List the clusters
    List,
    /// Print the files, processes and probes of a boot, without booting; needs no root
    Plan(BootArgs),
    /// Show how long each part of the last boot took
    Timeline(TimelineArgs),
    /// Show and replace components
    #[command(subcommand)]
    Component(ComponentCommand),
    /// List, add and remove addons: DNS, metrics, storage, a registry, your own manifests
    #[command(subcommand)]
    Addon(AddonCommand),
    /// List, add, remove, stop and start nodes of a running cluster
    #[command(subcommand)]
    Node(NodeCommand),
    /// List, add and remove host ports that are forwarded to node ports
    #[command(subcommand)]
    Port(PortCommand),
    /// Merge a cluster's context into your own kubeconfig, or remove it
    #[command(subcommand)]
    Kubeconfig(KubeconfigCommand),
    /// Load, build, list and remove container images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Save a cluster to a file, and restore it
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Show and check settings, and where their values come from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the binaries of a cluster, and build or install them
    #[command(subcommand)]
    Toolchain(ToolchainCommand),
    /// List, check, install, remove and create plugins: components outside of this binary
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print the versions of KuberNix and of its contract with components
    Version,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page of kubernix, or write one page per command into a directory
    Man {
        /// The directory for all pages, such as /usr/local/share/man/man1; it is created if missing
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Destroys a running or stopped cluster of that name first, with all its data; keeps its
    /// settings
    #[arg(long)]
    pub fresh: bool,
    /// Replaces keys of a stopped cluster: encryption, service-account or ca; can be repeated.
    /// Data, tokens or certificates that depend on the old key become invalid
    #[arg(long, value_name = "KEYS", conflicts_with = "fresh")]
    pub renew: Vec<Renewal>,
    /// Its settings
    #[command(flatten)]
    pub boot: BootArgs,
}

/// Arguments of `kubectl`.
#[derive(Debug, Args)]
pub struct KubectlArgs {
    /// Arguments for kubectl; behind `--` none of them is read as an option of kubernix
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Arguments of `enter`.
#[derive(Debug, Args)]
pub struct EnterArgs {
    /// The node to enter [default: the control plane]
    pub node: Option<String>,
    /// The command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The components whose logs are printed [default: all]
    #[arg(value_name = "COMPONENT")]
    pub components: Vec<String>,
    /// Waits for new lines and prints them
    #[arg(short, long)]
    pub follow: bool,
    /// Prints only the last lines of each log
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
}

/// Arguments of `timeline`.
#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Writes a Gantt chart into this SVG file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The title of the chart
    #[arg(long, requires = "svg")]
    pub title: Option<String>,
}

/// Renames `--name` behind `image build-from` to `--image`: there it is the name of the image, and
/// the cluster's name stands in front of `image`.
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

fn after_help() -> String {
    let codes: Vec<String> = Exit::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning())).collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

#[cfg(test)]
mod tests;
