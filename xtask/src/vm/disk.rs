//! The machine's disk: a Debian system, which is created once, and the files under test, which are
//! copied every time.

use super::{guest, host};
use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The packages in addition to the essential ones. `netavark` is one of the alternatives for a
/// network stack that skopeo's configuration needs; debootstrap doesn't resolve alternatives.
const PACKAGES: &str =
    "ca-certificates,conmon,dbus,iproute2,kmod,libseccomp2,netavark,nftables,procps,skopeo,systemd,systemd-sysv,udev";
/// The package that depends on Debian's newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
/// The disk's size in bytes. The file is sparse.
const SIZE: u64 = 8 << 30;

/// The files that QEMU boots.
pub struct Machine {
    /// A raw disk image.
    pub disk: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
}

/// Creates a machine that runs the guest's script with this `kubernix`, and then switches itself
/// off.
pub fn make(folder: &Path, kubernix: &Path) -> Result<Machine> {
    let (base, kernel) = base(folder)?;
    let (root, disk) = (folder.join("root"), folder.join("disk.img"));
    println!("creating its disk");
    remove(&root)?;
    run::checked(run::command("cp").args(["--archive", "--reflink=auto"]).args([&base, &root]))?;
    install(&root, kubernix)?;
    fs::File::create(&disk)?.set_len(SIZE)?;
    run::checked(run::command("mkfs.ext4").args(["-q", "-F", "-d"]).args([&root, &disk]))?;
    remove(&root)?;
    Ok(Machine { disk, kernel })
}

/// The directory of a Debian system by debootstrap, with the kernel's modules; and the kernel.
fn base(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (base, kernel, stamp) = (folder.join("base"), folder.join("vmlinuz"), folder.join("base.stamp"));
    let mirror = host::mirror()?;
    let newest = run::output(run::command("apt-cache").args(["depends", KERNEL]))?;
    let package = newest.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.filter(|name| name.starts_with("linux-image-"));
    let package = package.with_context(|| format!("apt knows no kernel by `{KERNEL}`; try `apt-get update`"))?;
    let wanted = format!("{} {PACKAGES} {package}", mirror.suite);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok((base, kernel));
    }
    println!("creating a Debian system ({}, {package}) in {}", mirror.suite, base.display());
    remove(&base)?;
    remove(&stamp)?;
    let log = folder.join("debootstrap.log");
    // In a mount namespace, so that its mounts aren't visible on the host.
    let mut debootstrap = run::command("unshare");
    debootstrap.args(["--mount", "--propagation=private", "debootstrap", "--variant=minbase"]);
    debootstrap.arg(format!("--include={PACKAGES}")).arg(&mirror.suite).arg(&base).arg(&mirror.url);
    if !run::logged(&mut debootstrap, &log, |_| ())? {
        bail!("debootstrap failed:\n{}", run::tail(&log, 20));
    }
    install_kernel(folder, package, &base, &kernel)?;
    // It has the host's name server.
    remove(&base.join("etc/resolv.conf"))?;
    fs::write(&stamp, wanted)?;
    Ok((base, kernel))
}

/// Extracts a kernel and its modules from their package. Installing the package would need an
/// initramfs.
fn install_kernel(folder: &Path, package: &str, base: &Path, kernel: &Path) -> Result<()> {
    let unpacked = folder.join("kernel");
    remove(&unpacked)?;
    fs::create_dir_all(&unpacked)?;
    // Otherwise apt warns that its own user can't write into this directory.
    let mut download = run::command("apt-get");
    run::output(download.args(["download", "-o", "APT::Sandbox::User=root", package]).current_dir(&unpacked))?;
    let archive = only_entry(&unpacked, "")?;
    run::checked(run::command("dpkg-deb").arg("--extract").args([&archive, &unpacked]))?;
    fs::copy(only_entry(&unpacked.join("boot"), "vmlinuz-")?, kernel)?;
    let modules = only_entry(&unpacked.join("lib/modules"), "")?;
    let version = modules.file_name().context("the kernel's modules have no version")?;
    let target = base.join("usr/lib/modules");
    fs::create_dir_all(&target)?;
    run::checked(run::command("cp").arg("--archive").args([&modules, &target]))?;
    run::checked(run::command("chroot").arg(base).arg("depmod").arg(version))?;
    remove(&unpacked)
}

/// Installs `kubernix`, its toolchain, and the guest's script.
fn install(root: &Path, kubernix: &Path) -> Result<()> {
    let toolchain = root.join("root/.cache/kubernix/toolchain");
    fs::create_dir_all(&toolchain)?;
    for entry in built_tools(kubernix)? {
        run::checked(run::command("cp").arg("--archive").arg(entry).arg(&toolchain))?;
    }
    copy_program(&fs::read(kubernix)?, &root.join("usr/local/bin/kubernix"))?;
    copy_program(guest::SCRIPT.as_bytes(), &root.join("usr/local/bin/kubernix-vm"))?;
    replace(&root.join("etc/hostname"), "kubernix-vm\n")?;
    replace(&root.join("etc/fstab"), "/dev/nvme0n1 / ext4 defaults 0 1\n")?;
    replace(&root.join("etc/systemd/system/kubernix-vm.service"), guest::UNIT)?;
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    symlink("/etc/systemd/system/kubernix-vm.service", wants.join("kubernix-vm.service"))?;
    // A login prompt would hang up the terminal, to which the script prints.
    symlink("/dev/null", root.join("etc/systemd/system/serial-getty@ttyS0.service"))?;
    Ok(())
}

/// The entries of the toolchain's cache that this `kubernix` uses. The cache may have older
/// versions too. Tools from host packages are installed with the system.
fn built_tools(kubernix: &Path) -> Result<BTreeSet<PathBuf>> {
    let ensured = run::output(run::command(kubernix).args(["toolchain", "ensure", "--quiet", "--output=json"]))?;
    let entries =
        cache_entries(&serde_json::from_str(&ensured).context("`kubernix toolchain ensure` printed no JSON")?);
    if entries.is_empty() {
        bail!("the toolchain's cache has none of the cluster's binaries");
    }
    Ok(entries)
}

/// `CACHE/toolchain/ENTRY` for every such path in a JSON value.
fn cache_entries(value: &Value) -> BTreeSet<PathBuf> {
    match value {
        Value::String(text) if text.starts_with('/') => {
            let Some((cache, rest)) = text.split_once("/toolchain/") else { return BTreeSet::new() };
            let entry = rest.split('/').next().unwrap_or(rest);
            BTreeSet::from([Path::new(cache).join("toolchain").join(entry)])
        }
        Value::Array(values) => values.iter().flat_map(cache_entries).collect(),
        Value::Object(fields) => fields.values().flat_map(cache_entries).collect(),
        _ => BTreeSet::new(),
    }
}

fn copy_program(content: &[u8], path: &Path) -> Result<()> {
    fs::write(path, content).with_context(|| format!("can't write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn replace(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("can't write {}", path.display()))
}

/// The only entry of a folder whose name begins with `prefix`.
fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            entries.push(entry.path());
        }
    }
    match entries.len() {
        1 => Ok(entries.remove(0)),
        n => bail!("{} has {n} entries `{prefix}*`, expected one", folder.display()),
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cache_entries_in_use_are_copied() {
        let resolution = serde_json::json!({ "tools": {
            "bridge": { "path": "/c/toolchain/cni-1/bridge", "provider": "cache" },
            "cni": { "path": "/c/toolchain/cni-1", "provider": "cache" },
            "etcd": { "path": "/c/toolchain/etcd-2/etcd", "provider": "go" },
            "nft": { "path": "/usr/sbin/nft", "provider": "path" },
        }});
        let entries: Vec<_> = cache_entries(&resolution).into_iter().collect();
        assert_eq!(entries, [Path::new("/c/toolchain/cni-1"), Path::new("/c/toolchain/etcd-2")]);
    }

    #[test]
    fn several_entries_or_none_are_an_error() {
        let folder = std::env::temp_dir().join(format!("kubernix-xtask-disk-{}", std::process::id()));
        fs::create_dir_all(folder.join("vmlinuz-6.1")).unwrap();
        fs::create_dir_all(folder.join("config-6.1")).unwrap();
        let one = only_entry(&folder, "vmlinuz-");
        let (two, none) = (only_entry(&folder, ""), only_entry(&folder, "initrd"));
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert!(one.unwrap().ends_with("vmlinuz-6.1"));
        assert!(two.is_err() && none.is_err() && !folder.exists());
    }
}
