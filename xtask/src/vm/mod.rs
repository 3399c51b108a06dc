//! `cargo xtask test vm`: tests the `kubernix` of this checkout in an emulated machine with systemd
//! and cgroup v2.
//!
//! Creates a Debian system from the host's apt sources on a disk image. QEMU boots it without
//! hardware virtualisation, so that the test runs anywhere. In the machine, a script boots a
//! cluster and prints the results to the serial console.

mod disk;
mod guest;
mod host;

use crate::workspace::{Profile, Workspace};
use crate::{exit_code, run};
use anyhow::{Result, bail};
use guest::Results;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The arguments of `test vm`.
#[derive(clap::Args)]
pub struct Args {
    /// The time limit in minutes, after which the machine is switched off.
    #[arg(long, default_value_t = 15, value_name = "MINUTES")]
    timeout: u32,
}

/// Creates the machine, boots it, and prints the results of its script.
pub fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    host::prepare()?;
    let kubernix = workspace.build(Profile::Release)?;
    println!("the cluster's binaries");
    run::checked(run::command(&kubernix).args(["toolchain", "ensure"]))?;
    let folder = workspace.scratch("vm")?;
    let machine = disk::make(&folder, &kubernix)?;
    println!("booting an emulated machine; this takes several minutes ({} at most)", args.timeout);
    let log = folder.join("console.log");
    std::fs::write(&log, "")?;
    let results = Mutex::new(Results::default());
    let good = run::logged(&mut qemu(&machine, args.timeout), &log, |line| {
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = results.read(line) {
            println!("  {line}");
        }
    })?;
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !(good && results.is_complete()) {
        println!("---- the end of {}\n{}\n----", log.display(), run::tail(&log, 60));
        if good {
            bail!("the machine ended before its script");
        }
        bail!("the machine failed, or didn't end in time");
    }
    println!("total time: {}", run::duration(started.elapsed()));
    println!("{results}");
    exit_code(results.passed())
}

/// The command line of QEMU. `timeout` ends the machine even if xtask was killed.
fn qemu(machine: &disk::Machine, minutes: u32) -> Command {
    let mut qemu = run::command("timeout");
    qemu.args(["--foreground", "--kill-after=10", &format!("{minutes}m")]);
    // With a low priority: it uses the CPU for up to ten minutes.
    qemu.args(["nice", "-n", "10", "qemu-system-x86_64"]);
    // One thread for each core, and all instructions that the emulation supports: without them,
    // Go's cryptography is slow.
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096"]);
    qemu.args(["-nographic", "-monitor", "none", "-no-reboot", "-nic", "none"]);
    qemu.arg("-kernel").arg(&machine.kernel);
    // Without initramfs: the kernel has NVMe and ext4 built in. Without mitigations, which cost
    // time and aren't needed here.
    qemu.args(["-append", "root=/dev/nvme0n1 rw console=ttyS0 mitigations=off quiet"]);
    qemu.args(["-drive", &drive(&machine.disk), "-device", "nvme,drive=disk,serial=kubernix"]);
    qemu
}

fn drive(disk: &Path) -> String {
    // In QEMU's options, a comma in a value is doubled. `unsafe`: the disk needn't survive a crash
    // of the host.
    format!("file={},if=none,id=disk,format=raw,cache=unsafe", disk.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_is_doubled() {
        assert!(drive(Path::new("/a,b/disk")).starts_with("file=/a,,b/disk,if=none"));
    }
}
