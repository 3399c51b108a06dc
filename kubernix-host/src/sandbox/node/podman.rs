//! A node's first process in a container of podman's, with the host's own root file system as an overlay.
//!
//! What it takes is podman and crun. Their state is the sandbox's: it lies on its tmpfs, and no other podman of the host sees it. The
//! container has namespaces of its own and no network until it gets one here; its cgroups are made here as well.

use super::furnish::{Furniture, REPLACED};
use super::namespaces::join;
use super::start::{Starting, arguments, cgroups_of};
use crate::process::Place;
use crate::root::write_atomic;
use kubernix_core::Command;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

/// The toolchain's name of the program.
pub const PODMAN: &str = "podman";
/// Variables by which podman finds its configuration, and the files of ours.
const CONFIGURATION: [(&str, &str); 2] =
    [("CONTAINERS_CONF", "containers.conf"), ("CONTAINERS_STORAGE_CONF", "storage.conf")];
/// The descriptor that podman hands on as the first one: --preserve-fds.
const PASSED: i32 = 3;

/// A container of a node.
pub struct Container {
    podman: String,
    /// All of podman's state in this cluster.
    state: PathBuf,
    node: String,
}

/// Starts podman so that its container is in the node's cgroups, and can say when it is furnished.
pub struct Run {
    container: Container,
    furniture: Furniture,
    cgroups: Arc<[File]>,
    ready: Arc<OwnedFd>,
}

impl Container {
    /// The container of a node. `state` is an absolute path on a tmpfs of the cluster's own.
    pub fn new(podman: &Path, state: &Path, node: &str) -> Self {
        let state = state.components().collect();
        Self { podman: podman.to_string_lossy().into_owned(), state, node: node.to_owned() }
    }

    /// Makes the node's cgroups, below those of its cluster, and podman's configuration.
    ///
    /// # Errors
    /// The kernel refuses a cgroup; the configuration can't be written.
    pub fn prepare(self, cluster: &str, furniture: Furniture) -> io::Result<(Run, Starting)> {
        fs::create_dir_all(&self.state)?;
        for (file, text) in CONFIGURATION.map(|(_, file)| file).iter().zip(configuration(&self.state)) {
            write_atomic(&self.state.join(file), text.as_bytes(), 0o600).map_err(io::Error::other)?;
        }
        let cgroups = cgroups_of(cluster, &self.node)?;
        let (reader, writer) = io::pipe()?;
        let starting = Starting { ready: reader, cgroups: cgroups.clone() };
        Ok((Run { container: self, furniture, cgroups, ready: Arc::new(writer.into()) }, starting))
    }

    fn pid_file(&self, whose: &str) -> PathBuf {
        self.state.join(format!("{}.{whose}.pid", self.node))
    }

    /// The container's first process and the one that watches over it, as the sandbox numbers them, once it runs.
    ///
    /// # Errors
    /// podman didn't say.
    pub fn processes(&self) -> io::Result<(u32, u32)> {
        let read = |whose: &str| {
            let text = fs::read_to_string(self.pid_file(whose))?;
            text.trim().parse::<u32>().map_err(io::Error::other)
        };
        Ok((read("first")?, read("conmon")?))
    }

    /// Ends the container and takes away all that podman has of it; fine where there is none.
    pub fn removal(&self) -> Command {
        Command::new(&self.podman, ["rm", "--force", "--ignore", "--time", "0", &self.node])
    }

    fn configure(&self, command: &mut std::process::Command) {
        command.envs(CONFIGURATION.map(|(variable, file)| (variable, self.state.join(file))));
    }
}

/// podman's configuration, as containers.conf(5) and containers-storage.conf(5) have it.
fn configuration(state: &Path) -> [String; 2] {
    let path = |name: &str| toml::Value::from(&*state.join(name).to_string_lossy());
    let engine = format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\nruntime = \"crun\"\nstatic_dir = {}\ntmp_dir = {}\nvolume_path = {}\n",
        path("static"),
        path("tmp"),
        path("volumes"),
    );
    // There are no images: a container's root is the host's.
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {}\nrunroot = {}\n", path("storage"), path("run"));
    [engine, storage]
}

/// Where other file systems than the root's are mounted that a node sees as its sandbox does. Those below others of them come along.
fn other_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| Some(PathBuf::from(line.split(' ').nth(4)?)));
    let is_own = |point: &PathBuf| point == Path::new("/") || REPLACED.iter().any(|place| point.starts_with(place));
    let mut others: Vec<PathBuf> = points.filter(|point| !is_own(point)).collect();
    others.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for point in others {
        if !outermost.iter().any(|outer| point.starts_with(outer)) {
            outermost.push(point);
        }
    }
    outermost
}

impl Run {
    /// Starts the container: `kubernix` becomes its first process. `root` is the cluster's directory, `resolv_conf` what is read as
    /// `/etc/resolv.conf`.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn command(&self, kubernix: &Path, root: &Path, resolv_conf: &Path) -> io::Result<Command> {
        let container = &self.container;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args: Vec<String> =
            ["run", "--detach", "--replace", "--privileged", "--log-driver=none"].map(String::from).into();
        // What podman would make of these, and limits that a host without CAP_SYS_RESOURCE couldn't raise, isn't wanted.
        args.extend(
            ["--network=none", "--no-hosts", "--cgroups=disabled", "--ulimit=host", "--preserve-fds=1"]
                .map(String::from),
        );
        args.push(format!("--name={}", container.node));
        args.push(format!("--hostname={}", container.node));
        args.push(format!("--pidfile={}", text(&container.pid_file("first"))));
        args.push(format!("--conmon-pidfile={}", text(&container.pid_file("conmon"))));
        let others = other_mounts(&fs::read_to_string("/proc/self/mountinfo")?);
        let same = [root, Path::new("/sys/fs/cgroup"), &self.furniture.volatile];
        let same = same.into_iter().chain(others.iter().map(PathBuf::as_path)).filter(|path| path.is_dir());
        args.extend(same.map(|path| format!("--volume={0}:{0}:rslave", path.display())));
        args.push(format!("--volume={}:/etc/resolv.conf", resolv_conf.display()));
        args.extend(["--rootfs".into(), "/:O".into(), text(kubernix)]);
        args.extend(arguments(&self.furniture, &PASSED.to_string()));
        Ok(Command::new(&container.podman, args))
    }

    /// The container, to ask for its processes.
    pub fn container(&self) -> &Container {
        &self.container
    }
}

impl Place for Run {
    fn spawn(&self, mut command: std::process::Command) -> io::Result<Child> {
        let (cgroups, ready) = (self.cgroups.clone(), self.ready.clone());
        self.container.configure(&mut command);
        let enter = move || {
            join(&cgroups)?;
            // SAFETY: dup2(2) is given an open descriptor, which the closure owns; what the number stood for is the child's own, and
            // nothing else uses it between fork and exec.
            if unsafe { nix::libc::dup2(ready.as_raw_fd(), PASSED) } < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        };
        // SAFETY: between fork and exec only write(2) and dup2(2) are called, and nothing is allocated.
        unsafe { command.pre_exec(enter) };
        command.spawn()
    }
}

impl Place for Container {
    fn spawn(&self, mut command: std::process::Command) -> io::Result<Child> {
        self.configure(&mut command);
        command.spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_reads_its_configuration() {
        let [engine, storage] = configuration(Path::new("/run/a \"b\""));
        let engine: toml::Table = engine.parse().unwrap();
        assert_eq!(engine["engine"]["tmp_dir"].as_str(), Some("/run/a \"b\"/tmp"));
        let storage: toml::Table = storage.parse().unwrap();
        assert_eq!(storage["storage"]["graphroot"].as_str(), Some("/run/a \"b\"/storage"));
    }

    #[test]
    fn other_file_systems_come_along_and_what_is_replaced_does_not() {
        let mountinfo = "\
1 0 254:0 / / rw - ext4 /dev/vda rw
2 1 0:5 / /proc rw - proc proc rw
3 1 0:6 / /tmp rw - tmpfs tmpfs rw
4 1 0:7 / /home/x/y rw - ext4 /dev/vdc rw
5 1 0:8 / /home rw - ext4 /dev/vdb rw
6 1 0:9 / /var/lib rw - overlay overlay rw
7 1 0:10 / /var/library rw - ext4 /dev/vdd rw
8 1 254:0 /x /etc/resolv.conf rw - ext4 /dev/vda rw";
        assert_eq!(other_mounts(mountinfo), ["/home", "/tmp", "/var/library"].map(PathBuf::from));
    }
}
