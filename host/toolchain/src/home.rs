//! The home directory of the user that runs this process.

use std::env;
use std::path::PathBuf;

/// `HOME` if it is an absolute path, else the home directory in the system's user database; `None`
/// if neither exists.
pub fn home() -> Option<PathBuf> {
    let entry = || nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()).or_else(entry)
}
