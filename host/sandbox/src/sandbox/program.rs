//! Provides the running `kubernix` binary inside the sandbox, even if its file is replaced
//! meanwhile.
//!
//! A build replaces the file, and an upgrade removes it. The init mounts the file that it runs at a
//! fixed path, and everything in the sandbox starts it from there.

use super::mounts::{STASH, bind, shift, step};
use nix::mount::{MntFlags, umount2};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The path of the `kubernix` binary in a sandbox and its nodes.
pub const PROGRAM: &str = "/var/lib/kubernix-program/kubernix";

/// The file that this process runs, even if it was renamed or removed.
const RUNNING: &str = "/proc/self/exe";

/// A path of the file that this process runs: its original path if that is still the same file.
///
/// # Errors
/// `/proc` isn't mounted.
pub(super) fn running() -> io::Result<PathBuf> {
    Ok(named()?.unwrap_or_else(|| RUNNING.into()))
}

/// The path from which this process was started, if it is still the same file.
fn named() -> io::Result<Option<PathBuf>> {
    let (path, own) = (std::env::current_exe()?, fs::metadata(RUNNING)?);
    let is_same = fs::metadata(&path).is_ok_and(|there| is_same_file(&there, &own));
    Ok(is_same.then_some(path))
}

fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn stash_path() -> PathBuf {
    Path::new(STASH).join("program")
}

/// Mounts the program in the stash before the directory above it is replaced. Copies it if its path
/// is another file by now.
pub(super) fn stash() -> io::Result<()> {
    let target = stash_path();
    File::create(&target)?;
    if let Some(path) = named()? {
        bind(&path, &target)?;
        // A build may have replaced the file before the mount.
        if is_same_file(&fs::metadata(&target)?, &fs::metadata(RUNNING)?) {
            return Ok(());
        }
        umount2(&target, MntFlags::MNT_DETACH)?;
    }
    fs::copy(RUNNING, &target)?;
    fs::set_permissions(&target, Permissions::from_mode(0o700))?;
    bind(&target, &target)
}

/// Moves the program's mount from the stash to [`PROGRAM`].
pub(super) fn mount_stashed() -> io::Result<()> {
    let program = Path::new(PROGRAM);
    if let Some(directory) = program.parent() {
        fs::create_dir_all(directory)?;
    }
    File::create(program)?;
    step("mounting the kubernix binary", shift(&stash_path(), program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_has_a_path() {
        let own = fs::metadata(RUNNING).unwrap();
        assert!(is_same_file(&fs::metadata(running().unwrap()).unwrap(), &own));
        assert_eq!(named().unwrap(), Some(std::env::current_exe().unwrap()));
        assert!(!is_same_file(&fs::metadata("/proc/self/maps").unwrap(), &own));
    }
}
