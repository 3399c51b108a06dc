//! `cargo xtask bench ...`: measures this checkout on this machine.

mod boot;
mod cluster;
mod fake;
mod floor;
mod images;
mod nodes;
mod plugins;
mod processes;
mod report;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// How long a cluster takes to boot, to stop and to go, what it weighs, and how that compares to its own etcd and API server
    /// alone.
    Boot(Boot),
    /// How long clusters of several nodes take to be Ready, and what a further node costs.
    Nodes(Nodes),
    /// How many simulated nodes and pods (KWOK) a cluster carries, how fast they come, and what they weigh.
    Fake(Fake),
    /// What plugins cost: loading each, loading all, and a boot from them beside a boot of what is compiled in.
    Plugins(Plugins),
}

/// How to measure nodes.
#[derive(clap::Args)]
struct Nodes {
    /// How many nodes, from few to many.
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20", value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Vec<u32>,
    /// How often each.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seconds over which an idle cluster is watched.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// Where the clusters' root directories lie meanwhile; default: a new directory in the system's own for temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON with every run's numbers.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How to measure simulated nodes and pods.
#[derive(clap::Args)]
struct Fake {
    /// How many nodes.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// How many pods on them; each node takes 110.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pods: u32,
    /// Seconds over which the idle cluster is watched, after as many in which it settles.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// Where the cluster's root directory lies meanwhile; default: a new directory in the system's own for temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How to measure plugins.
#[derive(clap::Args)]
struct Plugins {
    /// How often everything is loaded, each time by a new process.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    loads: u32,
    /// How often each kind of cluster is booted; 0: not at all.
    #[arg(long, default_value_t = 3, value_name = "N")]
    boots: u32,
    /// Text, or JSON with every run's numbers.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A directory for clusters that goes when it is dropped, in this one or the system's own for temporary files.
fn temporary(root: Option<&Path>) -> Result<TempDir> {
    root.map_or_else(tempfile::tempdir, tempfile::tempdir_in).context("no place for clusters")
}

/// Prints a result.
fn show(sheet: &report::Sheet, output: Output) {
    match output {
        Output::Text => print!("{sheet}"),
        Output::Json => println!("{:#}", sheet.json()),
    }
}

/// How to measure a boot.
#[derive(clap::Args)]
struct Boot {
    /// How often.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seconds over which the idle CPU time of our own processes is taken, per run.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// Where the clusters' root directories lie meanwhile; default: a new directory in the system's own for temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON with every run's numbers.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Measures.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Boot(boot) => boot::run(boot),
        What::Nodes(args) => nodes::run(args),
        What::Fake(args) => fake::run(args),
        What::Plugins(args) => plugins::run(args),
    }
}
