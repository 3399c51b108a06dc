//! An unprivileged process on the same host takes every lock that it can get and floods every port
//! that it can reach, while clusters boot, change and are destroyed. They must neither fail nor
//! wait because of it.
//!
//! The neighbour runs in the network namespace of the test, because it would disturb other clusters
//! of the host as well.

use super::invariants::{CheckedCluster, SETTINGS};
use super::suite::Cases;
use kubernix_tests::{Background, Base, binary, program};
use std::collections::HashMap;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name of this part in `--faults`.
pub const PART: &str = "neighbour";
/// The variable that makes this program the neighbour: the directories that it searches, separated
/// by colons.
const PLACES: &str = "FAULT_NEIGHBOUR";
/// The ID of an unprivileged user and group.
const UNPRIVILEGED: &str = "65534";
/// The time by which the neighbour may delay a command.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Runs as the neighbour if this process was started for it.
pub fn run_if_requested() {
    if let Some(places) = std::env::var_os(PLACES) {
        hold_and_flood(&std::env::split_paths(&places).collect::<Vec<_>>());
    }
}

/// Boots, changes and destroys clusters beside the neighbour.
pub fn holds_every_lock_and_floods_every_port() -> Result<(), String> {
    let mut all = Cases::new(PART);
    all.case(0, "a neighbour holds every lock and floods every port", || {
        let alone = times();
        let place = Base::new();
        let neighbour = start(place.path());
        neighbour.prints("lock that is held", |text| text.contains("holds /proc/self/ns/net").then_some(()));
        let beside = times();
        for ((what, alone), (_, beside)) in alone.iter().zip(&beside) {
            assert!(*beside < *alone + MAX_DELAY, "{what} took {beside:?} beside the neighbour, and {alone:?} alone");
        }
        neighbour.prints("port that is flooded", |text| text.contains("floods ").then_some(()));
        (beside.len(), None)
    });
    all.end()
}

/// The duration of each command of a cluster's life.
fn times() -> Vec<(String, Duration)> {
    let mut checked = CheckedCluster::new("beside");
    let up = [&["up"][..], &SETTINGS].concat();
    let mut took = Vec::new();
    let mut timed = |checked: &CheckedCluster, command: &[&str]| {
        let started = Instant::now();
        checked.cluster.run(command).ok();
        took.push((command.join(" "), started.elapsed()));
    };
    timed(&checked, &up);
    checked.create_objects();
    timed(&checked, &["component", "replace", "scheduler", "scheduler"]);
    timed(&checked, &["node", "add"]);
    timed(&checked, &["node", "remove", "node-1"]);
    timed(&checked, &["stop"]);
    timed(&checked, &up);
    checked.wait_until_healthy();
    timed(&checked, &["down"]);
    checked.check_removed();
    took
}

/// Starts the neighbour: a copy of this program that any user may run.
fn start(place: &Path) -> Background {
    let own = place.join("neighbour");
    fs::copy(std::env::current_exe().expect("the test's own path"), &own).expect("a copy");
    fs::set_permissions(place, Permissions::from_mode(0o755)).expect("a directory for all");
    let binary = binary().parent().expect("a directory of the binary");
    let temporary = std::env::temp_dir();
    let places = [Path::new("/proc/self/ns"), Path::new("/sys/fs/cgroup"), Path::new("/run"), &temporary];
    let places = places.into_iter().chain([Path::new("/var/lib/kubernix"), binary]);
    let mut command = program("setpriv");
    command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]).arg(&own);
    command.env(PLACES, std::env::join_paths(places).expect("paths without colons")).current_dir("/");
    Background::start(&mut command, place.join("neighbour.log"))
}

/// Never returns: the test kills the process.
fn hold_and_flood(places: &[PathBuf]) -> ! {
    let mut locked = HashMap::new();
    let mut open: Vec<TcpStream> = Vec::new();
    loop {
        for place in places {
            hold(place, 3, &mut locked);
        }
        for port in listening() {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(50)) else { continue };
            // Invalid data. The server may reject it.
            let _ = stream.write_all(&[0xff; 512]);
            println!("floods {port}");
            open.push(stream);
        }
        // The maximum number of open connections.
        let old = open.len().saturating_sub(200);
        open.drain(..old);
        sleep(Duration::from_millis(20));
    }
}

/// Locks a file, or a directory and its files, as far as the neighbour may.
fn hold(path: &Path, depth: usize, locked: &mut HashMap<PathBuf, File>) {
    if !locked.contains_key(path)
        && is_plain(path)
        && let Ok(file) = File::open(path)
    {
        match file.try_lock() {
            Ok(()) => {
                println!("holds {}", path.display());
                locked.insert(path.to_owned(), file);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if depth > 0 && is_directory {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            hold(&entry.path(), depth - 1, locked);
        }
    }
}

/// Whether an open neither blocks, as for a FIFO, nor has side effects, as for a device.
fn is_plain(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir())
}

/// The ports with a listener on the loopback address or on all addresses.
fn listening() -> Vec<u16> {
    const LISTENS: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = fields.nth(1)?;
        let state = fields.nth(1)?;
        let (_, port) = address.split_once(':')?;
        (state == LISTENS).then(|| u16::from_str_radix(port, 16).ok())?
    };
    table.lines().skip(1).filter_map(port).collect()
}
