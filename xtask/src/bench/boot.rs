//! The runs of `bench boot`. Floor and boot take turns, so that what slows the machine down for a while slows down both.

use super::Boot;
use super::cluster::Cluster;
use super::floor::Floor;
use super::images;
use super::report::{Machine, OnRuntime, Report, Run};
use crate::workspace::{Profile, Workspace};
use crate::{exit_code, run};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a cluster is left alone before its memory and idle time are taken.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures and prints.
pub fn run(args: &Boot) -> Result<ExitCode> {
    if run::output(run::command("id").arg("-u"))?.trim() != "0" {
        bail!("booting clusters needs root");
    }
    let workspace = Workspace::load()?;
    let kubernix = workspace.build(Profile::Release)?;
    run::checked(run::command(&kubernix).args(["toolchain", "ensure", "--quiet"]))?;
    let directory = super::temporary(args.root.as_deref())?;
    say(&format!("clusters `bench` and `bench-floor` with --root {}", directory.path().display()));
    let report = measure(args, &kubernix, directory.path());
    // Whatever happened above; and there may be nothing.
    for name in ["bench", "bench-floor"] {
        Cluster::new(&kubernix, directory.path(), name).sweep();
    }
    super::show(&report?.sheet(), args.output);
    exit_code(true)
}

/// Progress, apart from the result.
fn say(text: &str) {
    eprintln!("{text}");
}

fn measure(args: &Boot, kubernix: &Path, directory: &Path) -> Result<Report> {
    let template = Cluster::new(kubernix, directory, "bench-floor");
    say("warming up: one boot that doesn't count");
    template.up()?;
    template.timed(&["stop"])?;
    let floor = Floor::of(&template)?;
    let runtimes = Cluster::new(kubernix, directory, "bench").fillers("cri")?;
    let archive = images::archive(directory)?;
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        let floor = floor.measure()?;
        let mut run = one(kubernix, directory, floor, Duration::from_secs(args.idle.into()))?;
        run.dns = with_dns(kubernix, directory)?;
        for runtime in &runtimes {
            run.runtimes.push(on(kubernix, directory, runtime, &archive)?);
        }
        say(&format!("run {number} of {}: {}", args.runs, run.short()));
        runs.push(run);
    }
    Ok(Report { machine: Machine::this(), runs })
}

fn one(kubernix: &Path, directory: &Path, floor: Duration, idle: Duration) -> Result<Run> {
    let cluster = Cluster::new(kubernix, directory, "bench");
    let called = Instant::now();
    let boot = cluster.up()?;
    cluster.run_pod()?;
    let pod_running = called.elapsed();
    std::thread::sleep(SETTLE);
    let processes = cluster.processes()?;
    let memory = processes.memory()?;
    let idle_share = processes.idle_share(idle)?;
    let stop = cluster.timed(&["stop"])?;
    let again = cluster.up()?;
    let down = cluster.timed(&["down"])?;
    let (dns, runtimes) = (Duration::ZERO, Vec::new());
    Ok(Run { floor, boot, pod_running, stop, again, down, memory, idle_share, dns, runtimes })
}

/// From the call of `up` with the addons that clusters have by default, to its return: names are answered.
fn with_dns(kubernix: &Path, directory: &Path) -> Result<Duration> {
    let cluster = Cluster::new(kubernix, directory, "bench");
    let up = cluster.up_with(&[])?;
    cluster.timed(&["down"])?;
    Ok(up.returned)
}

/// A boot on this runtime, its first pod, and an image that is loaded.
fn on(kubernix: &Path, directory: &Path, runtime: &str, archive: &Path) -> Result<OnRuntime> {
    let cluster = Cluster::new(kubernix, directory, "bench");
    let called = Instant::now();
    let boot = cluster.up_with(&["--addons", "none", "--set", &format!("cri={runtime}")])?;
    cluster.run_pod()?;
    let pod_running = called.elapsed();
    std::thread::sleep(SETTLE);
    let load = images::measure(&cluster, archive)?;
    cluster.timed(&["down"])?;
    Ok(OnRuntime { name: runtime.to_owned(), boot, pod_running, load })
}
