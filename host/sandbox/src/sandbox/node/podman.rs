//! A node's first process in a container of podman's, with the host's own root file system as an
//! overlay.
//!
//! What it takes is podman and crun. Their state is the sandbox's: it lies on its tmpfs, and no
//! other podman of the host sees it. The container has namespaces of its own and no network until
//! it gets one here; its cgroups are made here as well.

use super::first_process::{NodeSetup, REPLACED};
use super::namespaces::join;
use super::start::{PendingNode, arguments};
use crate::mountinfo;
use crate::process::{SpawnTarget, Privileges};
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

/// What podman runs containers with: it can leave cgroups alone.
pub const OCI_RUNTIME: &str = "crun";
/// Variables by which podman finds its configuration, and the files of ours.
const CONFIGURATION: [(&str, &str); 2] =
    [("CONTAINERS_CONF", "containers.conf"), ("CONTAINERS_STORAGE_CONF", "storage.conf")];
/// Directories of the host's distribution, which are in the container's root, or mounted from where
/// the host has them.
const OF_THE_SYSTEM: &[&str] = &["/usr", "/bin", "/sbin"];

/// A container of a node.
#[derive(Debug, Clone)]
pub struct Container {
    podman: String,
    /// All of podman's state in this cluster.
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
    /// The container of a node. `state` is an absolute path on a tmpfs of the cluster's own.
    pub fn new(podman: &Path, state: &Path, node: &str) -> Self {
        let state = state.components().collect();
        Self { podman: podman.to_string_lossy().into_owned(), state, node: node.to_owned() }
    }

    /// Makes the node's cgroups, below those of its cluster, and podman's configuration. The
    /// furniture's directory of volatile files exists and is empty.
    ///
    /// # Errors
    /// The kernel refuses a cgroup; a file can't be made.
    pub fn prepare(self, cluster: &str, setup: NodeSetup) -> io::Result<(ContainerStart, PendingNode)> {
        fs::create_dir_all(&self.state)?;
        for (file, text) in CONFIGURATION.map(|(_, file)| file).iter().zip(configuration(&self.state)) {
            write_atomic(&self.state.join(file), text.as_bytes(), 0o600)?;
        }
        let starting = PendingNode::prepare(cluster, &self.node, &setup)?;
        Ok((ContainerStart { container: self, setup, cgroups: starting.cgroups.clone() }, starting))
    }

    fn pid_file(&self) -> PathBuf {
        self.state.join(format!("{}.pid", self.node))
    }

    /// The container's first process, as the sandbox numbers it, once it runs.
    ///
    /// # Errors
    /// podman didn't say.
    pub fn first_process(&self) -> io::Result<Pid> {
        fs::read_to_string(self.pid_file())?.trim().parse().map(Pid::from_raw).map_err(io::Error::other)
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
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\nruntime = \"{OCI_RUNTIME}\"\n\
         static_dir = {}\ntmp_dir = {}\nvolume_path = {}\n\n[network]\nnetwork_config_dir = {}\n",
        path("static"),
        path("tmp"),
        path("volumes"),
        path("networks"),
    );
    // There are no images: a container's root is the host's.
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {}\nrunroot = {}\n", path("storage"), path("run"));
    [engine, storage]
}

/// Where directories of other file systems than the root's are mounted that a node sees as its
/// sandbox does.
fn other_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let is_own = |point: &PathBuf| point == Path::new("/") || REPLACED.iter().any(|place| point.starts_with(place));
    mountinfo::points(mountinfo).filter(|point| !is_own(point)).collect()
}

/// Those that aren't below another: what is mounted below comes along.
fn outermost(paths: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut outermost: Vec<PathBuf> = Vec::new();
    // A path sorts before all that are below it.
    for path in paths {
        if !outermost.iter().any(|outer| path.starts_with(outer)) {
            outermost.push(path);
        }
    }
    outermost
}

/// The argument by which a directory is seen in the container as it is outside. podman has two
/// forms, which end paths at different characters.
fn mount(path: &Path) -> io::Result<String> {
    let text =
        path.to_str().ok_or_else(|| io::Error::other(format!("podman takes no path like {}", path.display())))?;
    match (text.contains(':'), text.contains(',')) {
        (false, _) => Ok(format!("--volume={text}:{text}:rslave")),
        (true, false) => Ok(format!("--mount=type=bind,source={text},destination={text},bind-propagation=rslave")),
        (true, true) => Err(io::Error::other(format!("podman can't mount `{text}`, which has a colon and a comma"))),
    }
}

impl ContainerStart {
    /// Starts the container: `kubernix` becomes its first process. `needed` are directories that
    /// processes on the node use, wherever they lie.
    ///
    /// # Errors
    /// There is no `/proc`; a path is one that podman doesn't take.
    pub fn command(&self, kubernix: &Path, needed: &[&Path]) -> io::Result<Command> {
        let container = &self.container;
        let mut args: Vec<String> =
            ["run", "--detach", "--replace", "--privileged", "--log-driver=none"].map(String::from).into();
        // What podman would make of these, and limits that a host without CAP_SYS_RESOURCE couldn't
        // raise, isn't wanted.
        args.extend(["--network=none", "--no-hosts", "--cgroups=disabled", "--ulimit=host"].map(String::from));
        args.push(format!("--name={}", container.node));
        args.push(format!("--hostname={}", container.node));
        args.push(format!("--pidfile={}", container.pid_file().display()));
        let of_the_system = |path: &&&Path| OF_THE_SYSTEM.iter().any(|place| path.starts_with(place));
        let needed = needed.iter().filter(|path| !of_the_system(path)).map(|path| path.to_path_buf());
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
    fn other_file_systems_come_along_and_what_is_replaced_does_not() {
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
    fn paths_are_written_so_that_podman_reads_them_whole() {
        assert_eq!(mount(Path::new("/a,b c")).unwrap(), "--volume=/a,b c:/a,b c:rslave");
        let with_colon = mount(Path::new("/a:b")).unwrap();
        assert_eq!(with_colon, "--mount=type=bind,source=/a:b,destination=/a:b,bind-propagation=rslave");
        let error = mount(Path::new("/a:b,c")).unwrap_err().to_string();
        assert!(error.contains("`/a:b,c`"), "{error}");
    }
}
