//! The pause program as bytes, for images.
//!
//! Every pod has a pause process that holds its namespaces, and container runtimes start it from an
//! image. `build.rs` compiles the program, `main.rs`, to a static executable. So the image needs no
//! base image and no registry.

/// A static ELF executable for the target of this crate. It needs no arguments and no files. It
/// sleeps until SIGTERM or SIGINT, exits with code 0, and reaps orphans if it is PID 1.
pub const PAUSE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

#[cfg(test)]
mod tests {
    use super::PAUSE;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};
    use std::{fs, thread};

    /// Reads the types of the program headers of a little-endian ELF64 file.
    fn program_headers(elf: &[u8]) -> Vec<u32> {
        let u16_at = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
        let u32_at = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
        let start = u64::from_le_bytes(elf[32..40].try_into().unwrap()) as usize;
        (0..u16_at(56)).map(|i| u32_at(start + i * u16_at(54))).collect()
    }

    /// Starts pause with a shell command line, in which it is `$0`. Waits until it sleeps in its
    /// only blocking system call.
    fn start(command_line: &str) -> (tempfile::TempDir, Child, Pid) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        fs::write(&path, PAUSE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        #[allow(clippy::disallowed_methods, reason = "the test starts the program of this crate")]
        let child = Command::new("sh").arg("-c").arg(command_line).arg(&path).spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        wait_until("it waits for signals", || {
            fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap().starts_with(SIGTIMEDWAIT)
        });
        (dir, child, pid)
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "timed out waiting until {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn pause_is_a_small_static_executable() {
        const PT_LOAD: u32 = 1;
        const PT_DYNAMIC: u32 = 2;
        const PT_INTERP: u32 = 3;
        assert_eq!(&PAUSE[..6], b"\x7fELF\x02\x01");
        let headers = program_headers(PAUSE);
        assert!(headers.contains(&PT_LOAD), "{headers:?}");
        assert!(!headers.contains(&PT_INTERP) && !headers.contains(&PT_DYNAMIC), "{headers:?}");
        assert!(PAUSE.len() < 1_000_000, "{} bytes", PAUSE.len());
    }

    #[test]
    fn pause_sleeps_until_sigterm_or_sigint() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let (_dir, mut child, pid) = start("exec $0");
            // Neither SIGCHLD nor a signal that isn't handled ends it.
            kill(pid, Signal::SIGCHLD).unwrap();
            kill(pid, Signal::SIGURG).unwrap();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(child.try_wait().unwrap(), None);
            kill(pid, signal).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        }
    }

    #[test]
    fn pause_reaps_inherited_children() {
        let (_dir, mut child, pid) = start("sleep 0.2 & exec $0");
        let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        assert_ne!(children(), "");
        wait_until("no child is left, not even as a zombie", || children().is_empty());
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    /// The start of `/proc/PID/syscall` in `rt_sigtimedwait`: the number of the system call.
    const SIGTIMEDWAIT: &str = if cfg!(target_arch = "x86_64") { "128 " } else { "137 " };
}
