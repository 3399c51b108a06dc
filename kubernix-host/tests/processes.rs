//! Processes are started, watched and ended. A program of its own with one test: the reaper waits
//! for every child of its process, and would take those of other tests.

use kubernix_core::{Command, Process, Signal as StopSignal};
use kubernix_host::process::{Exit, Launch, Local, Reaper, RunFile, Spawner, kill_group, request_stop, tail};
use nix::sys::signal::Signal;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::LocalSet;

async fn with<T>(test: impl AsyncFnOnce(Spawner) -> T) -> T {
    let reaper = Reaper::default();
    let local = LocalSet::new();
    local.spawn_local(reaper.clone().run());
    local.run_until(test(Spawner { reaper, path: "/usr/bin:/bin".into(), target: Arc::new(Local) })).await
}

fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test(flavor = "current_thread")]
#[allow(clippy::disallowed_methods)] // A process that isn't the spawner's, on purpose.
async fn processes_are_started_watched_and_ended() {
    with(async |spawner| {
        let output = spawner.output(&Command::new("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])).await.unwrap();
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, "out\n", "err\n"));

        let missing = spawner.output(&Command::new("/nowhere/x", [""; 0])).await.unwrap_err();
        assert_eq!(missing.to_string(), "`/nowhere/x` doesn't exist");

        let dir = tempfile::tempdir().unwrap();
        let process =
            Process::new("sleeper", "/bin/sh").arg("-c").arg("echo hello; trap '' TERM; sleep 60 & wait; wait");
        let process = process.stop(StopSignal::TERM, Duration::from_millis(100));
        let running = spawner.spawn(&Launch { process: &process, directory: dir.path() }).unwrap();
        while tail(&running.log, 1).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(running.exit(), None);
        // It ignores SIGTERM, but not SIGKILL, and its child goes with it.
        request_stop(&running, Signal::SIGTERM);
        let ignored = tokio::time::timeout(std::time::Duration::from_millis(100), running.wait()).await;
        assert!(ignored.is_err());
        request_stop(&running, Signal::SIGKILL);
        assert_eq!(running.wait().await, Exit::Signal(9));
        // One that obeys, and leaves a child behind in its group.
        let left = dir.path().join("left");
        let script =
            format!("trap 'exit 0' TERM; sleep 60 & echo $! > {0}.part; mv {0}.part {0}; wait", left.display());
        let obeys =
            Process::new("obeys", "/bin/sh").arg("-c").arg(script).stop(StopSignal::TERM, Duration::from_secs(60));
        let obeying = spawner.spawn(&Launch { process: &obeys, directory: dir.path() }).unwrap();
        let left: i32 = loop {
            match std::fs::read_to_string(&left) {
                Ok(text) => break text.trim().parse().unwrap(),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        };
        request_stop(&obeying, Signal::SIGTERM);
        assert_eq!(obeying.wait().await, Exit::Code(0));
        while is_running(left) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        // Its group's number may be another's by now.
        let mut bystander = std::process::Command::new("/bin/sleep");
        let mut bystander = bystander.arg("60").process_group(0).spawn().unwrap();
        let number = nix::unistd::Pid::from_raw(bystander.id().cast_signed());
        let mut reused = obeying.clone();
        reused.pid = number;
        kill_group(&reused, Signal::SIGKILL);
        request_stop(&reused, Signal::SIGKILL);
        assert!(is_running(number.as_raw()));
        bystander.kill().unwrap();
        // The reaper may have been first.
        let _ = bystander.wait();

        let mut text = String::new();
        std::fs::File::open(dir.path().join("sleeper.run.json")).unwrap().read_to_string(&mut text).unwrap();
        let run: RunFile = serde_json::from_str(&text).unwrap();
        assert_eq!((run.process, run.pid), (process, running.pid.as_raw()));
    })
    .await;
}
