//! Our own program, as it runs: what a cluster starts of it later is the same file, whatever became
//! of its path meanwhile.
//!
//! A build replaces the file, an upgrade removes it. The init mounts the file that it runs itself
//! at one path of the sandbox, and all that runs there starts it from that path.

use super::mounts::{STASH, bind, shift, step};
use nix::mount::{MntFlags, umount2};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a sandbox, and every node in it, has our own program.
pub const PROGRAM: &str = "/var/lib/kubernix-program/kubernix";

/// The file that this process runs, however it is called and whether it still has a name.
const RUNNING: &str = "/proc/self/exe";

/// A path of the file that this process runs: the one that it was started from, where that is still
/// the same file.
///
/// # Errors
/// There is no `/proc`.
pub(super) fn running() -> io::Result<PathBuf> {
    Ok(named()?.unwrap_or_else(|| RUNNING.into()))
}

/// The path that this process was started from, if the same file is still there.
fn named() -> io::Result<Option<PathBuf>> {
    let (path, own) = (std::env::current_exe()?, fs::metadata(RUNNING)?);
    let is_same = fs::metadata(&path).is_ok_and(|there| is_same_file(&there, &own));
    Ok(is_same.then_some(path))
}

fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn stashed() -> PathBuf {
    Path::new(STASH).join("program")
}

/// Keeps the program at a place of the sandbox's own, before what it lies in is replaced. It is
/// mounted there; where its path leads to another file by now, it is copied.
pub(super) fn keep() -> io::Result<()> {
    let place = stashed();
    File::create(&place)?;
    if let Some(path) = named()? {
        bind(&path, &place)?;
        // A build may have replaced it between the look and the mount.
        if is_same_file(&fs::metadata(&place)?, &fs::metadata(RUNNING)?) {
            return Ok(());
        }
        umount2(&place, MntFlags::MNT_DETACH)?;
    }
    fs::copy(RUNNING, &place)?;
    fs::set_permissions(&place, Permissions::from_mode(0o700))?;
    bind(&place, &place)
}

/// Mounts what was kept at [`PROGRAM`].
pub(super) fn place() -> io::Result<()> {
    let program = Path::new(PROGRAM);
    if let Some(directory) = program.parent() {
        fs::create_dir_all(directory)?;
    }
    File::create(program)?;
    step("mounting our own program", shift(&stashed(), program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_the_file_that_it_runs() {
        let own = fs::metadata(RUNNING).unwrap();
        assert!(is_same_file(&fs::metadata(running().unwrap()).unwrap(), &own));
        assert_eq!(named().unwrap(), Some(std::env::current_exe().unwrap()));
        assert!(!is_same_file(&fs::metadata("/proc/self/maps").unwrap(), &own));
    }
}
