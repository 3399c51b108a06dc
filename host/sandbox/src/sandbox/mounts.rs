//! The sandbox's view of the file system: the host's, except for directories in which clusters
//! would conflict.
//!
//! All functions run in a new mount namespace, whose changes don't propagate to the host.

use super::program;
use crate::cgroups::hugetlb;
use crate::cgroups::{Hierarchy, hierarchies};
use crate::cluster_dir::INSIDE;
use crate::mountinfo;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the host's mounts are kept while `/sys` and `/var/lib` are replaced: on the sandbox's
/// tmpfs.
pub(super) const STASH: &str = "/run/.kubernix";
/// The name of the cluster's root directory there.
const ROOT: &str = "root";
const VAR_LIB: &str = "/var/lib";

/// Kernel settings that exist once per host, and that a kubelet writes. The sandbox replaces them
/// by plain files, so that the host's settings stay.
const HOST_WIDE: &[&str] = &[
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// How often to retry mounting the root directory. Each attempt fails only if it was renamed just
/// before.
const ATTEMPTS: u32 = 10;

/// What to replace in a sandbox.
pub struct Mounts<'fd> {
    /// The cluster's root directory. It is mounted at [`INSIDE`].
    pub root: BorrowedFd<'fd>,
    /// Directories of the cluster, each with its mount point: a fixed path such as
    /// `/var/lib/kubelet` or `/var/log`.
    pub private: Vec<(PathBuf, PathBuf)>,
    /// The file to mount at `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

fn none() -> Option<&'static str> {
    None
}

pub(super) fn bind(from: &Path, to: &Path) -> io::Result<()> {
    Ok(mount(Some(from), to, none(), MsFlags::MS_BIND | MsFlags::MS_REC, none())?)
}

pub(super) fn shift(from: &Path, to: &Path) -> io::Result<()> {
    Ok(mount(Some(from), to, none(), MsFlags::MS_MOVE, none())?)
}

fn fresh(kind: &str, at: &str, flags: MsFlags, options: Option<&str>) -> io::Result<()> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(Some(kind), at, Some(kind), flags, options)?)
}

pub(super) fn step<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}

impl Mounts<'_> {
    /// Sets up the mounts. Returns the cgroup hierarchies of the sandbox.
    ///
    /// # Errors
    /// The kernel refuses a mount, which the message names.
    pub fn apply(&self) -> io::Result<Vec<Hierarchy>> {
        // Unmounts on the host propagate into the sandbox, or the file systems would stay busy.
        // Nothing propagates to the host.
        let all = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        step("making mounts private", mount(none(), "/", none(), all, none()).map_err(Into::into))?;
        let outside = fs::read_to_string("/proc/self/mountinfo")?;
        step("mounting /proc", fresh("proc", "/proc", MsFlags::MS_NOEXEC, None))?;
        step("mounting /run", fresh("tmpfs", "/run", MsFlags::empty(), Some("mode=755")))?;
        fs::create_dir_all(STASH)?;
        step("stashing the kubernix binary", program::stash())?;
        let root = step("stashing the cluster's directory", self.stash_root())?;
        step("replacing kernel settings", replace_sysctls())?;
        step("replacing /sys", replace_sys(&outside))?;
        step("replacing /var/lib", replace_var_lib())?;
        program::mount_stashed()?;
        step("mounting the cluster's directory", mount_root(&root))?;
        step("replacing /etc/resolv.conf", self.replace_resolv_conf())?;
        mount_private(&self.private)?;
        share()?;
        Ok(hierarchies(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// Mounts the root directory in the stash before the directory above it is replaced. Returns
    /// its path. mount(2) needs a path in this mount namespace, and the descriptor belongs to
    /// another one.
    fn stash_root(&self) -> io::Result<PathBuf> {
        let target = Path::new(STASH).join(ROOT);
        fs::create_dir_all(&target)?;
        let meant = nix::sys::stat::fstat(self.root)?;
        for _ in 0..ATTEMPTS {
            let path = fs::read_link(format!("/proc/self/fd/{}", self.root.as_fd().as_raw_fd()))?;
            match bind(&path, &target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let found = fs::metadata(&target)?;
            if (found.dev(), found.ino()) == (meant.st_dev, meant.st_ino) {
                return Ok(path);
            }
            umount2(&target, MntFlags::MNT_DETACH)?;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "it was moved or removed"))
    }

    /// Replaces `/etc/resolv.conf`. On the host, it may be a file, missing, or a link into the
    /// host's `/run`, which the sandbox doesn't see. A container runtime needs it, and look-ups
    /// without a server should fail at once.
    fn replace_resolv_conf(&self) -> io::Result<()> {
        let target = Path::new("/etc/resolv.conf");
        if target.is_file() {
            return bind(&self.resolv_conf, target);
        }
        overlay(Path::new("/etc"), Err)?;
        match fs::remove_file(target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::copy(&self.resolv_conf, target).map(drop)
    }
}

/// Moves the root directory's mount from the stash to [`INSIDE`]. If it lies below `/var/lib`, it
/// is also mounted at its path on the host.
fn mount_root(path: &Path) -> io::Result<()> {
    let stashed = Path::new(STASH).join(ROOT);
    if path.starts_with(VAR_LIB) {
        fs::create_dir_all(path)?;
        bind(&stashed, path)?;
    }
    fs::create_dir_all(INSIDE)?;
    shift(&stashed, Path::new(INSIDE))
}

/// Mounts an overlay over a directory of the host, so that changes stay in the sandbox. If that
/// fails, `otherwise` decides.
fn overlay(at: &Path, otherwise: impl FnOnce(io::Error) -> io::Result<()>) -> io::Result<()> {
    let own = Path::new(STASH).join(at.to_string_lossy().trim_matches('/').replace('/', "-"));
    let [upper, work] = ["upper", "work"].map(|name| own.join(name));
    for directory in [&upper, &work] {
        fs::create_dir_all(directory)?;
    }
    let (lower, upper, work) = (at.display(), upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    fresh("overlay", &at.to_string_lossy(), MsFlags::empty(), Some(&options)).or_else(otherwise)
}

fn replace_var_lib() -> io::Result<()> {
    overlay(Path::new(VAR_LIB), |error| {
        log::info!("can't mount an overlay over /var/lib ({error}): mounting an empty directory");
        fresh("tmpfs", VAR_LIB, MsFlags::empty(), Some("mode=755"))
    })
}

/// Mounts directories of the cluster at their fixed paths.
fn mount_private(private: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    for (from, to) in private {
        fs::create_dir_all(from)?;
        let result = fs::create_dir_all(to).and_then(|()| bind(from, to));
        step(&format!("mounting {}", to.display()), result)?;
    }
    Ok(())
}

/// Containers with mount propagation need shared mounts. Nothing propagates to the host.
fn share() -> io::Result<()> {
    let all = MsFlags::MS_REC | MsFlags::MS_SHARED;
    step("sharing mounts", mount(none(), "/", none(), all, none()).map_err(Into::into))
}

/// What to replace for a node with its own namespaces, relative to the sandbox.
pub(super) struct NodeMounts {
    /// A directory below `/run` that stays the sandbox's.
    pub volatile: PathBuf,
    /// As [`Mounts::private`].
    pub private: Vec<(PathBuf, PathBuf)>,
    /// The file to copy or mount to `/etc/resolv.conf`, if the node has its own `/etc`.
    pub resolv_conf: Option<PathBuf>,
}

impl NodeMounts {
    /// Sets up the mounts.
    ///
    /// # Errors
    /// The kernel refuses a mount, which the message names.
    pub fn apply(&self) -> io::Result<()> {
        let all = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        step("making mounts private", mount(none(), "/", none(), all, none()).map_err(Into::into))?;
        let outside = fs::read_to_string("/proc/self/mountinfo")?;
        step("mounting /proc", fresh("proc", "/proc", MsFlags::MS_NOEXEC, None))?;
        step("mounting /run", self.replace_run())?;
        fs::create_dir_all(STASH)?;
        step("replacing kernel settings", replace_sysctls())?;
        step("replacing /sys", replace_sys(&outside))?;
        if let Some(resolv_conf) = &self.resolv_conf {
            step("replacing /etc/resolv.conf", replace_own_resolv_conf(resolv_conf))?;
        }
        mount_private(&self.private)?;
        share()
    }

    /// The new `/run` is prepared in the stash, because it needs a directory of the old one.
    fn replace_run(&self) -> io::Result<()> {
        let new = Path::new(STASH).join("run");
        fs::create_dir_all(&new)?;
        fresh("tmpfs", &new.to_string_lossy(), MsFlags::empty(), Some("mode=755"))?;
        let below = self.volatile.strip_prefix("/run").map_err(io::Error::other)?;
        fs::create_dir_all(new.join(below))?;
        bind(&self.volatile, &new.join(below))?;
        shift(&new, Path::new("/run"))
    }
}

/// In the node's own root, the host's file may be a link into a missing `/run`.
fn replace_own_resolv_conf(own: &Path) -> io::Result<()> {
    let target = Path::new("/etc/resolv.conf");
    match fs::remove_file(target) {
        // podman has mounted one.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => bind(own, target),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::copy(own, target).map(drop),
    }
}

fn replace_sysctls() -> io::Result<()> {
    let copies = Path::new(STASH).join("sysctl");
    fs::create_dir(&copies)?;
    let sysctls = HOST_WIDE.iter().map(|name| (name.replace('/', "."), Path::new("/proc/sys").join(name)));
    // Some kernels lack some of them.
    for (name, sysctl) in sysctls.filter(|(_, sysctl)| sysctl.exists()) {
        let copy = copies.join(name);
        fs::write(&copy, fs::read(&sysctl)?)?;
        bind(&copy, &sysctl)?;
    }
    Ok(())
}

/// Mounts a new sysfs, which shows the sandbox's network links. The mounts below the host's sysfs
/// are moved over. The cgroup mounts get a new parent directory, in which more hierarchies can be
/// mounted.
fn replace_sys(outside: &str) -> io::Result<()> {
    let stashed = |point: PathBuf| {
        let stash = Path::new(STASH).join(point.to_str()?.strip_prefix("/sys/")?.replace('/', "-"));
        Some((point, stash))
    };
    let mut moved: Vec<(PathBuf, PathBuf)> = mountinfo::points(outside).filter_map(stashed).collect();
    let cgroup_root = Path::new("/sys/fs/cgroup");
    let v2_only = hierarchies(outside).iter().any(|h| h.unified && h.mount == cgroup_root);
    // The tmpfs that contains the v1 hierarchies belongs to the host. It is replaced by a new one,
    // and only its submounts are moved.
    moved.retain(|(point, _)| v2_only || point != cgroup_root);
    let links = if v2_only { Vec::new() } else { symlinks(cgroup_root) };
    moved.dedup_by(|a, b| a.0 == b.0);
    for (point, stash) in &moved {
        fs::create_dir_all(stash)?;
        mount(Some(point), stash, none(), MsFlags::MS_BIND, none())?;
    }
    match fresh("sysfs", "/sys", MsFlags::MS_NOEXEC, None) {
        // It is this network namespace's sysfs already, as in a new container.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        result => result?,
    }
    if !v2_only {
        fresh("tmpfs", "/sys/fs/cgroup", MsFlags::MS_NOEXEC, Some("mode=755"))?;
    }
    for (point, stash) in &moved {
        if point.starts_with(cgroup_root) {
            fs::create_dir_all(point)?;
        }
        // Some directories don't exist in the sysfs of a new namespace. Their mounts aren't needed.
        if point.exists() {
            shift(stash, point)?;
        }
    }
    for (link, target) in links {
        std::os::unix::fs::symlink(target, link)?;
    }
    let inside = hierarchies(&fs::read_to_string("/proc/self/mountinfo")?);
    if hugetlb::is_needed(&inside) {
        let directory = cgroup_root.join("hugetlb");
        fs::create_dir_all(&directory)?;
        if let Err(error) = hugetlb::mount_at(&directory) {
            log::warn!("hugetlb can't be mounted as cgroup v1, containers may fail: {error}");
        }
    }
    Ok(())
}

fn symlinks(directory: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), fs::read_link(entry.path()).ok()?))).collect()
}
