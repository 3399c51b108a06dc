//! The home directory of the user that runs this process.

use std::env;
use std::path::PathBuf;

/// `HOME` where it is an absolute path, else what the system's table of users says; `None` where
/// neither tells.
pub fn home() -> Option<PathBuf> {
    let entry = || nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()).or_else(entry)
}
