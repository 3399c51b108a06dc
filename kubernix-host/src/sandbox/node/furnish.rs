//! The first process of a node: it makes its namespaces the node's own, and then is the one that reaps orphans.

use crate::root::write_atomic;
use crate::sandbox::mounts::{NodeMounts, STASH, step};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{fexecve, sethostname};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::path::{Path, PathBuf};

/// What a node's namespaces are furnished with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Furniture {
    /// The node's host name.
    pub hostname: String,
    /// The directory of volatile files that is the same inside and outside; it exists.
    pub volatile: PathBuf,
    /// Directories of the cluster, and the fixed paths at which programs expect them.
    pub private: Vec<(PathBuf, PathBuf)>,
}

/// Furnishes the namespaces that this process was born into, and becomes the node's first process. Arguments: FURNITURE READY-FD. The
/// descriptor is closed without a word when all is done; what is written to it says what failed.
///
/// # Errors
/// The arguments are wrong, or what is said over the descriptor.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let [furniture, ready] = args else { return Err(io::ErrorKind::InvalidInput.into()) };
    let number: RawFd = ready.to_str().and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: this is the start of a process that `Start` made, with this descriptor for it alone.
    let mut ready = unsafe { File::from_raw_fd(number) };
    fcntl(&ready, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let furniture = furniture.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let Err(error) = serde_json::from_str(furniture).map_err(io::Error::from).and_then(become_node);
    // Nobody reads on who is gone.
    let _ = ready.write_all(error.to_string().as_bytes());
    Err(error)
}

fn become_node(furniture: Furniture) -> io::Result<Infallible> {
    step("setting the host name", sethostname(&furniture.hostname).map_err(io::Error::from))?;
    // The program that holds a pod's namespaces holds a node's as well; all nodes run the one on the sandbox's tmpfs.
    let program = Path::new(STASH).join("node");
    write_atomic(&program, kubernix_pause::PAUSE, 0o700).map_err(io::Error::other)?;
    let opened = File::open(&program)?;
    NodeMounts { volatile: furniture.volatile, private: furniture.private }.apply()?;
    let become_it = fexecve(&opened, &[c"node"], &[] as &[&CStr]).map_err(io::Error::from);
    step("becoming the node's first process", become_it)
}
