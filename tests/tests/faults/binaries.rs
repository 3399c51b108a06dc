//! Removes or overwrites the binary of a component that has to be restarted.

use super::component::{kill_component, pid, repair};
use super::invariants::CheckedCluster;
use super::suite::Cases;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// The name of this part in `--faults`.
pub const PART: &str = "binary";
/// The time for which a binary is missing or being written, as by a build.
const WRITE_TIME: Duration = Duration::from_secs(4);

/// Removes or overwrites a component's binary while the component is restarted.
pub fn binaries_are_missing_or_busy() -> Result<(), String> {
    let mut checked = CheckedCluster::new("binary");
    checked.up().ok();
    checked.create_objects();
    let (real, own) = (binary_of(&checked, "scheduler"), checked.cluster.base().join("scheduler"));
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
    fs::write(&own, text).expect("a script");
    fs::set_permissions(&own, Permissions::from_mode(0o755)).expect("an executable");
    let set = format!("scheduler.binary={}", own.display());
    checked.cluster.run(&["component", "replace", "--set", &set]).ok();

    let mut all = Cases::new(PART);
    all.case(0, "ENOENT: the binary is moved away and back", || {
        repair(&checked, "scheduler");
        let away = own.with_extension("away");
        fs::rename(&own, &away).expect("it can be moved");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        fs::rename(&away, &own).expect("it can be moved back");
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(1, "ETXTBSY: the binary is open for writing", || {
        repair(&checked, "scheduler");
        let writer = File::options().append(true).open(&own).expect("it can be written");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        drop(writer);
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(2, "ENOEXEC: the binary is half written", || {
        repair(&checked, "scheduler");
        let whole = fs::read(&own).expect("a script");
        fs::write(&own, b"\x7fELF").expect("half a program");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        fs::write(&own, whole).expect("the whole program");
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(3, "`stop` and `up` restore the same cluster", || {
        repair(&checked, "scheduler");
        checked.check_stop_and_up();
        (0, None)
    });
    checked.down();
    all.end()
}

/// The program of a component's process, from procfs.
fn binary_of(checked: &CheckedCluster, component: &str) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", pid(checked, component))).expect("a process that runs")
}
