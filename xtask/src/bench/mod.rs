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

/// The arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Measure boot, `stop`, `down` and memory of a cluster, beside the same etcd and API server
    /// alone.
    Boot(Boot),
    /// Measure the time until clusters of several nodes are Ready, and the cost of a further node.
    Nodes(Nodes),
    /// Measure a cluster with simulated nodes and pods (KWOK): creation time and memory.
    Fake(Fake),
    /// Measure the loading of plugins, and boots from plugins beside boots of compiled-in
    /// components.
    Plugins(Plugins),
}

/// The arguments of `bench nodes`.
#[derive(clap::Args)]
struct Nodes {
    /// The numbers of nodes, in ascending order.
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20", value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Vec<u32>,
    /// The number of runs for each number of nodes.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The time in seconds over which an idle cluster is measured.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// The base directory of the clusters; default: a new directory in the system's directory for
    /// temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON with the numbers of every run.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The arguments of `bench fake`.
#[derive(clap::Args)]
struct Fake {
    /// The number of nodes.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// The number of pods on them. Each node holds up to 110.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pods: u32,
    /// The time in seconds over which the idle cluster is measured, after the same time for
    /// settling.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// The base directory of the cluster; default: a new directory in the system's directory for
    /// temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The arguments of `bench plugins`.
#[derive(clap::Args)]
struct Plugins {
    /// The number of loads, each in a new process.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    loads: u32,
    /// The number of boots of each kind of cluster; 0: none.
    #[arg(long, default_value_t = 3, value_name = "N")]
    boots: u32,
    /// Text, or JSON with the numbers of every run.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A base directory for clusters, in `root` or in the system's directory for temporary files. It is
/// removed on drop.
fn temporary(root: Option<&Path>) -> Result<TempDir> {
    root.map_or_else(tempfile::tempdir, tempfile::tempdir_in).context("can't create a directory for clusters")
}

/// Prints a result.
fn show(sheet: &report::Sheet, output: Output) {
    match output {
        Output::Text => print!("{sheet}"),
        Output::Json => println!("{:#}", sheet.json()),
    }
}

/// The arguments of `bench boot`.
#[derive(clap::Args)]
struct Boot {
    /// The number of runs.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The time in seconds over which the idle CPU time of KuberNix' own processes is measured in
    /// each run.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle: u32,
    /// The base directory of the clusters; default: a new directory in the system's directory for
    /// temporary files.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Text, or JSON with the numbers of every run.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs a benchmark.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.benchmark {
        Benchmark::Boot(boot) => boot::run(boot),
        Benchmark::Nodes(args) => nodes::run(args),
        Benchmark::Fake(args) => fake::run(args),
        Benchmark::Plugins(args) => plugins::run(args),
    }
}
