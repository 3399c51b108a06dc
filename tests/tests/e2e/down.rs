//! `down` works, whatever is damaged, missing, stopped or locked by other users; `stop`, `status`
//! and `list` say what is wrong.

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

/// How long what has to vanish may take.
const GONE: Duration = Duration::from_secs(10);
/// How long a program that only says that it is ready may take for that.
const READY: Duration = Duration::from_secs(30);
/// The user that has no rights anywhere.
const OTHER_USER: u32 = 65534;

pub fn tests() -> Vec<Test> {
    let of_any = checks![
        down_needs_no_state_file,
        down_needs_nothing_in_the_directory_of_a_stopped_cluster_but_a_sign_that_it_is_one,
        down_finds_the_processes_without_the_files_that_name_them,
        down_ends_what_is_stopped_by_a_signal,
        a_keeper_that_is_stopped_shows_also_without_its_init,
        down_ends_what_is_frozen_in_a_cgroup,
        down_ends_a_boot_whose_command_is_stopped,
        down_ends_a_cluster_whose_directory_is_gone,
        down_is_not_delayed_by_locks_of_other_users,
        commands_of_other_users_do_not_look_like_clusters,
        stop_needs_no_socket,
    ];
    // In a network of their own, with a default route: clusters use it and have to leave it as it
    // was.
    once(ISOLATED, &of_any)
}

/// A cluster that runs, with a look at the host from before.
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
        let (keeper, init) = self.cluster.carriers();
        self.processes = processes_of(keeper.as_raw(), init.as_raw());
        assert!(self.processes.len() > 6, "{:?}", self.processes);
        self.id = self.cluster.id();
        let during = self.before.changes(&Snapshot::take(&self.cluster.name, self.cluster.base()));
        for wanted in [&*format!("/kubernix/{}", self.id), "new: link", "new: rule", "forwarding = 1"] {
            assert!(during.iter().any(|change| change.contains(wanted)), "no {wanted} in {during:#?}");
        }
    }

    /// The state that `list` shows, with what it says is wrong.
    fn listed(&self) -> (String, String) {
        let list = self.cluster.json(&["list"]);
        let entry = list.as_array().into_iter().flatten().find(|entry| entry["name"] == *self.cluster.name);
        let entry = entry.unwrap_or_else(|| panic!("{} isn't in {list}", self.cluster.name));
        (entry["state"].as_str().unwrap_or_default().to_owned(), entry["problems"].to_string())
    }

    /// What `status` prints of a cluster that can only be ended.
    fn status_of_damaged(&self) -> Value {
        let status = self.cluster.run(&["--output", "json", "status"]).exits(1);
        status.says(&["down", &self.cluster.name]).json()
    }

    /// Ends it, and looks that nothing remains.
    #[track_caller]
    fn down(&self) {
        self.cluster.run(&["down"]).ok();
        self.nothing_remains();
    }

    #[track_caller]
    fn nothing_remains(&self) {
        assert!(!self.cluster.root().exists(), "{} is still there", self.cluster.root().display());
        for_none("end of all that a cluster was", GONE, || {
            let alive = self.processes.iter().filter(|process| process.is_alive());
            let alive = alive.map(|process| format!("alive: {} {}", process.pid, process.command));
            alive.chain(self.cluster.changes_since(&self.before, &self.id)).collect()
        });
        let list = self.cluster.json(&["list"]);
        assert_eq!(list, serde_json::json!([]));
    }
}

/// Ends with the test.
struct Neighbour(Child);

impl Drop for Neighbour {
    fn drop(&mut self) {
        // With what it started. It may have ended by itself.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Runs a command as a user until the end of the test; returns once it made `ready`.
fn neighbour(words: &[&str], user: u32, ready: &Path) -> Neighbour {
    let mut command = program("setpriv");
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    command.args(ids).args(words).current_dir("/").stdout(Stdio::null()).process_group(0);
    let child = Neighbour(command.spawn().expect("setpriv can be run"));
    until("neighbour that is ready", READY, || if ready.exists() { Ok(()) } else { Err("it isn't".to_owned()) });
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

/// What `state.json` may have become, with a word of what is said about it.
const DAMAGES: [(Option<&str>, &str); 4] = [
    (Some(""), "can't be understood"),
    (Some("{ \"format\": 1, \"kub"), "can't be understood"),
    (Some(r#"{ "format": 99, "kubernix": "9.9.9" }"#), "9.9.9"),
    (None, "no state.json"),
];

fn down_needs_no_state_file(parts: Parts) {
    for (how, said) in DAMAGES {
        let victim = Victim::new("damaged", parts);
        damage(&victim.cluster, how);
        let (state, problems) = victim.listed();
        assert!(state == "damaged" && problems.contains(said) && problems.contains("it runs: init"), "{problems}");
        let status = victim.status_of_damaged();
        assert_eq!(status["state"], "damaged");
        assert!(status["problems"].to_string().contains(said), "{status}");
        let stop = victim.cluster.run(&["stop"]);
        assert!(stop.code != 0 && stop.stderr.contains(said) && stop.stderr.contains("down"), "{stop:?}");
        // Others come and go by themselves.
        let pids = status["own_pids"].as_array().expect("keeper and init").clone();
        let is_carrier = |process: &&Process| pids.iter().any(|pid| *pid == process.pid);
        let carriers = victim.processes.iter().filter(is_carrier);
        assert!(
            carriers.clone().count() == 2 && carriers.clone().all(Process::is_alive),
            "`stop` ended what it refused to"
        );
        victim.down();
    }
}

fn down_needs_nothing_in_the_directory_of_a_stopped_cluster_but_a_sign_that_it_is_one(parts: Parts) {
    let mut victim = Victim::new("stopped", parts);
    for (how, said) in DAMAGES {
        victim.cluster.run(&["stop"]).ok();
        damage(&victim.cluster, how);
        let (state, problems) = victim.listed();
        assert!(state == "damaged" && problems.contains(said) && !problems.contains("it runs"), "{problems}");
        assert_eq!(victim.status_of_damaged()["state"], "damaged");
        if how.is_none() {
            // What certainly isn't a cluster's is never removed with one.
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

fn down_finds_the_processes_without_the_files_that_name_them(parts: Parts) {
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

/// Chooses among keeper and init.
type Choice = fn((Pid, Pid)) -> Vec<Pid>;

fn down_ends_what_is_stopped_by_a_signal(parts: Parts) {
    let mut victim = Victim::new("frozen", parts);
    let choices: [Choice; 3] =
        [|(keeper, _)| vec![keeper], |(_, init)| vec![init], |(keeper, init)| vec![keeper, init]];
    for (number, choose) in choices.into_iter().enumerate() {
        let stopped = choose(victim.cluster.carriers());
        for process in &stopped {
            kill(*process, Signal::SIGSTOP).expect("it is there");
        }
        let advice = format!("kill -CONT {}", stopped[0]);
        until("word of what is stopped", GONE, || {
            let problems = victim.cluster.status()["problems"].to_string();
            if problems.contains(&advice) { Ok(()) } else { Err(problems) }
        });
        assert!(victim.listed().1.contains(&advice));
        victim.cluster.run(&["stop"]).exits(1).says(&[&advice, "destroys its data"]);
        if number == 0 {
            // Nothing was lost by that: it goes on, and can be stopped in order.
            kill(stopped[0], Signal::SIGCONT).expect("it is there");
            victim.cluster.run(&["stop"]).ok();
            victim.up(parts);
            kill(victim.cluster.carriers().0, Signal::SIGSTOP).expect("it is there");
        }
        victim.down();
        if number + 1 < choices.len() {
            victim.up(parts);
        }
    }
}

fn a_keeper_that_is_stopped_shows_also_without_its_init(parts: Parts) {
    let victim = Victim::new("widow", parts);
    let (keeper, init) = victim.cluster.carriers();
    kill(keeper, Signal::SIGSTOP).expect("it is there");
    kill(init, Signal::SIGKILL).expect("it is there");
    let advice = format!("kill -CONT {keeper}");
    until("word of the keeper", GONE, || {
        let problems = victim.cluster.status()["problems"].to_string();
        if problems.contains(&advice) && !problems.contains("init") { Ok(()) } else { Err(problems) }
    });
    victim.cluster.run(&["stop"]).exits(1).says(&[&advice, "the keeper of cluster"]);
    victim.down();
}

fn down_ends_what_is_frozen_in_a_cgroup(parts: Parts) {
    let victim = Victim::new("ice", parts);
    let group = |mount: &str| Path::new(mount).join("kubernix").join(&victim.id);
    let v1 = group("/sys/fs/cgroup/freezer").join("freezer.state");
    let (file, word) = if v1.exists() { (v1, "FROZEN") } else { (group("/sys/fs/cgroup").join("cgroup.freeze"), "1") };
    fs::write(file, word).expect("the group can be frozen");
    victim.down();
}

fn down_ends_a_boot_whose_command_is_stopped(parts: Parts) {
    for event in [r#""event":"boot-started""#, r#""event":"ready","instance":"certificates""#, r#""role":"cri""#] {
        let cluster = Cluster::new("suspended");
        let before = Snapshot::take(&cluster.name, cluster.base());
        let boot = cluster.booting(&[&["--addons", "none"][..], &parts.settings()].concat());
        boot.reaches(event);
        let id = cluster.id();
        boot.signal(Signal::SIGSTOP);
        cluster.run(&["down"]).ok();
        assert!(!cluster.root().exists(), "stopped at {event}");
        // A command that had nothing more to do with the cluster's processes is still there, and
        // hears of it.
        boot.signal(Signal::SIGCONT);
        let end = boot.end();
        assert!([5, 128 + Signal::SIGKILL as i32].contains(&end.code), "stopped at {event}: {end:?}");
        for_none("end of all that a cluster was", GONE, || cluster.changes_since(&before, &id));
    }
}

fn down_ends_a_cluster_whose_directory_is_gone(parts: Parts) {
    let mut victim = Victim::new("orphan", parts);
    for way in ["down", "down --all", "keeper stopped"] {
        let (keeper, _) = victim.cluster.carriers();
        // What runs may make some of it again meanwhile: as in life.
        until("root directory that is gone", READY, || {
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
                victim.nothing_remains();
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
    // All that other users can open, and that the host's side of a cluster is near to. A shared
    // lock is enough to keep an exclusive one out, and the same file may be mounted twice.
    let places: BTreeSet<&str> =
        ["/proc/self/ns/net", "/run", "/", "/sys/fs/cgroup"].into_iter().chain(hierarchies).collect();
    let mut neighbours = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let ready = directory.path().join(number.to_string());
        let script = format!("exec 9< {place}; flock --shared 9 && touch {} && exec sleep 600", ready.display());
        neighbours.push(neighbour(&["sh", "-c", &script], OTHER_USER, &ready));
    }
    let down = victim.cluster.run(&["down"]).ok();
    assert!(!down.stderr.contains("going on without"), "{down:?}");
    for neighbour in &mut neighbours {
        assert!(neighbour.0.try_wait().expect("our child").is_none(), "it gave its lock back too early");
    }
    victim.nothing_remains();
}

fn commands_of_other_users_do_not_look_like_clusters(parts: Parts) {
    let victim = Victim::new("forged", parts);
    let name = format!("{}-x", victim.cluster.name);
    let base = victim.cluster.base().to_string_lossy().into_owned();
    // As another user; and with that user's directory, but root's rights, as a program has them
    // that is setuid.
    for (number, user) in [OTHER_USER, 0].into_iter().enumerate() {
        let directory = open_directory();
        let own = directory.path().join(&name);
        fs::create_dir(&own).expect("it is ours");
        std::os::unix::fs::chown(&own, Some(OTHER_USER), Some(OTHER_USER)).expect("we are root");
        let ready = directory.path().join(format!("ready-{number}"));
        // A script that is called as a keeper's command is: its arguments are a keeper's, to the
        // letter.
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
