//! `cargo xtask`: drives builds, tests, benchmarks and clusters of a checkout.
//!
//! Everything here can be typed by hand; this crate only saves the typing. It must not know what a cluster is made of: all that
//! it does to clusters goes through the `kubernix` command that it builds, and what it knows of them comes out of that
//! command's JSON.

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
    /// Build `kubernix` and run it with these arguments: `cluster up`, `cluster kubectl -- get pods`.
    Cluster(cluster::Args),
    /// Build components of this checkout as plugins: `plugin build crio`.
    Plugin(plugin::Args),
    /// Write the list of the components of this checkout into the manifest of the command.
    Components,
    /// Keep what was released of the contract between hosts and plugins.
    Contract(contract::Args),
    /// Run everything that has to hold before a change lands.
    Test(test::Args),
    /// Check the invariants that ARCHITECTURE.md promises and no compiler knows.
    Tidy,
    /// Measure this checkout on this machine.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Cluster(args) => cluster::run(&args),
        Task::Plugin(args) => plugin::run(&args),
        Task::Components => components::run(),
        Task::Contract(args) => contract::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Tidy => tidy::run(),
        Task::Bench(args) => bench::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// 0 or 1.
fn exit_code(good: bool) -> Result<ExitCode> {
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
