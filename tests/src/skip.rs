//! Checks whether this machine can run a test. A skipped test is reported by
//! [`kubernix_testkit::report_skip`].

use crate::command::{program, run};
use std::sync::OnceLock;

/// Why no cluster can be booted here; `None` if one can.
pub fn unfit() -> Option<&'static str> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        if !nix::unistd::geteuid().is_root() {
            return Some("not root".to_owned());
        }
        let made = run(program("unshare").args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "true"]));
        (made.code != 0).then(|| format!("no namespaces: {}", made.stderr.trim()))
    };
    WHY.get_or_init(look).as_deref()
}

/// Why no file system can be mounted in a new namespace here; `None` if one can.
pub fn unfit_for_mounts() -> Option<&'static str> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        let made = run(program("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]));
        (made.code != 0).then(|| format!("no tmpfs can be mounted: {}", made.stderr.trim()))
    };
    unfit().or_else(|| WHY.get_or_init(look).as_deref())
}
