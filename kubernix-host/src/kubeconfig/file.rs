//! Reads and replaces a user's file: its symbolic links, mode and owner stay the same.

use super::Error;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of a new kubeconfig, which holds a private key.
const MODE: u32 = 0o600;
/// The largest number of symbolic links that are followed.
const MAX_LINKS: usize = 40;

/// The text of a kubeconfig; `None` if the file doesn't exist.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let read_error = Error::io("read", path);
    // A user may replace the file by a FIFO, which must not block another user's command.
    let mut file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(error)),
    };
    let mut text = String::new();
    match file.metadata() {
        Ok(found) if !found.is_file() => Err(Error::NotAFile { path: path.to_owned() }),
        Ok(_) => file.read_to_string(&mut text).map(|_| Some(text)).map_err(read_error),
        Err(error) => Err(read_error(error)),
    }
}

/// Creates the directory of a kubeconfig and all missing ones above it, with mode 0700.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|directory| !directory.exists()).collect();
    for directory in missing.into_iter().rev() {
        let created = DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .and_then(|()| give_to_owner_of(directory.parent().unwrap_or(directory), &File::open(directory)?));
        created.map_err(Error::io("create the directory of", path))?;
    }
    Ok(())
}

/// Replaces the text of a kubeconfig. An existing file keeps its mode and owner. A new file gets
/// mode 0600 and, as far as permitted, the owner of its directory. The directory must exist.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let write_error = |cause| Error::io("write", path)(cause);
    let target = resolve_links(path).map_err(write_error)?;
    let directory = target.parent().unwrap_or(Path::new("/"));
    let old = match fs::metadata(&target) {
        Ok(found) if !found.is_file() => return Err(Error::NotAFile { path: path.to_owned() }),
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(write_error(error)),
    };
    replace(&target, directory, text, old.as_ref()).map_err(write_error)
}

/// Writes a temporary file beside the target, and renames it to the target. `old`: the target's
/// metadata, `None` if it doesn't exist.
fn replace(target: &Path, directory: &Path, text: &str, old: Option<&Metadata>) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".kubernix-tmp-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    match old {
        Some(old) => give(file.as_file(), old)?,
        None => give_to_owner_of(directory, file.as_file())?,
    }
    let mode = old.map_or(MODE, |old| old.mode() & 0o7777);
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    File::open(directory)?.sync_all()
}

/// Changes the owner and group of a file to those of another.
fn give(file: &File, like: &Metadata) -> std::io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    match fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid()))) {
        // The owner may not give a file to a group without being a member of it.
        Err(Errno::EPERM) if own.uid() == like.uid() => Ok(()),
        given => Ok(given?),
    }
}

/// As root, gives a new file to the owner of its directory: a file in a user's home belongs to that
/// user.
fn give_to_owner_of(directory: &Path, file: &File) -> std::io::Result<()> {
    if Uid::effective().is_root() { give(file, &fs::metadata(directory)?) } else { Ok(()) }
}

/// Follows symbolic links to the file that they name, which may be missing.
fn resolve_links(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("/")).join(next),
            // Not a link, or missing.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other("too many links"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_new_file_is_private_and_an_existing_one_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/er/config");
        assert_eq!(read(&path).unwrap(), None);
        make_directory(&path).unwrap();
        make_directory(&path).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        write(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write(&path, "two").unwrap();
        assert_eq!(
            (fs::metadata(&path).unwrap().mode() & 0o777, read(&path).unwrap().as_deref()),
            (0o640, Some("two"))
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_file_keeps_its_owner_and_a_new_one_gets_its_directorys() {
        if !Uid::effective().is_root() {
            kubernix_testkit::report_skip(
                "kubeconfig::an_existing_file_keeps_its_owner_and_a_new_one_gets_its_directorys",
                "needs root",
            );
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".kube/config");
        let user = |path: &Path| fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        nix::unistd::chown(directory.path(), Some(Uid::from_raw(4242)), Some(Gid::from_raw(4243))).unwrap();
        make_directory(&path).unwrap();
        write(&path, "one").unwrap();
        assert_eq!((user(path.parent().unwrap()), user(&path)), ((4242, 4243), (4242, 4243)));
        nix::unistd::chown(&path, Some(Uid::from_raw(7)), Some(Gid::from_raw(8))).unwrap();
        write(&path, "two").unwrap();
        assert_eq!(user(&path), (7, 8));
    }

    #[test]
    fn a_link_remains_a_link_whether_or_not_its_target_exists() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink("sub/middle", path("link")).unwrap();
        symlink("../end", path("sub/middle")).unwrap();
        write(&path("link"), "one").unwrap();
        assert_eq!(fs::read_to_string(path("end")).unwrap(), "one");
        write(&path("link"), "two").unwrap();
        assert_eq!(fs::read_to_string(path("end")).unwrap(), "two");
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        symlink("round", path("round")).unwrap();
        assert!(write(&path("round"), "x").is_err());
    }

    #[test]
    fn directories_and_devices_are_rejected() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read(directory.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(read(Path::new("/dev/null")), Err(Error::NotAFile { .. })));
        let link = directory.path().join("link");
        symlink("/dev/null", &link).unwrap();
        assert!(matches!(write(&link, "x"), Err(Error::NotAFile { .. })));
    }
}
