//! Removes a directory tree with any content: unusual modes, devices, very deep nesting, and, after
//! an earlier failure, mount points of unrelated data. Files outside the tree are never touched.
//!
//! Every name is looked up in an open directory, never by path, without following links or crossing
//! mounts (openat2(2)). So a concurrent rename can't redirect the removal.

use super::Error;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::libc::dev_t;
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The depth limit: each level needs a file descriptor. Deeper directories are moved up to the top
/// first.
const MAX_DEPTH: usize = 128;

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Removes `path` with its content, the file `last` after all others.
pub(super) fn remove(path: &Path, last: &str) -> Result<(), Error> {
    empty(path, &[last])?;
    let whole = |failures| Error::Remove { path: path.to_owned(), failures };
    let last = path.join(last);
    match fs::remove_file(&last) {
        // On a full disk it may not have been created.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        removed => removed.map_err(|cause| whole(vec![Error::io("remove", &last, cause)]))?,
    }
    match fs::remove_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            Err(whole(vec![Error::Mounted { path: path.to_owned() }]))
        }
        Err(cause) => Err(whole(vec![Error::io("remove", path, cause)])),
    }
}

/// Removes the content of `path`, except for the entries with the names in `but`.
pub(super) fn empty(path: &Path, but: &[&str]) -> Result<(), Error> {
    let whole = |failures| Error::Remove { path: path.to_owned(), failures };
    let top = fcntl::open(path, DIRECTORY, Mode::empty()).map_err(|errno| Error::errno("open", path, errno))?;
    let device = stat::fstat(&top).map_err(|errno| Error::errno("read", path, errno))?.st_dev;
    if matches!(beneath(&top, c".", DIRECTORY), Err(Errno::ENOSYS | Errno::EPERM)) {
        // Without openat2(2), a bind mount of the same device can't be detected during the removal:
        // check for one before.
        let table = "/proc/self/mountinfo";
        let mounts = fs::read_to_string(table).map_err(|cause| Error::io("read", Path::new(table), cause))?;
        let path = fs::canonicalize(path).map_err(|cause| Error::io("read", path, cause))?;
        let failures: Vec<_> = mounts_below(&path, &mounts).into_iter().map(|path| Error::Mounted { path }).collect();
        if !failures.is_empty() {
            return Err(whole(failures));
        }
    }
    let mut remover = Remover { top, path, device, failures: Vec::new(), moved: Vec::new(), count: 0 };
    remover.remove_all_except(but);
    if remover.failures.is_empty() { Ok(()) } else { Err(whole(remover.failures)) }
}

struct Remover<'a> {
    top: OwnedFd,
    path: &'a Path,
    device: dev_t,
    failures: Vec<Error>,
    /// Directories that were too deep, by their present name in `top`.
    moved: Vec<CString>,
    count: usize,
}

impl Remover<'_> {
    fn remove_all_except(&mut self, but: &[&str]) {
        if let Some(top) = self.duplicate_top() {
            self.contents(top, self.path, 0, but);
        }
        while let Some(name) = self.moved.pop() {
            if let Some(top) = self.duplicate_top() {
                self.entry(top, &name, Some(Type::Directory), self.path, 0);
            }
        }
    }

    fn duplicate_top(&mut self) -> Option<OwnedFd> {
        let top = self.top.try_clone().map_err(|cause| self.failures.push(Error::io("open", self.path, cause)));
        top.ok()
    }

    /// Empties a directory; `false` if something remains in it.
    fn contents(&mut self, directory: OwnedFd, path: &Path, depth: usize, but: &[&str]) -> bool {
        let mut directory = match Dir::from_fd(directory) {
            Ok(directory) => directory,
            Err(errno) => return self.report("read", path, errno),
        };
        // All names are read first: if entries are removed meanwhile, the result of readdir(3) is
        // unspecified.
        let mut names = Vec::new();
        for entry in directory.iter() {
            match entry {
                Ok(entry) => {
                    let name = entry.file_name();
                    let stays = but.iter().any(|stays| stays.as_bytes() == name.to_bytes());
                    if !matches!(name.to_bytes(), b"." | b"..") && !stays {
                        names.push((name.to_owned(), entry.file_type()));
                    }
                }
                Err(errno) => return self.report("read", path, errno),
            }
        }
        let mut empty = true;
        for (name, kind) in names {
            empty &= self.entry(directory.as_fd(), &name, kind, path, depth);
        }
        empty
    }

    /// Removes one entry of a directory; `false` if it remains.
    fn entry(&mut self, parent: impl AsFd, name: &CStr, kind: Option<Type>, above: &Path, depth: usize) -> bool {
        let parent = parent.as_fd();
        // Some file systems don't report the type of an entry.
        let directory = match kind {
            Some(kind) => kind == Type::Directory,
            None => stat::fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| is_directory(&found)),
        };
        let path = || above.join(OsStr::from_bytes(name.to_bytes()));
        if !directory {
            return self.check_unlink(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir), path);
        }
        if depth >= MAX_DEPTH {
            return self.move_up(parent, name, path);
        }
        let path = path();
        match self.open(parent, name) {
            Ok(opened) => {
                if !self.contents(opened, &path, depth + 1, &[]) {
                    return false;
                }
                self.check_unlink(unlinkat(parent, name, UnlinkatFlags::RemoveDir), || path)
            }
            Err(Errno::ENOENT) => true,
            Err(Errno::EXDEV) => {
                self.failures.push(Error::Mounted { path });
                false
            }
            Err(errno) => self.report("open", &path, errno),
        }
    }

    /// Opens a subdirectory for reading and removing its content. Fails with EXDEV at a mount
    /// point.
    fn open(&self, parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        let parent = parent.as_fd();
        let opened = match enter(parent, name, DIRECTORY) {
            // The mode denies access even to the owner: change it through a descriptor.
            Err(Errno::EACCES) => {
                let handle = enter(parent, name, DIRECTORY.union(OFlag::O_PATH))?;
                let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
                let all = fs::Permissions::from_mode(0o700);
                fs::set_permissions(itself, all).map_err(|_| Errno::EACCES)?;
                enter(parent, name, DIRECTORY)?
            }
            opened => opened?,
        };
        let found = stat::fstat(&opened)?;
        // Without openat2(2), this check detects mounts of other devices. Bind mounts of the same
        // device were checked before.
        if found.st_dev != self.device {
            return Err(Errno::EXDEV);
        }
        if found.st_mode & 0o700 != 0o700 {
            // If this fails, the removal of the content fails as well, which is reported.
            let _ = stat::fchmod(&opened, Mode::S_IRWXU);
        }
        Ok(opened)
    }

    fn move_up(&mut self, parent: impl AsFd, name: &CStr, path: impl FnOnce() -> PathBuf) -> bool {
        self.count += 1;
        let target = CString::new(format!(".kubernix-removing-{}", self.count)).unwrap_or_default();
        match fcntl::renameat(parent, name, &self.top, target.as_c_str()) {
            Ok(()) => self.moved.push(target),
            Err(errno) => return self.check_unlink(Err(errno), path),
        }
        true
    }

    fn check_unlink(&mut self, result: nix::Result<()>, path: impl FnOnce() -> PathBuf) -> bool {
        match result {
            Ok(()) | Err(Errno::ENOENT) => true,
            Err(Errno::EBUSY) => {
                self.failures.push(Error::Mounted { path: path() });
                false
            }
            Err(errno) => self.report("remove", &path(), errno),
        }
    }

    fn report(&mut self, action: &'static str, path: &Path, errno: Errno) -> bool {
        self.failures.push(Error::errno(action, path, errno));
        false
    }
}

/// Opens a name in a directory. Fails for links and mount points.
fn beneath(parent: impl AsFd, name: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    fcntl::openat2(parent, name, OpenHow::new().flags(flags).resolve(resolve))
}

/// As [`beneath`], with openat(2) if openat2(2) is missing: on Linux before 5.6, and in sandboxes
/// that block the call.
fn enter(parent: impl AsFd, name: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
    match beneath(&parent, name, flags) {
        Err(Errno::ENOSYS | Errno::EPERM) => fcntl::openat(&parent, name, flags, Mode::empty()),
        opened => opened,
    }
}

fn is_directory(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

/// The mount points below a path, from the text of `/proc/self/mountinfo`.
fn mounts_below(path: &Path, mountinfo: &str) -> Vec<PathBuf> {
    crate::mountinfo::points(mountinfo).filter(|point| point != path && point.starts_with(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_path_are_found_in_mountinfo() {
        let table = "36 35 98:0 / / rw - ext4 /dev/sda rw\n37 36 98:0 /home /var/a\\040b/mnt rw,noatime - ext4 /dev/sda rw\n\
                     38 36 0:5 / /var/a\\040bc rw - tmpfs tmpfs rw\n39 36 0:5 / /var/a\\040b rw - tmpfs tmpfs rw\n";
        assert_eq!(mounts_below(Path::new("/var/a b"), table), [Path::new("/var/a b/mnt")]);
    }
}
