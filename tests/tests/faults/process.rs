//! Kills, stops and starves processes of a cluster at moments that the seed chooses.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster, SETTINGS, WITH_VOLUMES};
use super::suite::{self, Options, Played, attempt};
use kubernix_tests::faults::plan::{Action, Fault, Moment, Target, lives};
use kubernix_tests::faults::report::Record;
use kubernix_tests::{RunningCommand, descends, free_port, processes, program, run, until, working_instance};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name of this part in `--faults`.
pub const PART: &str = "process";
/// The time limit until `status` reports a stopped process.
const DETECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit until a process exists.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Injects faults into several clusters, from boot to down.
pub fn at_every_moment() -> Result<(), String> {
    let options = Options::get();
    let mut rng = options.rng(PART);
    let (count, middle) = if options.long { (12, 8) } else { (2, 4) };
    let budget = Duration::from_secs(if options.long { 600 } else { 30 });
    suite::play_all(PART, lives(&mut rng, count, middle).into_iter(), budget, |fault: &Fault| fault.number, play)
}

/// Injects faults into one cluster. An error has the index of the fault that violated an invariant,
/// and the reason.
fn play(plan: &[Fault], noted: bool) -> Played {
    let settings: &[&str] = if Options::get().long { &WITH_VOLUMES } else { &SETTINGS };
    let mut checked = CheckedCluster::with_settings("process", settings);
    for (at, fault) in plan.iter().enumerate() {
        let done = attempt(|| {
            prepare(&mut checked, fault.moment);
            inject(&checked, fault)
        });
        let (injected, healed) = *done.as_ref().unwrap_or(&(1, None));
        if noted {
            let failure = done.as_ref().err().cloned();
            // A fault that came too late is part of the plan as well.
            let missed = if injected == 0 { " (missed: there was no such process)" } else { "" };
            suite::record(Record { part: PART, fault: format!("{fault}{missed}"), injected, healed, failure });
        }
        done.map_err(|why| (at, why))?;
    }
    attempt(|| checked.destroy()).map_err(|why| (plan.len() - 1, why))
}

/// Boots the cluster and creates objects, unless it runs, or the fault is one of the boot.
fn prepare(checked: &mut CheckedCluster, moment: Moment) {
    if moment == Moment::Boot {
        return;
    }
    if !checked.cluster.root().exists() {
        checked.up().ok();
    }
    if !checked.has_objects() {
        if Options::get().long { checked.create_objects_and_volume() } else { checked.create_objects_and_pod() }
    }
}

/// Injects a fault and checks the invariants. Returns the number of injected faults and the time
/// until the cluster was healthy again.
fn inject(checked: &CheckedCluster, fault: &Fault) -> (usize, Option<Duration>) {
    // The process is looked up before the command, which may be over sooner. Before `up` there is
    // no process.
    let known = if fault.moment == Moment::Boot { None } else { find(checked, fault.target, None) };
    let before = fault.moment == Moment::Down && fault.action == Action::Hang;
    if let (true, Some((pid, _))) = (before, &known) {
        signal(*pid, Signal::SIGSTOP);
    }
    let mut work = command(checked, fault.moment);
    sleep(Duration::from_millis(fault.after));
    let Some((pid, title)) = known.or_else(|| find(checked, fault.target, work.as_mut())) else {
        if let Some(work) = work {
            checked.check_outcome(&work.wait_within(COMMAND_TIMEOUT));
        }
        return (0, after(checked, fault.moment));
    };
    let started = Instant::now();
    match fault.action {
        Action::Kill => signal(pid, Signal::SIGKILL),
        Action::Hang => signal(pid, Signal::SIGSTOP),
        Action::Pause(ms) => {
            signal(pid, Signal::SIGSTOP);
            sleep(Duration::from_millis(ms));
            signal(pid, Signal::SIGCONT);
        }
        Action::Starve(ms) => starve(pid, Duration::from_millis(ms)),
    }
    if fault.moment == Moment::Run && fault.action == Action::Hang {
        check_detection(checked, fault.target, &title);
    }
    if let Some(work) = work {
        let outcome = work.wait_within(COMMAND_TIMEOUT);
        checked.check_outcome(&outcome);
        // `down` must work with stopped processes, and if a process ends meanwhile.
        if fault.moment == Moment::Down {
            outcome.ok();
        }
    }
    if fault.moment != Moment::Down && fault.action == Action::Hang {
        signal(pid, Signal::SIGCONT);
    }
    after(checked, fault.moment).map_or((1, None), |_| (1, Some(started.elapsed())))
}

/// Checks the invariants after a fault: the cluster is healthy again, commands agree, and nothing
/// is left after `down`.
fn after(checked: &CheckedCluster, moment: Moment) -> Option<Duration> {
    if moment == Moment::Down {
        checked.check_removed();
        return None;
    }
    if moment == Moment::Boot && !checked.cluster.root().exists() {
        // The boot failed and left nothing, as expected.
        checked.check_nothing_runs();
        checked.up().ok();
    }
    let healed = checked.check_recovery();
    checked.check_consistency();
    if moment == Moment::NodeAdd {
        let nodes = checked.cluster.json(&["node", "list"]).as_array().cloned().unwrap_or_default();
        // Another node would cost more time than it finds errors.
        for node in nodes.iter().skip(1).filter_map(|node| node["name"].as_str()) {
            checked.cluster.run(&["node", "remove", node]).ok();
        }
    }
    Some(healed)
}

/// Starts the command during which the fault is injected.
fn command(checked: &CheckedCluster, moment: Moment) -> Option<RunningCommand> {
    let port;
    let args: &[&str] = match moment {
        Moment::Boot => return Some(checked.cluster.start_command(&mut checked.up_command())),
        Moment::Run => return None,
        Moment::NodeAdd => &["node", "add"],
        Moment::Replace => &["component", "replace", "scheduler", "scheduler"],
        Moment::PortAdd => {
            port = format!("127.0.0.1:{}:30080", free_port());
            &["port", "add", &port]
        }
        Moment::Stop => &["stop"],
        Moment::Down => &["down"],
    };
    Some(checked.cluster.start_command(&mut checked.cluster.command(args)))
}

/// Finds the process of the fault and the title of its instance. Waits while the process may still
/// start.
fn find(checked: &CheckedCluster, target: Target, mut work: Option<&mut RunningCommand>) -> Option<(i32, String)> {
    let started = Instant::now();
    loop {
        let at_work = work.as_mut().is_none_or(|work| work.is_running());
        if let Some(found) = look_for(&checked.status().1, target) {
            return Some(found);
        }
        if !at_work || started.elapsed() > START_TIMEOUT {
            return None;
        }
        sleep(Duration::from_millis(20));
    }
}

fn look_for(status: &Value, target: Target) -> Option<(i32, String)> {
    let number = |value: &Value| value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    let (keeper, init) = (number(&status["own_pids"][0])?, number(&status["own_pids"][1])?);
    let below = |is: &dyn Fn(i32, &str) -> bool| {
        let mut all = processes().into_iter().filter(|one| one.pid != init && descends(one.pid, init));
        all.find(|one| is(one.pid, &one.command)).map(|one| one.pid)
    };
    match target {
        Target::Keeper => Some((keeper, String::new())),
        Target::Init => Some((init, String::new())),
        Target::FirstProcess => below(&|pid, _| is_first_of_node(pid)).map(|pid| (pid, String::new())),
        Target::Shim => below(&|_, command| {
            let name = command.split(' ').next().unwrap_or_default();
            name.ends_with("/conmon") || name.ends_with("/containerd-shim-runc-v2")
        })
        .map(|pid| (pid, String::new())),
        Target::Component(name) => {
            let (instance, pid) = working_instance(status, name)?;
            Some((pid.as_raw(), instance["instance"].as_str()?.to_owned()))
        }
    }
}

/// Whether a process is PID 1 of a PID namespace directly below the sandbox's.
fn is_first_of_node(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
    // The PIDs on the host, in the sandbox and on the node.
    numbers.len() == 3 && numbers[2] == "1"
}

/// Checks that `status` reports the fault.
fn check_detection(checked: &CheckedCluster, target: Target, title: &str) {
    match target {
        // The keeper and these processes are idle while the cluster is healthy, so a hang has no
        // effect.
        Target::Keeper | Target::FirstProcess | Target::Shim => {}
        Target::Init => until("status that reports a hung init", DETECTION_TIMEOUT, || {
            let (code, status) = checked.status();
            if code != 0 && status["state"] != "running" { Ok(()) } else { Err(format!("{code}: {status}")) }
        }),
        Target::Component(_) => until(&format!("status that reports that {title} hangs"), DETECTION_TIMEOUT, || {
            let (code, status) = checked.status();
            let text = checked.cluster.run(&["status"]);
            let named = [&text.stdout, &text.stderr].iter().any(|text| text.contains(title));
            let noticed = code != 0 && status["state"] == "degraded" && named;
            if noticed { Ok(()) } else { Err(format!("{code}: {}", status["state"])) }
        }),
    }
}

fn signal(pid: i32, signal: Signal) {
    // The process may have ended meanwhile, also because of the fault.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Takes CPU time from a process: it gets idle priority while busy processes run.
fn starve(pid: i32, time: Duration) {
    let policy = |policy: &str| run(program("chrt").args(["--all-tasks", policy, "--pid", "0"]).arg(pid.to_string()));
    policy("--idle");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) * 2 {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        sleep(time);
        enough.store(true, Ordering::Relaxed);
    });
    policy("--other");
}
