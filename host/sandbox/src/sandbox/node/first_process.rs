//! The first process of a node: it sets up the node's namespaces, and then becomes the pause
//! program, which reaps orphans.

use crate::sandbox::mounts::{NodeMounts, STASH, step};
use crate::write::write_atomic;
use nix::unistd::{fexecve, sethostname};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::{CStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Directories that differ between a node and its sandbox.
pub(super) const REPLACED: &[&str] = &["/proc", "/sys", "/dev", "/run", "/etc", "/var/lib"];

/// How to set up a node's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSetup {
    /// The node's host name.
    pub hostname: String,
    /// The directory of volatile files. It exists, and has the same path in the sandbox and in the
    /// node.
    pub volatile: PathBuf,
    /// Directories of the cluster, each with its mount point: a fixed path.
    pub private: Vec<(PathBuf, PathBuf)>,
    /// The file to use as `/etc/resolv.conf`, if it isn't the sandbox's.
    pub resolv_conf: Option<PathBuf>,
}

/// The line that reports success.
pub(super) const DONE: &str = "done";
/// The FIFO for the report, in the node's directory of volatile files.
pub(super) const READY: &str = "ready";

/// Sets up this process's namespaces and becomes the node's first process. Arguments: SETUP. Writes
/// one line to a FIFO in the node's directory: that it is done, or the error.
///
/// # Errors
/// The arguments are invalid, or a step fails.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let [setup] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    let setup: NodeSetup = serde_json::from_str(setup.to_str().ok_or(io::ErrorKind::InvalidInput)?)?;
    let mut ready = File::options().write(true).open(setup.volatile.join(READY))?;
    let result = set_up(setup);
    let report = result.as_ref().map_or_else(|error| error.to_string().replace('\n', " "), |_| DONE.to_owned());
    writeln!(ready, "{report}")?;
    let Err(error) = result.and_then(|program| exec_pause(&program));
    Err(error)
}

/// Sets up the namespaces. Returns the program to become.
fn set_up(setup: NodeSetup) -> io::Result<File> {
    step("setting the host name", sethostname(&setup.hostname).map_err(io::Error::from))?;
    fs::create_dir_all(STASH)?;
    // The pause program of pods. If `/run` is the sandbox's, all nodes use the same file.
    let program = Path::new(STASH).join("node");
    write_atomic(&program, kubernix_pause::PAUSE, 0o700)?;
    let opened = File::open(&program)?;
    let NodeSetup { volatile, private, resolv_conf, .. } = setup;
    NodeMounts { volatile, private, resolv_conf }.apply()?;
    Ok(opened)
}

fn exec_pause(program: &File) -> io::Result<Infallible> {
    let result = fexecve(program, &[c"node"], &[] as &[&CStr]).map_err(io::Error::from);
    step("executing the pause program", result)
}
