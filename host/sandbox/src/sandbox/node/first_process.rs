//! The first process of a node: it makes its namespaces the node's own, and then is the one that
//! reaps orphans.

use crate::sandbox::mounts::{NodeMounts, STASH, step};
use crate::write::write_atomic;
use nix::unistd::{fexecve, sethostname};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::{CStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Places in which a node sees something else than its sandbox, or what it is given.
pub(super) const REPLACED: &[&str] = &["/proc", "/sys", "/dev", "/run", "/etc", "/var/lib"];

/// What a node's namespaces are furnished with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSetup {
    /// The node's host name.
    pub hostname: String,
    /// The directory of volatile files that is the same inside and outside; it exists.
    pub volatile: PathBuf,
    /// Directories of the cluster, and the fixed paths at which programs expect them.
    pub private: Vec<(PathBuf, PathBuf)>,
    /// What is read as `/etc/resolv.conf`, where that isn't the sandbox's own.
    pub resolv_conf: Option<PathBuf>,
}

/// What is said when all is done.
pub(super) const DONE: &str = "furnished";
/// The FIFO in the node's directory of volatile files that it is said to.
pub(super) const READY: &str = "ready";

/// Furnishes the namespaces that this process was born into, and becomes the node's first process.
/// Arguments: SETUP. One line is written to [`READY`]: that it is done, or what failed.
///
/// # Errors
/// The arguments are wrong, or what was written.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let [setup] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    let setup: NodeSetup = serde_json::from_str(setup.to_str().ok_or(io::ErrorKind::InvalidInput)?)?;
    let mut ready = File::options().write(true).open(setup.volatile.join(READY))?;
    let furnished = set_up(setup);
    let said = furnished.as_ref().map_or_else(|error| error.to_string().replace('\n', " "), |_| DONE.to_owned());
    writeln!(ready, "{said}")?;
    let Err(error) = furnished.and_then(|program| exec_pause(&program));
    Err(error)
}

/// Returns the program that the node's first process is.
fn set_up(setup: NodeSetup) -> io::Result<File> {
    step("setting the host name", sethostname(&setup.hostname).map_err(io::Error::from))?;
    fs::create_dir_all(STASH)?;
    // The program that holds a pod's namespaces holds a node's as well. Where `/run` is the
    // sandbox's, all nodes run the same file.
    let program = Path::new(STASH).join("node");
    write_atomic(&program, kubernix_pause::PAUSE, 0o700)?;
    let opened = File::open(&program)?;
    let NodeSetup { volatile, private, resolv_conf, .. } = setup;
    NodeMounts { volatile, private, resolv_conf }.apply()?;
    Ok(opened)
}

fn exec_pause(program: &File) -> io::Result<Infallible> {
    let exec_pause = fexecve(program, &[c"node"], &[] as &[&CStr]).map_err(io::Error::from);
    step("becoming the node's first process", exec_pause)
}
