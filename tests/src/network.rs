//! A test network of two network namespaces, one for the host and one for the outside, joined by a
//! veth pair. No packet leaves them, and they are removed with the test.

use crate::command::{Background, program, run, run_for};
use crate::image::tool;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread::{Builder, spawn};
use std::time::Duration;
use tempfile::TempDir;

/// The address of the outside, from a range for documentation (RFC 5737).
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The name of [`OUTSIDE`].
pub const NAME: &str = "registry.outside.test";

/// A free TCP port of the loopback interface.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The namespaces of the host and the outside.
pub struct World {
    host: File,
    outside: File,
    directory: TempDir,
}

impl World {
    /// Creates and joins both. The host's resolv.conf has this text. The host has a default route
    /// if `routed`.
    ///
    /// # Panics
    /// They can't be created.
    pub fn new(resolv_conf: &str, routed: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("kxn-").tempdir().expect("a temporary directory");
        fs::write(directory.path().join("resolv.conf"), resolv_conf).expect("a resolv.conf");
        let world = Self { host: namespace(), outside: namespace(), directory };
        world.in_outside(|| {
            ip("link set lo up");
            ip("link add near type veth peer name eth0");
            ip("addr add 198.51.100.1/24 dev near");
            ip("link set near up");
        });
        world.hand_over("eth0");
        world.in_host(|| {
            ip("link set lo up");
            ip("addr add 198.51.100.2/24 dev eth0");
            ip("link set eth0 up");
            if routed {
                ip("route add default via 198.51.100.1");
            }
        });
        world
    }

    /// Moves a link from the outside to the host.
    fn hand_over(&self, link: &str) {
        // `ip` finds a namespace by the PID of a process in it.
        let mut holder = self.on_thread(&self.host, || program("sleep").arg("60").spawn().expect("a process"));
        let pid = holder.id().to_string();
        self.in_outside(|| ip(&format!("link set {link} netns {pid}")));
        let _ = holder.kill();
        let _ = holder.wait();
    }

    /// Runs `work` on the host, with its network and its resolv.conf.
    pub fn in_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let resolv_conf = self.directory.path().join("resolv.conf");
        self.on_thread(&self.host, move || {
            unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
            let (none, all) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE);
            mount(none, "/", none, all, none).expect("private mounts");
            let place = Path::new("/etc/resolv.conf");
            mount(Some(&resolv_conf), place, none, MsFlags::MS_BIND, none).expect("a resolv.conf");
            work()
        })
    }

    /// Runs `work` on the outside.
    pub fn in_outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.on_thread(&self.outside, work)
    }

    fn on_thread<T: Send>(&self, namespace: &File, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("a namespace that is there");
            work()
        };
        let name = std::thread::current().name().unwrap_or("world").to_owned();
        std::thread::scope(|scope| {
            let thread = Builder::new().name(name).spawn_scoped(scope, inside).expect("a thread");
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a registry on the outside, at port 5000.
    ///
    /// # Panics
    /// It doesn't listen in time.
    pub fn registry(&self) -> Background {
        let config = self.directory.path().join("registry.yml");
        let data = self.directory.path().join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{OUTSIDE}:5000'}}\n",
            data.display()
        );
        fs::write(&config, text).expect("a file");
        let output = self.directory.path().join("registry.log");
        let registry = self.in_outside(|| {
            let mut command = program(tool("registry"));
            Background::start(command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none"), output)
        });
        self.in_outside(|| {
            crate::until("registry that listens", Duration::from_secs(30), || {
                TcpStream::connect((OUTSIDE, 5000)).map_err(|error| error.to_string())
            });
        });
        registry
    }

    /// Starts a DNS server that resolves only [`NAME`], on the outside or at this address of the
    /// host.
    ///
    /// # Panics
    /// The port is taken.
    pub fn resolver(&self, at: Ipv4Addr) {
        let namespace = if at.is_loopback() { &self.host } else { &self.outside };
        let socket = self.on_thread(namespace, || UdpSocket::bind((at, 53)).expect("a socket"));
        // The thread ends with the test process.
        spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let _ = socket.send_to(&answer(&query[..length]), client);
            }
        });
    }

    /// Starts a proxy on the host's loopback that rejects each request with this reason. Returns
    /// its port.
    ///
    /// # Panics
    /// The port is taken.
    pub fn proxy(&self, reason: &'static str) -> u16 {
        let listener = self.on_thread(&self.host, || TcpListener::bind("127.0.0.1:0").expect("a socket"));
        let port = listener.local_addr().expect("an address").port();
        spawn(move || {
            for client in listener.incoming().flatten() {
                let mut lines = BufReader::new(&client).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let _ = write!(&client, "HTTP/1.1 403 {reason}\r\nContent-Length: 0\r\n\r\n");
            }
        });
        port
    }

    /// Pushes an archive to a registry, as a user of the host does.
    ///
    /// # Panics
    /// It can't be pushed.
    #[track_caller]
    pub fn push(&self, archive: &Path, to: &str) {
        self.in_host(|| push(archive, to));
    }
}

/// Pushes an archive to a registry that has no TLS.
///
/// # Panics
/// It can't be pushed.
#[track_caller]
pub fn push(archive: &Path, to: &str) {
    let (from, to) = (format!("oci-archive:{}", archive.display()), format!("docker://{to}"));
    let args = ["--insecure-policy", "copy", "--dest-tls-verify=false", &from, &to];
    run_for(program(tool("skopeo")).args(args), Duration::from_secs(60)).ok();
}

/// A new network namespace.
fn namespace() -> File {
    let new = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        File::open("/proc/thread-self/ns/net").expect("its file")
    };
    std::thread::scope(|scope| scope.spawn(new).join()).expect("a network namespace")
}

fn ip(command: &str) {
    run(program("ip").args(command.split(' '))).ok();
}

/// The response to a query: the address for an A query of the name, no record for its other types,
/// and NXDOMAIN for other names.
fn answer(query: &[u8]) -> Vec<u8> {
    let wire: Vec<u8> =
        NAME.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat()).collect();
    let question = &query[12..];
    let known = question.len() > wire.len() && question[..wire.len()].eq_ignore_ascii_case(&wire);
    let end = question.iter().position(|byte| *byte == 0).map_or(question.len(), |zero| (zero + 5).min(question.len()));
    let is_a = known && question.get(end - 4..end) == Some(&[0, 1, 0, 1]);
    // Response, recursion available; NXDOMAIN is 3.
    let code = if known { 0x80 } else { 0x83 };
    let mut answer = [&query[..2], &[0x81, code, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0], &question[..end]].concat();
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(OUTSIDE.octets());
    }
    answer
}
