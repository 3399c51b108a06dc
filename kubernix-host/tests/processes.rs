//! Processes are started, watched and ended. A program of its own with one test: the reaper waits for every child of its
//! process, and would take those of other tests.

use kubernix_core::{Command, Process};
use kubernix_host::process::{Exit, Here, Launch, Reaper, RunFile, Spawner, stop, tail};
use std::io::Read;
use std::sync::Arc;
use tokio::task::LocalSet;

async fn with<T>(test: impl AsyncFnOnce(Spawner) -> T) -> T {
    let reaper = Reaper::default();
    let local = LocalSet::new();
    local.spawn_local(reaper.clone().run());
    local.run_until(test(Spawner { reaper, path: "/usr/bin:/bin".into(), place: Arc::new(Here) })).await
}

#[tokio::test(flavor = "current_thread")]
async fn processes_are_started_watched_and_ended() {
    with(async |spawner| {
        let output = spawner.output(&Command::new("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])).await.unwrap();
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, "out\n", "err\n"));

        let missing = spawner.output(&Command::new("/nowhere/x", [""; 0])).await.unwrap_err();
        assert_eq!(missing.to_string(), "`/nowhere/x` doesn't exist");

        let dir = tempfile::tempdir().unwrap();
        let process =
            Process::new("sleeper", "/bin/sh").arg("-c").arg("echo hello; trap '' TERM; sleep 60 & wait; wait");
        let process = process.stop(15, 100);
        let running = spawner.spawn(&Launch { process: &process, directory: dir.path() }).unwrap();
        while tail(&running.log, 1).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(running.exit(), None);
        // It ignores SIGTERM, so the ladder's last step ends it, and its child with it.
        assert_eq!(stop(&running).await, Exit::Signal(9));
        let mut text = String::new();
        std::fs::File::open(dir.path().join("sleeper.run.json")).unwrap().read_to_string(&mut text).unwrap();
        let run: RunFile = serde_json::from_str(&text).unwrap();
        assert_eq!((run.process, run.pid), (process, running.pid.as_raw()));
    })
    .await;
}
