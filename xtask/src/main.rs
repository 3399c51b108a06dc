//! `cargo xtask`: drives builds, tests, benchmarks and clusters of a checkout.
//!
//! Every task can also be done by hand. Must not know the parts of a cluster: it uses clusters only
//! through the `kubernix` command that it builds, and learns about them from that command's JSON
//! output.

mod bench;
mod cluster;
mod components;
mod contract;
mod plugin;
mod run;
mod test;
mod tidy;
mod vm;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Drives builds, tests, benchmarks and clusters of a KuberNix checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build `kubernix` and run it with these arguments: `cluster up`, `cluster kubectl -- get
    /// pods`.
    Cluster(cluster::Args),
    /// Build components of this checkout as plugins: `plugin build crio`.
    Plugin(plugin::Args),
    /// Write the list of the components of this checkout into the manifest of the command.
    Components,
    /// Record releases of the contract between hosts and plugins.
    Contract(contract::Args),
    /// Run all tests that must pass before a change lands.
    Test(test::Args),
    /// Check the invariants of ARCHITECTURE.md that the compiler doesn't check.
    Tidy,
    /// Measure this checkout on this machine.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Cluster(args) => cluster::run(&args),
        Task::Plugin(args) => plugin::run(&args),
        Task::Components => components::run(),
        Task::Contract(args) => contract::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Tidy => tidy::run(),
        Task::Bench(args) => bench::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Exit code 0 for success, 1 otherwise.
fn exit_code(success: bool) -> Result<ExitCode> {
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
