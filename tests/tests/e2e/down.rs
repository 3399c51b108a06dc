//! Tests that `down` works if something is damaged, missing, stopped or locked by other users, and
//! that `stop`, `status` and `list` report the problem.

use kubernix_tests::{
    Cluster, ISOLATED, Parts, Process, Snapshot, Test, checks, for_none, kubernix, once, processes_of, program, run,
    until,
};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The time limit until the remains of a cluster are removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit until a neighbour has started.
const NEIGHBOUR_TIMEOUT: Duration = Duration::from_secs(30);
/// An unprivileged user.
const OTHER_USER: u32 = 65534;

pub fn tests() -> Vec<Test> {
    let of_any = checks![
        down_needs_no_state_file,
        down_removes_a_damaged_directory_of_a_stopped_cluster,
        down_finds_processes_without_their_run_files,
        down_kills_processes_stopped_by_a_signal,
        a_stopped_keeper_is_reported_without_its_init,
        down_kills_processes_in_a_frozen_cgroup,
        down_ends_a_boot_with_a_stopped_command,
        down_ends_a_cluster_without_its_directory,
        down_is_not_delayed_by_locks_of_other_users,
        processes_of_other_users_are_not_taken_for_clusters,
        stop_needs_no_socket,
    ];
    // In their own network with a default route: clusters use it and have to restore it.
    once(ISOLATED, &of_any)
}

/// A running cluster, with a snapshot of the host from before its boot.
struct Victim {
    cluster: Cluster,
    before: Snapshot,
    processes: Vec<Process>,
    id: String,
}

impl Victim {
    fn new(tag: &str, parts: Parts) -> Self {
        let cluster = Cluster::new(tag);
        let before = Snapshot::take(&cluster.name, cluster.base());
        let mut victim = Self { cluster, before, processes: Vec::new(), id: String::new() };
        victim.up(parts);
        victim
    }

    fn up(&mut self, parts: Parts) {
        self.cluster.up(&[&["--addons", "none"][..], &parts.settings()].concat()).ok();
        let (keeper, init) = self.cluster.keeper_and_init();
        self.processes = processes_of(keeper.as_raw(), init.as_raw());
        assert!(self.processes.len() > 6, "{:?}", self.processes);
        self.id = self.cluster.id();
        let during = self.before.changes(&Snapshot::take(&self.cluster.name, self.cluster.base()));
        for wanted in [&*format!("/kubernix/{}", self.id), "new: link", "new: rule", "forwarding = 1"] {
            assert!(during.iter().any(|change| change.contains(wanted)), "no {wanted} in {during:#?}");
        }
    }

    /// The state and the problems that `list` shows.
    fn listed(&self) -> (String, String) {
        let list = self.cluster.json(&["list"]);
        let entry = list.as_array().into_iter().flatten().find(|entry| entry["name"] == *self.cluster.name);
        let entry = entry.unwrap_or_else(|| panic!("{} isn't in {list}", self.cluster.name));
        (entry["state"].as_str().unwrap_or_default().to_owned(), entry["problems"].to_string())
    }

    /// The output of `status` for a cluster that can only be destroyed.
    fn status_of_damaged(&self) -> Value {
        let status = self.cluster.run(&["--output", "json", "status"]).exits(1);
        status.says(&["down", &self.cluster.name]).json()
    }

    /// Runs `down`, and checks that nothing remains.
    #[track_caller]
    fn down(&self) {
        self.cluster.run(&["down"]).ok();
        self.check_nothing_remains();
    }

    #[track_caller]
    fn check_nothing_remains(&self) {
        assert!(!self.cluster.root().exists(), "{} is still there", self.cluster.root().display());
        for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || {
            let alive = self.processes.iter().filter(|process| process.is_alive());
            let alive = alive.map(|process| format!("alive: {} {}", process.pid, process.command));
            alive.chain(self.cluster.changes_since(&self.before, &self.id)).collect()
        });
        let list = self.cluster.json(&["list"]);
        assert_eq!(list, serde_json::json!([]));
    }
}

/// A process that is killed on drop.
struct Neighbour(Child);

impl Drop for Neighbour {
    fn drop(&mut self) {
        // With its children. It may have exited already.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Runs a command as a user until the end of the test. Returns once it has created `ready`.
fn neighbour(words: &[&str], user: u32, ready: &Path) -> Neighbour {
    let mut command = program("setpriv");
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    command.args(ids).args(words).current_dir("/").stdout(Stdio::null()).process_group(0);
    let child = Neighbour(command.spawn().expect("setpriv can be run"));
    until("started neighbour", NEIGHBOUR_TIMEOUT, || if ready.exists() { Ok(()) } else { Err("it isn't".to_owned()) });
    child
}

/// A directory that all users can write to.
fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    directory
}

fn damage(cluster: &Cluster, how: Option<&str>) {
    let state = cluster.root().join("state.json");
    match how {
        Some(text) => fs::write(state, text).expect("it can be written"),
        None => fs::remove_file(state).expect("it is there"),
    }
}

/// Damaged contents of `state.json`, each with a part of its message.
const DAMAGES: [(Option<&str>, &str); 4] = [
    (Some(""), "can't be understood"),
    (Some("{ \"format\": 1, \"kub"), "can't be understood"),
    (Some(r#"{ "format": 99, "kubernix": "9.9.9" }"#), "9.9.9"),
    (None, "no state.json"),
];

fn down_needs_no_state_file(parts: Parts) {
    for (how, expected) in DAMAGES {
        let victim = Victim::new("damaged", parts);
        damage(&victim.cluster, how);
        let (state, problems) = victim.listed();
        assert!(state == "damaged" && problems.contains(expected) && problems.contains("it runs: init"), "{problems}");
        let status = victim.status_of_damaged();
        assert_eq!(status["state"], "damaged");
        assert!(status["problems"].to_string().contains(expected), "{status}");
        let stop = victim.cluster.run(&["stop"]);
        assert!(stop.code != 0 && stop.stderr.contains(expected) && stop.stderr.contains("down"), "{stop:?}");
        // Other processes may change by themselves.
        let pids = status["own_pids"].as_array().expect("keeper and init").clone();
        let is_carrier = |process: &&Process| pids.iter().any(|pid| *pid == process.pid);
        let carriers = victim.processes.iter().filter(is_carrier);
        assert!(
            carriers.clone().count() == 2 && carriers.clone().all(Process::is_alive),
            "`stop` ended processes although it refused to"
        );
        victim.down();
    }
}

fn down_removes_a_damaged_directory_of_a_stopped_cluster(parts: Parts) {
    let mut victim = Victim::new("stopped", parts);
    for (how, expected) in DAMAGES {
        victim.cluster.run(&["stop"]).ok();
        damage(&victim.cluster, how);
        let (state, problems) = victim.listed();
        assert!(state == "damaged" && problems.contains(expected) && !problems.contains("it runs"), "{problems}");
        assert_eq!(victim.status_of_damaged()["state"], "damaged");
        if how.is_none() {
            // Files that don't belong to a cluster are never removed.
            let photos = victim.cluster.root().join("photos");
            fs::create_dir(&photos).expect("it can be made");
            victim.cluster.run(&["down"]).exits(1).says(&["`photos`"]);
            fs::remove_dir(&photos).expect("it is still there");
        }
        victim.down();
        if how.is_some() {
            victim.up(parts);
        }
    }
}

fn down_finds_processes_without_their_run_files(parts: Parts) {
    let mut victim = Victim::new("nameless", parts);
    for garbage in [None, Some("garbage")] {
        let run = victim.cluster.root().join("run");
        fs::remove_file(run.join("control.sock")).expect("it is there");
        match garbage {
            None => fs::remove_file(run.join("sandbox.json")).expect("it is there"),
            Some(text) => fs::write(run.join("sandbox.json"), text).expect("it can be written"),
        }
        victim.down();
        if garbage.is_none() {
            victim.up(parts);
        }
    }
}

/// Selects keeper, init, or both.
type Choice = fn((Pid, Pid)) -> Vec<Pid>;

fn down_kills_processes_stopped_by_a_signal(parts: Parts) {
    let mut victim = Victim::new("frozen", parts);
    let choices: [Choice; 3] =
        [|(keeper, _)| vec![keeper], |(_, init)| vec![init], |(keeper, init)| vec![keeper, init]];
    for (number, choose) in choices.into_iter().enumerate() {
        let stopped = choose(victim.cluster.keeper_and_init());
        for process in &stopped {
            kill(*process, Signal::SIGSTOP).expect("it is there");
        }
        let advice = format!("kill -CONT {}", stopped[0]);
        until("report of the stopped process", REMOVAL_TIMEOUT, || {
            let problems = victim.cluster.status()["problems"].to_string();
            if problems.contains(&advice) { Ok(()) } else { Err(problems) }
        });
        assert!(victim.listed().1.contains(&advice));
        victim.cluster.run(&["stop"]).exits(1).says(&[&advice, "destroys its data"]);
        if number == 0 {
            // The cluster is intact: it continues, and `stop` works.
            kill(stopped[0], Signal::SIGCONT).expect("it is there");
            victim.cluster.run(&["stop"]).ok();
            victim.up(parts);
            kill(victim.cluster.keeper_and_init().0, Signal::SIGSTOP).expect("it is there");
        }
        victim.down();
        if number + 1 < choices.len() {
            victim.up(parts);
        }
    }
}

fn a_stopped_keeper_is_reported_without_its_init(parts: Parts) {
    let victim = Victim::new("widow", parts);
    let (keeper, init) = victim.cluster.keeper_and_init();
    kill(keeper, Signal::SIGSTOP).expect("it is there");
    kill(init, Signal::SIGKILL).expect("it is there");
    let advice = format!("kill -CONT {keeper}");
    until("report of the keeper", REMOVAL_TIMEOUT, || {
        let problems = victim.cluster.status()["problems"].to_string();
        if problems.contains(&advice) && !problems.contains("init") { Ok(()) } else { Err(problems) }
    });
    victim.cluster.run(&["stop"]).exits(1).says(&[&advice, "the keeper of cluster"]);
    victim.down();
}

fn down_kills_processes_in_a_frozen_cgroup(parts: Parts) {
    let victim = Victim::new("ice", parts);
    let group = |mount: &str| Path::new(mount).join("kubernix").join(&victim.id);
    let v1 = group("/sys/fs/cgroup/freezer").join("freezer.state");
    let (file, word) = if v1.exists() { (v1, "FROZEN") } else { (group("/sys/fs/cgroup").join("cgroup.freeze"), "1") };
    fs::write(file, word).expect("the group can be frozen");
    victim.down();
}

fn down_ends_a_boot_with_a_stopped_command(parts: Parts) {
    for event in [r#""event":"boot-started""#, r#""event":"ready","instance":"certificates""#, r#""role":"cri""#] {
        let cluster = Cluster::new("suspended");
        let before = Snapshot::take(&cluster.name, cluster.base());
        let boot = cluster.start_up(&[&["--addons", "none"][..], &parts.settings()].concat());
        boot.wait_for_event(event);
        let id = cluster.id();
        boot.signal(Signal::SIGSTOP);
        cluster.run(&["down"]).ok();
        assert!(!cluster.root().exists(), "stopped at {event}");
        // If the command had no more work with the cluster's processes, it still runs and reports
        // the end.
        boot.signal(Signal::SIGCONT);
        let end = boot.wait();
        assert!([5, 128 + Signal::SIGKILL as i32].contains(&end.code), "stopped at {event}: {end:?}");
        for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || {
            cluster.changes_since(&before, &id)
        });
    }
}

fn down_ends_a_cluster_without_its_directory(parts: Parts) {
    let mut victim = Victim::new("orphan", parts);
    for way in ["down", "down --all", "keeper stopped"] {
        let (keeper, _) = victim.cluster.keeper_and_init();
        // Running processes may create files again meanwhile.
        until("removed root directory", NEIGHBOUR_TIMEOUT, || {
            fs::remove_dir_all(victim.cluster.root()).map_err(|error| error.to_string())
        });
        let (state, problems) = victim.listed();
        assert!(state == "orphaned" && problems.contains(&format!("keeper process {keeper}")), "{state} {problems}");
        assert_eq!(victim.status_of_damaged()["state"], "orphaned");
        victim.cluster.run(&["stop"]).exits(1).says(&["without its root directory", "down"]);
        victim.cluster.up(&[]).exits(1).says(&["without its root directory", "down"]);
        match way {
            "down --all" => {
                run(kubernix().arg("--root").arg(victim.cluster.base()).args(["down", "--all"])).ok();
                victim.check_nothing_remains();
            }
            "keeper stopped" => {
                kill(keeper, Signal::SIGSTOP).expect("it is there");
                victim.down();
                continue;
            }
            _ => victim.down(),
        }
        victim.up(parts);
    }
}

fn down_is_not_delayed_by_locks_of_other_users(parts: Parts) {
    let victim = Victim::new("locked", parts);
    let (directory, info) = (open_directory(), fs::read_to_string("/proc/self/mountinfo").expect("a list of mounts"));
    let hierarchies = info.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    // All paths near a cluster that other users can open. A shared lock is enough to block an
    // exclusive one, and the same file may be mounted twice.
    let places: BTreeSet<&str> =
        ["/proc/self/ns/net", "/run", "/", "/sys/fs/cgroup"].into_iter().chain(hierarchies).collect();
    let mut neighbours = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let ready = directory.path().join(number.to_string());
        let script = format!("exec 9< {place}; flock --shared 9 && touch {} && exec sleep 600", ready.display());
        neighbours.push(neighbour(&["sh", "-c", &script], OTHER_USER, &ready));
    }
    let down = victim.cluster.run(&["down"]).ok();
    assert!(!down.stderr.contains("continuing without"), "{down:?}");
    for neighbour in &mut neighbours {
        assert!(neighbour.0.try_wait().expect("our child").is_none(), "it gave its lock back too early");
    }
    victim.check_nothing_remains();
}

fn processes_of_other_users_are_not_taken_for_clusters(parts: Parts) {
    let victim = Victim::new("forged", parts);
    let name = format!("{}-x", victim.cluster.name);
    let base = victim.cluster.base().to_string_lossy().into_owned();
    // As another user, and as root in that user's directory, like a setuid program.
    for (number, user) in [OTHER_USER, 0].into_iter().enumerate() {
        let directory = open_directory();
        let own = directory.path().join(&name);
        fs::create_dir(&own).expect("it is ours");
        std::os::unix::fs::chown(&own, Some(OTHER_USER), Some(OTHER_USER)).expect("we are root");
        let ready = directory.path().join(format!("ready-{number}"));
        // A script with the same command line as a keeper.
        fs::write(directory.path().join("__keeper"), format!("touch {}; sleep 600 & wait", ready.display()))
            .expect("it is ours");
        let words = format!(
            "cd {0}; exec sh __keeper {base} {name} 5 6 7 5< {1} 6< / 7< /",
            directory.path().display(),
            own.display()
        );
        let mut forged = neighbour(&["sh", "-c", &words], user, &ready);
        let list = victim.cluster.json(&["list"]);
        assert!(!list.to_string().contains(&name), "{list}");
        let mut down = kubernix();
        run(down.args(["--name", &name, "--root", &base, "down"])).exits(5);
        assert!(forged.0.try_wait().expect("our child").is_none(), "`down` ended what isn't a cluster's");
    }
    victim.down();
}

fn stop_needs_no_socket(parts: Parts) {
    let victim = Victim::new("deaf", parts);
    fs::remove_file(victim.cluster.root().join("run/control.sock")).expect("it is there");
    victim.cluster.run(&["stop"]).ok();
    assert_eq!(victim.cluster.status()["state"], "stopped");
    victim.cluster.up(&["--addons", "none"]).ok();
    victim.cluster.kubectl(&["get", "nodes"]).ok();
    victim.down();
}
