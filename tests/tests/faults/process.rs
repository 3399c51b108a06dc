//! Processes of a cluster are killed, stopped and starved, at moments that the seed chooses.

use super::law::{COMMAND, Law, SETTINGS, WITH_VOLUMES};
use super::suite::{self, Options, Played, attempt};
use kubernix_tests::faults::plan::{Deed, Fault, Moment, Target, lives};
use kubernix_tests::faults::report::Record;
use kubernix_tests::{Booting, descends, free_port, processes, program, run, until, working_instance};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What `--faults` calls this part.
pub const PART: &str = "process";
/// How long a process that stands still may go unnoticed.
const NOTICED: Duration = Duration::from_secs(30);
/// How long a process may take to appear.
const APPEARS: Duration = Duration::from_secs(5);

/// Several lives of clusters, with faults from boot to down.
pub fn at_every_moment() -> Result<(), String> {
    let options = Options::get();
    let mut rng = options.rng(PART);
    let (count, middle) = if options.long { (12, 8) } else { (2, 4) };
    let budget = Duration::from_secs(if options.long { 600 } else { 30 });
    suite::play_all(PART, lives(&mut rng, count, middle).into_iter(), budget, |fault: &Fault| fault.number, play)
}

/// Plays faults on one cluster. The index of the one that broke the law, and how.
fn play(plan: &[Fault], noted: bool) -> Played {
    let settings: &[&str] = if Options::get().long { &WITH_VOLUMES } else { &SETTINGS };
    let mut law = Law::with_settings("process", settings);
    for (at, fault) in plan.iter().enumerate() {
        let done = attempt(|| {
            prepare(&mut law, fault.moment);
            inject(&law, fault)
        });
        let (injected, healed) = *done.as_ref().unwrap_or(&(1, None));
        if noted {
            let failure = done.as_ref().err().cloned();
            // Also a fault that came too late is part of the plan.
            let missed = if injected == 0 { " (missed: there was no such process)" } else { "" };
            suite::record(Record { part: PART, fault: format!("{fault}{missed}"), injected, healed, failure });
        }
        done.map_err(|why| (at, why))?;
    }
    attempt(|| law.end()).map_err(|why| (plan.len() - 1, why))
}

/// Boots the cluster and fills it, unless it runs, or the fault comes to the boot.
fn prepare(law: &mut Law, moment: Moment) {
    if moment == Moment::Boot {
        return;
    }
    if !law.cluster.root().exists() {
        law.up().ok();
    }
    if !law.is_furnished() {
        if Options::get().long { law.furnish_with_volume() } else { law.furnish_with_pod() }
    }
}

/// One fault and what it must not change. Returns whether it could be injected, and how long
/// healing took.
fn inject(law: &Law, fault: &Fault) -> (usize, Option<Duration>) {
    // Commands may be over before a process is found, but for `up`, before which there is none.
    let known = if fault.moment == Moment::Boot { None } else { find(law, fault.target, None) };
    let before = fault.moment == Moment::Down && fault.deed == Deed::Hang;
    if let (true, Some((pid, _))) = (before, &known) {
        signal(*pid, Signal::SIGSTOP);
    }
    let mut work = command(law, fault.moment);
    sleep(Duration::from_millis(fault.after));
    let Some((pid, title)) = known.or_else(|| find(law, fault.target, work.as_mut())) else {
        if let Some(work) = work {
            law.is_no_accident(&work.end_within(COMMAND));
        }
        return (0, after(law, fault.moment));
    };
    let begun = Instant::now();
    match fault.deed {
        Deed::Kill => signal(pid, Signal::SIGKILL),
        Deed::Hang => signal(pid, Signal::SIGSTOP),
        Deed::Pause(ms) => {
            signal(pid, Signal::SIGSTOP);
            sleep(Duration::from_millis(ms));
            signal(pid, Signal::SIGCONT);
        }
        Deed::Starve(ms) => starve(pid, Duration::from_millis(ms)),
    }
    if fault.moment == Moment::Run && fault.deed == Deed::Hang {
        is_noticed(law, fault.target, &title);
    }
    if let Some(work) = work {
        let outcome = work.end_within(COMMAND);
        law.is_no_accident(&outcome);
        // It must work whatever stands still, and whatever ends in its midst.
        if fault.moment == Moment::Down {
            outcome.ok();
        }
    }
    if fault.moment != Moment::Down && fault.deed == Deed::Hang {
        signal(pid, Signal::SIGCONT);
    }
    after(law, fault.moment).map_or((1, None), |_| (1, Some(begun.elapsed())))
}

/// What has to hold after a fault: all is well again, commands agree, and after `down` nothing is
/// left.
fn after(law: &Law, moment: Moment) -> Option<Duration> {
    if moment == Moment::Down {
        law.is_gone();
        return None;
    }
    if moment == Moment::Boot && !law.cluster.root().exists() {
        // The boot failed and left nothing, as it should.
        law.nothing_runs();
        law.up().ok();
    }
    let healed = law.carries_on();
    law.agrees();
    if moment == Moment::NodeAdd {
        let nodes = law.cluster.json(&["node", "list"]).as_array().cloned().unwrap_or_default();
        // One more would cost more than it tells.
        for node in nodes.iter().skip(1).filter_map(|node| node["name"].as_str()) {
            law.cluster.run(&["node", "remove", node]).ok();
        }
    }
    Some(healed)
}

/// The command that the fault comes to.
fn command(law: &Law, moment: Moment) -> Option<Booting> {
    let port;
    let args: &[&str] = match moment {
        Moment::Boot => return Some(law.cluster.working(&mut law.up_command())),
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
    Some(law.cluster.working(&mut law.cluster.command(args)))
}

/// The process to hit and the title of its instance, for as long as it may still appear.
fn find(law: &Law, target: Target, mut work: Option<&mut Booting>) -> Option<(i32, String)> {
    let begun = Instant::now();
    loop {
        let at_work = work.as_mut().is_none_or(|work| work.is_at_work());
        if let Some(found) = look_for(&law.status().1, target) {
            return Some(found);
        }
        if !at_work || begun.elapsed() > APPEARS {
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

/// Whether a process is the first of a PID namespace right below the sandbox's.
fn is_first_of_node(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
    // On the host, in the sandbox, on the node.
    numbers.len() == 3 && numbers[2] == "1"
}

/// Fails where `status` goes on saying that all is well.
fn is_noticed(law: &Law, target: Target, title: &str) {
    match target {
        // Neither the keeper nor these do anything for as long as all goes well, so there is
        // nothing to notice.
        Target::Keeper | Target::FirstProcess | Target::Shim => {}
        Target::Init => until("status that notices a hung init", NOTICED, || {
            let (code, status) = law.status();
            if code != 0 && status["state"] != "running" { Ok(()) } else { Err(format!("{code}: {status}")) }
        }),
        Target::Component(_) => until(&format!("status that notices that {title} hangs"), NOTICED, || {
            let (code, status) = law.status();
            let text = law.cluster.run(&["status"]);
            let named = [&text.stdout, &text.stderr].iter().any(|text| text.contains(title));
            let noticed = code != 0 && status["state"] == "degraded" && named;
            if noticed { Ok(()) } else { Err(format!("{code}: {}", status["state"])) }
        }),
    }
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended meanwhile: also by what is being tested.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Lets a process run only where no other wants to, while others want to all the time.
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
