//! `cargo xtask test vm`: the `kubernix` of this checkout on the machine that most users have, systemd and cgroup v2, emulated.
//!
//! A Debian system is made in a folder, with the host's own apt sources, and becomes a disk; QEMU boots it without
//! virtualisation, so that it runs anywhere. Inside, a script boots a cluster and says over the serial console how it went.

mod disk;
mod guest;
mod host;

use crate::workspace::{Profile, Workspace};
use crate::{exit_code, run};
use anyhow::{Result, bail};
use guest::Heard;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How to boot the machine.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes after which the machine is switched off, whatever it does.
    #[arg(long, default_value_t = 15, value_name = "MINUTES")]
    timeout: u32,
}

/// Makes the machine, boots it and tells what its script said.
pub fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    host::prepare()?;
    let kubernix = workspace.build(Profile::Release)?;
    println!("the cluster's binaries");
    run::checked(run::command(&kubernix).args(["toolchain", "ensure"]))?;
    let folder = workspace.scratch("vm")?;
    let machine = disk::make(&folder, &kubernix)?;
    println!("booting an emulated machine; expect several minutes ({} at most)", args.timeout);
    let log = folder.join("console.log");
    std::fs::write(&log, "")?;
    let heard = Mutex::new(Heard::default());
    let good = run::logged(&mut qemu(&machine, args.timeout), &log, |line| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = heard.read(line) {
            println!("  {line}");
        }
    })?;
    let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !(good && heard.whole()) {
        println!("---- the end of {}\n{}\n----", log.display(), run::tail(&log, 60));
        let why = if good { "it ended before its script did" } else { "it didn't end by itself, or not in time" };
        bail!("the machine: {why}");
    }
    println!("all in {}", run::duration(started.elapsed()));
    println!("{heard}");
    exit_code(heard.good())
}

/// The machine. `timeout` ends it even if xtask is gone by then.
fn qemu(machine: &disk::Machine, minutes: u32) -> Command {
    let mut qemu = run::command("timeout");
    qemu.args(["--foreground", "--kill-after=10", &format!("{minutes}m")]);
    // All of a core for ten minutes is no reason to make the rest of the machine wait.
    qemu.args(["nice", "-n", "10", "qemu-system-x86_64"]);
    // One thread a core, and every instruction that the emulation knows: Go's cryptography is slow without.
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096"]);
    qemu.args(["-nographic", "-monitor", "none", "-no-reboot", "-nic", "none"]);
    qemu.arg("-kernel").arg(&machine.kernel);
    // The kernel has NVMe and ext4 built in: no initramfs. Mitigations cost time and protect nobody here.
    qemu.args(["-append", "root=/dev/nvme0n1 rw console=ttyS0 mitigations=off quiet"]);
    qemu.args(["-drive", &drive(&machine.disk), "-device", "nvme,drive=disk,serial=kubernix"]);
    qemu
}

fn drive(disk: &Path) -> String {
    // In QEMU's options a comma ends a value, two are one. Nothing on this disk has to survive the host.
    format!("file={},if=none,id=disk,format=raw,cache=unsafe", disk.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_stays_in_it() {
        assert!(drive(Path::new("/a,b/disk")).starts_with("file=/a,,b/disk,if=none"));
    }
}
