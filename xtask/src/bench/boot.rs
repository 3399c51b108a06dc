//! The runs of `bench boot`. Floor and boot are measured alternately, so that other load of the
//! machine affects both.

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

/// The time for settling before memory and idle time are measured.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures, and prints the result.
pub fn run(args: &Boot) -> Result<ExitCode> {
    if run::output(run::command("id").arg("-u"))?.trim() != "0" {
        bail!("booting clusters needs root");
    }
    let workspace = Workspace::load()?;
    let kubernix = workspace.build(Profile::Release)?;
    run::checked(run::command(&kubernix).args(["toolchain", "ensure", "--quiet"]))?;
    let directory = super::temporary(args.root.as_deref())?;
    progress(&format!("clusters `bench` and `bench-floor` with --root {}", directory.path().display()));
    let report = measure(args, &kubernix, directory.path());
    // Also after an error.
    for name in ["bench", "bench-floor"] {
        Cluster::new(&kubernix, directory.path(), name).down_if_exists();
    }
    super::show(&report?.sheet(), args.output);
    exit_code(true)
}

/// Prints progress to standard error. The result goes to standard output.
fn progress(text: &str) {
    eprintln!("{text}");
}

fn measure(args: &Boot, kubernix: &Path, directory: &Path) -> Result<Report> {
    let template = Cluster::new(kubernix, directory, "bench-floor");
    progress("warming up: one boot that isn't counted");
    template.up()?;
    template.timed(&["stop"])?;
    let floor = Floor::of(&template)?;
    let runtimes = Cluster::new(kubernix, directory, "bench").fillers("cri")?;
    let archive = images::archive(directory)?;
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        let floor = floor.measure()?;
        let mut run = measure_run(kubernix, directory, floor, Duration::from_secs(args.idle.into()))?;
        run.dns = measure_dns(kubernix, directory)?;
        for runtime in &runtimes {
            run.runtimes.push(measure_runtime(kubernix, directory, runtime, &archive)?);
        }
        progress(&format!("run {number} of {}: {}", args.runs, run.short()));
        runs.push(run);
    }
    Ok(Report { machine: Machine::this(), runs })
}

fn measure_run(kubernix: &Path, directory: &Path, floor: Duration, idle: Duration) -> Result<Run> {
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

/// The duration of `up` with the default addons. At its end, DNS names are resolved.
fn measure_dns(kubernix: &Path, directory: &Path) -> Result<Duration> {
    let cluster = Cluster::new(kubernix, directory, "bench");
    let up = cluster.up_with(&[])?;
    cluster.timed(&["down"])?;
    Ok(up.returned)
}

/// Measures a boot with this container runtime, its first pod, and the loading of an image.
fn measure_runtime(kubernix: &Path, directory: &Path, runtime: &str, archive: &Path) -> Result<OnRuntime> {
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
