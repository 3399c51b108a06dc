//! The sandbox's view of the file system: the host's, with the parts that clusters would fight over
//! replaced.
//!
//! Everything here happens in a mount namespace that was just made, and is private towards the host
//! from the first call.

use super::cgroups::{Hierarchy, hierarchies};
use super::{hugetlb, program};
use crate::cluster_dir::INSIDE;
use crate::mountinfo;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the host's mounts wait while `/sys` and `/var/lib` are replaced: on the sandbox's own
/// tmpfs.
pub(super) const STASH: &str = "/run/.kubernix";
/// Where the cluster's root directory waits there.
const ROOT: &str = "root";
const VAR_LIB: &str = "/var/lib";

/// Settings of the kernel that no namespace has for itself, and that a kubelet writes. What it
/// reads and writes are files of the sandbox's own, in their place, so that the host keeps its
/// settings.
const HOST_WIDE: &[&str] = &[
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// How often the root directory is looked for under another name: each time it was renamed a moment
/// ago.
const ATTEMPTS: u32 = 10;

/// What a sandbox replaces.
pub struct Mounts<'fd> {
    /// The cluster's root directory, which is mounted at [`INSIDE`].
    pub root: BorrowedFd<'fd>,
    /// Directories of the cluster, and the fixed paths at which programs expect them:
    /// `/var/lib/kubelet`, `/var/log`.
    pub private: Vec<(PathBuf, PathBuf)>,
    /// What is read as `/etc/resolv.conf`.
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
    /// Replaces what has to be replaced. The hierarchies returned are the ones that are seen
    /// inside.
    ///
    /// # Errors
    /// The kernel refuses a mount; the text says which.
    pub fn apply(&self) -> io::Result<Vec<Hierarchy>> {
        // What the host unmounts goes here too, or it would stay busy for the cluster's life;
        // nothing goes the other way.
        let all = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        step("making mounts private", mount(none(), "/", none(), all, none()).map_err(Into::into))?;
        let outside = fs::read_to_string("/proc/self/mountinfo")?;
        step("mounting /proc", fresh("proc", "/proc", MsFlags::MS_NOEXEC, None))?;
        step("mounting /run", fresh("tmpfs", "/run", MsFlags::empty(), Some("mode=755")))?;
        fs::create_dir_all(STASH)?;
        step("keeping our own program", program::keep())?;
        let root = step("keeping the cluster's directory", self.keep_root())?;
        step("replacing settings of the kernel", replace_sysctls())?;
        step("replacing /sys", replace_sys(&outside))?;
        step("replacing /var/lib", replace_var_lib())?;
        program::place()?;
        step("mounting the cluster's directory", place_root(&root))?;
        step("replacing /etc/resolv.conf", self.replace_resolv_conf())?;
        give(&self.private)?;
        share()?;
        Ok(hierarchies(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// Keeps the root directory mounted at a place of the sandbox's own, before what it lies in is
    /// replaced. Returns where it lies. A mount takes a path of this mount namespace, which the
    /// descriptor isn't of.
    fn keep_root(&self) -> io::Result<PathBuf> {
        let place = Path::new(STASH).join(ROOT);
        fs::create_dir_all(&place)?;
        let meant = nix::sys::stat::fstat(self.root)?;
        for _ in 0..ATTEMPTS {
            let path = fs::read_link(format!("/proc/self/fd/{}", self.root.as_fd().as_raw_fd()))?;
            match bind(&path, &place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let found = fs::metadata(&place)?;
            if (found.dev(), found.ino()) == (meant.st_dev, meant.st_ino) {
                return Ok(path);
            }
            umount2(&place, MntFlags::MNT_DETACH)?;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "it is gone"))
    }

    /// Name resolution inside is the cluster's, whatever the host has: a file, none, or a link into
    /// its own `/run`, which isn't seen here. A container runtime wants one, and look-ups that have
    /// no way out should fail at once.
    fn replace_resolv_conf(&self) -> io::Result<()> {
        let place = Path::new("/etc/resolv.conf");
        if place.is_file() {
            return bind(&self.resolv_conf, place);
        }
        overlay(Path::new("/etc"), Err)?;
        match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::copy(&self.resolv_conf, place).map(drop)
    }
}

/// Mounts what was kept of the root directory at [`INSIDE`]. Below `/var/lib` it stays seen where
/// the host has it as well.
fn place_root(path: &Path) -> io::Result<()> {
    let kept = Path::new(STASH).join(ROOT);
    if path.starts_with(VAR_LIB) {
        fs::create_dir_all(path)?;
        bind(&kept, path)?;
    }
    fs::create_dir_all(INSIDE)?;
    shift(&kept, Path::new(INSIDE))
}

/// Puts an overlay over a directory of the host, so that things can be made and changed there
/// without a trace. Where there are no overlays, `otherwise` decides.
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
        log::info!("no overlay over /var/lib ({error}): it is empty inside");
        fresh("tmpfs", VAR_LIB, MsFlags::empty(), Some("mode=755"))
    })
}

/// Puts a node's own directories in the places at which programs expect them.
fn give(private: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    for (from, to) in private {
        fs::create_dir_all(from)?;
        let result = fs::create_dir_all(to).and_then(|()| bind(from, to));
        step(&format!("mounting {}", to.display()), result)?;
    }
    Ok(())
}

/// Containers with mount propagation need it; towards the outside everything stays private.
fn share() -> io::Result<()> {
    let all = MsFlags::MS_REC | MsFlags::MS_SHARED;
    step("sharing mounts", mount(none(), "/", none(), all, none()).map_err(Into::into))
}

/// What a node with namespaces of its own replaces of its sandbox's view.
pub(super) struct NodeMounts {
    /// A directory below `/run` that stays as it is.
    pub volatile: PathBuf,
    /// As [`Mounts::private`].
    pub private: Vec<(PathBuf, PathBuf)>,
    /// As [`Mounts::resolv_conf`], where `/etc` is the node's own.
    pub resolv_conf: Option<PathBuf>,
}

impl NodeMounts {
    /// Replaces what has to be replaced.
    ///
    /// # Errors
    /// The kernel refuses a mount; the text says which.
    pub fn apply(&self) -> io::Result<()> {
        let all = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        step("making mounts private", mount(none(), "/", none(), all, none()).map_err(Into::into))?;
        let outside = fs::read_to_string("/proc/self/mountinfo")?;
        step("mounting /proc", fresh("proc", "/proc", MsFlags::MS_NOEXEC, None))?;
        step("mounting /run", self.replace_run())?;
        fs::create_dir_all(STASH)?;
        step("replacing settings of the kernel", replace_sysctls())?;
        step("replacing /sys", replace_sys(&outside))?;
        if let Some(resolv_conf) = &self.resolv_conf {
            step("replacing /etc/resolv.conf", replace_own_resolv_conf(resolv_conf))?;
        }
        give(&self.private)?;
        share()
    }

    /// The new one is furnished beside the old one, whose directory is needed for that.
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

/// In a root of the node's own, the host's may be a link into a `/run` that isn't there.
fn replace_own_resolv_conf(own: &Path) -> io::Result<()> {
    let place = Path::new("/etc/resolv.conf");
    match fs::remove_file(place) {
        // podman has mounted one there.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => bind(own, place),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::copy(own, place).map(drop),
    }
}

fn replace_sysctls() -> io::Result<()> {
    let copies = Path::new(STASH).join("sysctl");
    fs::create_dir(&copies)?;
    let sysctls = HOST_WIDE.iter().map(|name| (name.replace('/', "."), Path::new("/proc/sys").join(name)));
    // Kernels are built without some.
    for (name, sysctl) in sysctls.filter(|(_, sysctl)| sysctl.exists()) {
        let copy = copies.join(name);
        fs::write(&copy, fs::read(&sysctl)?)?;
        bind(&copy, &sysctl)?;
    }
    Ok(())
}

/// A fresh sysfs shows the sandbox's own network links. What is mounted below the host's is carried
/// over, cgroups with a directory of their own, so that a further hierarchy finds a place.
fn replace_sys(outside: &str) -> io::Result<()> {
    let below = |point: PathBuf| {
        let stash = Path::new(STASH).join(point.to_str()?.strip_prefix("/sys/")?.replace('/', "-"));
        Some((point, stash))
    };
    let mut carried: Vec<(PathBuf, PathBuf)> = mountinfo::points(outside).filter_map(below).collect();
    let cgroup_root = Path::new("/sys/fs/cgroup");
    let v2_only = hierarchies(outside).iter().any(|h| h.unified && h.mount == cgroup_root);
    // The tmpfs that holds v1's hierarchies is the host's: it gets a stand-in, and only what is in
    // it is carried.
    carried.retain(|(point, _)| v2_only || point != cgroup_root);
    let links = if v2_only { Vec::new() } else { symlinks(cgroup_root) };
    carried.dedup_by(|a, b| a.0 == b.0);
    for (point, stash) in &carried {
        fs::create_dir_all(stash)?;
        mount(Some(point), stash, none(), MsFlags::MS_BIND, none())?;
    }
    match fresh("sysfs", "/sys", MsFlags::MS_NOEXEC, None) {
        // That of this network namespace is there already, as in a new container.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        result => result?,
    }
    if !v2_only {
        fresh("tmpfs", "/sys/fs/cgroup", MsFlags::MS_NOEXEC, Some("mode=755"))?;
    }
    for (point, stash) in &carried {
        if point.starts_with(cgroup_root) {
            fs::create_dir_all(point)?;
        }
        // A directory that this kernel's sysfs doesn't show in a new namespace isn't needed there.
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
