//! Runs a node's first process in a podman container, with an overlay over the host's root file
//! system.
//!
//! It needs podman and crun. Their state is on the sandbox's tmpfs, invisible to other podman
//! instances of the host. The container has its own namespaces. Its network and cgroups are set up
//! here, not by podman.

use super::first_process::{NodeSetup, REPLACED};
use super::namespaces::join;
use super::start::{PendingNode, arguments};
use crate::mountinfo;
use crate::process::{Privileges, SpawnTarget};
use crate::write::write_atomic;
use kubernix_core::Command;
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

/// The OCI runtime. It can run containers without managing cgroups.
pub const OCI_RUNTIME: &str = "crun";
/// The variables that name podman's configuration files, and the names of ours.
const CONFIGURATION: [(&str, &str); 2] =
    [("CONTAINERS_CONF", "containers.conf"), ("CONTAINERS_STORAGE_CONF", "storage.conf")];
/// Directories of the host's distribution. They are in the container's root file system, or mounted
/// by `other_mounts`.
const SYSTEM_DIRS: &[&str] = &["/usr", "/bin", "/sbin"];

/// The container of a node.
#[derive(Debug, Clone)]
pub struct Container {
    podman: String,
    /// The directory of podman's state in this cluster.
    state: PathBuf,
    node: String,
}

/// Starts podman so that its container is in the node's cgroups.
pub struct ContainerStart {
    container: Container,
    setup: NodeSetup,
    cgroups: Arc<[File]>,
}

impl Container {
    /// The container of a node. `state` is an absolute path on a tmpfs of the cluster.
    pub fn new(podman: &Path, state: &Path, node: &str) -> Self {
        let state = state.components().collect();
        Self { podman: podman.to_string_lossy().into_owned(), state, node: node.to_owned() }
    }

    /// Creates the node's cgroups below the cluster's, and podman's configuration. The directory of
    /// volatile files exists and is empty.
    ///
    /// # Errors
    /// The kernel refuses a cgroup, or a file can't be created.
    pub fn prepare(self, cluster: &str, setup: NodeSetup) -> io::Result<(ContainerStart, PendingNode)> {
        fs::create_dir_all(&self.state)?;
        for (file, text) in CONFIGURATION.map(|(_, file)| file).iter().zip(configuration(&self.state)) {
            write_atomic(&self.state.join(file), text.as_bytes(), 0o600)?;
        }
        let pending = PendingNode::prepare(cluster, &self.node, &setup)?;
        Ok((ContainerStart { container: self, setup, cgroups: pending.cgroups.clone() }, pending))
    }

    fn pid_file(&self) -> PathBuf {
        self.state.join(format!("{}.pid", self.node))
    }

    /// The PID of the container's first process in the sandbox.
    ///
    /// # Errors
    /// podman didn't write it.
    pub fn first_process(&self) -> io::Result<Pid> {
        fs::read_to_string(self.pid_file())?.trim().parse().map(Pid::from_raw).map_err(io::Error::other)
    }

    /// The command that kills the container and removes its state. Succeeds if there is no
    /// container.
    pub fn removal(&self) -> Command {
        Command::new(&self.podman, ["rm", "--force", "--ignore", "--time", "0", &self.node])
    }

    fn configure(&self, command: &mut std::process::Command) {
        command.envs(CONFIGURATION.map(|(variable, file)| (variable, self.state.join(file))));
    }
}

/// podman's configuration files, see containers.conf(5) and containers-storage.conf(5).
fn configuration(state: &Path) -> [String; 2] {
    let path = |name: &str| toml::Value::from(&*state.join(name).to_string_lossy());
    let engine = format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
         runtime = \"{OCI_RUNTIME}\"\n\
         static_dir = {}\ntmp_dir = {}\nvolume_path = {}\n\n[network]\nnetwork_config_dir = {}\n",
        path("static"),
        path("tmp"),
        path("volumes"),
        path("networks"),
    );
    // There are no images: the host's root file system is the container's.
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {}\nrunroot = {}\n", path("storage"), path("run"));
    [engine, storage]
}

/// The mount points of other file systems that a node shares with its sandbox.
fn other_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let is_own =
        |point: &PathBuf| point == Path::new("/") || REPLACED.iter().any(|directory| point.starts_with(directory));
    mountinfo::points(mountinfo).filter(|point| !is_own(point)).collect()
}

/// The paths that aren't below another one. Mounting a directory includes everything below it.
fn outermost(paths: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut outermost: Vec<PathBuf> = Vec::new();
    // A path sorts before the paths below it.
    for path in paths {
        if !outermost.iter().any(|outer| path.starts_with(outer)) {
            outermost.push(path);
        }
    }
    outermost
}

/// The argument that mounts a directory in the container at the same path. podman has two forms,
/// with different separators.
fn mount(path: &Path) -> io::Result<String> {
    let text = path
        .to_str()
        .ok_or_else(|| io::Error::other(format!("podman can't mount `{}`: it isn't UTF-8", path.display())))?;
    match (text.contains(':'), text.contains(',')) {
        (false, _) => Ok(format!("--volume={text}:{text}:rslave")),
        (true, false) => Ok(format!("--mount=type=bind,source={text},destination={text},bind-propagation=rslave")),
        (true, true) => Err(io::Error::other(format!("podman can't mount `{text}`, which has a colon and a comma"))),
    }
}

impl ContainerStart {
    /// The command that starts the container, with `kubernix` as its first process. `needed` are
    /// directories that processes on the node use.
    ///
    /// # Errors
    /// `/proc` can't be read, or podman can't mount one of the paths.
    pub fn command(&self, kubernix: &Path, needed: &[&Path]) -> io::Result<Command> {
        let container = &self.container;
        let mut args: Vec<String> =
            ["run", "--detach", "--replace", "--privileged", "--log-driver=none"].map(String::from).into();
        // podman must not set these up itself, nor set limits that need CAP_SYS_RESOURCE.
        args.extend(["--network=none", "--no-hosts", "--cgroups=disabled", "--ulimit=host"].map(String::from));
        args.push(format!("--name={}", container.node));
        args.push(format!("--hostname={}", container.node));
        args.push(format!("--pidfile={}", container.pid_file().display()));
        let is_system = |path: &&&Path| SYSTEM_DIRS.iter().any(|directory| path.starts_with(directory));
        let needed = needed.iter().filter(|path| !is_system(path)).map(|path| path.to_path_buf());
        let own = [PathBuf::from("/sys/fs/cgroup"), self.setup.volatile.clone()];
        let others = other_mounts(&fs::read_to_string("/proc/self/mountinfo")?);
        let all: BTreeSet<PathBuf> = needed.chain(own).chain(others).filter(|path| path.is_dir()).collect();
        for path in outermost(all) {
            args.push(mount(&path)?);
        }
        args.extend(["--rootfs".into(), "/:O".into(), kubernix.to_string_lossy().into_owned()]);
        args.extend(arguments(&self.setup));
        Ok(Command::new(&container.podman, args))
    }
}

impl SpawnTarget for ContainerStart {
    fn spawn(&self, mut command: std::process::Command, privileges: Privileges) -> io::Result<Child> {
        let cgroups = self.cgroups.clone();
        self.container.configure(&mut command);
        // SAFETY: between fork and exec only write(2) is called, on descriptors that the closure
        // owns; nothing is allocated.
        unsafe { command.pre_exec(move || join(&cgroups)) };
        privileges.apply(&mut command);
        command.spawn()
    }
}

impl SpawnTarget for Container {
    fn spawn(&self, mut command: std::process::Command, privileges: Privileges) -> io::Result<Child> {
        self.configure(&mut command);
        privileges.apply(&mut command);
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
    fn only_mounts_outside_of_replaced_directories_are_shared() {
        let mountinfo = "\
1 0 254:0 / / rw - ext4 /dev/vda rw
2 1 0:5 / /proc rw - proc proc rw
3 1 0:6 / /tmp rw - tmpfs tmpfs rw
4 1 0:7 / /home/x/y rw - ext4 /dev/vdc rw
5 1 0:8 / /home rw - ext4 /dev/vdb rw
6 1 0:9 / /var/lib rw - overlay overlay rw
7 1 0:10 / /var/my\\040library rw - ext4 /dev/vdd rw
8 1 254:0 /x /etc/resolv.conf rw - ext4 /dev/vda rw";
        let others = outermost(other_mounts(mountinfo).into_iter().collect());
        assert_eq!(others, ["/home", "/tmp", "/var/my library"].map(PathBuf::from));
    }

    #[test]
    fn paths_with_separators_use_the_other_form() {
        assert_eq!(mount(Path::new("/a,b c")).unwrap(), "--volume=/a,b c:/a,b c:rslave");
        let with_colon = mount(Path::new("/a:b")).unwrap();
        assert_eq!(with_colon, "--mount=type=bind,source=/a:b,destination=/a:b,bind-propagation=rslave");
        let error = mount(Path::new("/a:b,c")).unwrap_err().to_string();
        assert!(error.contains("`/a:b,c`"), "{error}");
    }
}
