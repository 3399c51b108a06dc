//! Checks that no other user could have written a file: a plugin runs as the user that starts a
//! cluster, mostly root.
//!
//! A file is trusted if it is a regular file that only root and the user can write or replace, so
//! the same must hold for each directory above it. A directory further above may be writable by all
//! if it is sticky, as /tmp is. Links are followed: their target must be trusted, and no other user
//! may be able to change the link. Under sudo, the calling user is trusted as well: such a user can
//! have `kubernix` run any binary as root anyway.
//!
//! This module must not know what is in the files.

use nix::unistd::geteuid;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The users that files may belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    owners: BTreeSet<u32>,
}

/// Why a file isn't trusted.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It can't be examined.
    #[error("can't read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// Other users can write it.
    #[error(
        "`{}` can be written by others (mode {mode:04o}), so what is in it isn't trusted: chmod go-w {}",
        path.display(), path.display()
    )]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to another user.
    #[error(
        "`{}` belongs to user {owner}, which is neither root nor you, so its content isn't trusted: chown {} {}",
        path.display(), geteuid(), path.display()
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// The user ID of its owner.
        owner: u32,
    },
    /// It is of the wrong kind.
    #[error("`{}` isn't a {wanted}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// The right kind.
        wanted: &'static str,
    },
}

impl Trust {
    /// Root and the user of this process.
    pub fn of_process() -> Self {
        let caller = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
        Self::of(geteuid().as_raw(), caller)
    }

    /// Root and this user. If that is root, also the user that called sudo.
    pub fn of(user: u32, sudo_caller: Option<u32>) -> Self {
        Self { owners: [0, user].into_iter().chain(sudo_caller.filter(|_| user == 0)).collect() }
    }

    /// Checks a regular file. Returns its path without links.
    ///
    /// # Errors
    /// It isn't a regular file, or other users can change it.
    pub fn file(&self, path: &Path) -> Result<PathBuf, Untrusted> {
        let (real, meta) = self.resolve(path)?;
        if !meta.is_file() {
            return Err(Untrusted::Kind { path: real, wanted: "regular file" });
        }
        Ok(real)
    }

    /// Checks a directory. Returns its path without links.
    ///
    /// # Errors
    /// It isn't a directory, or other users can change it.
    pub fn directory(&self, path: &Path) -> Result<PathBuf, Untrusted> {
        let (real, meta) = self.resolve(path)?;
        if !meta.is_dir() {
            return Err(Untrusted::Kind { path: real, wanted: "directory" });
        }
        Ok(real)
    }

    fn resolve(&self, path: &Path) -> Result<(PathBuf, Metadata), Untrusted> {
        let unreadable = |path: &Path, cause| Untrusted::Unreadable { path: path.to_owned(), cause };
        let real = path.canonicalize().map_err(|cause| unreadable(path, cause))?;
        let meta = fs::metadata(&real).map_err(|cause| unreadable(&real, cause))?;
        self.check(&real, &meta, false)?;
        // The directories above the given path, which may be a link, and above its target.
        let absolute = std::path::absolute(path).map_err(|cause| unreadable(path, cause))?;
        let beside = absolute.parent().map(|parent| parent.canonicalize().unwrap_or_else(|_| parent.to_owned()));
        let above: BTreeSet<&Path> =
            real.ancestors().skip(1).chain(beside.iter().flat_map(|p| p.ancestors())).collect();
        for directory in above.into_iter().rev() {
            let found = fs::metadata(directory).map_err(|cause| unreadable(directory, cause))?;
            // A sticky directory protects existing files, but other users can add files beside
            // them.
            let has_file = meta.is_file() && (real.parent() == Some(directory) || beside.as_deref() == Some(directory));
            self.check(directory, &found, !has_file)?;
        }
        Ok((real, meta))
    }

    fn check(&self, path: &Path, meta: &Metadata, may_be_sticky: bool) -> Result<(), Untrusted> {
        if !self.owners.contains(&meta.uid()) {
            return Err(Untrusted::Owner { path: path.to_owned(), owner: meta.uid() });
        }
        let is_sticky = may_be_sticky && meta.mode() & 0o1000 != 0;
        if meta.mode() & 0o022 != 0 && !is_sticky {
            return Err(Untrusted::Writable { path: path.to_owned(), mode: meta.mode() & 0o7777 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_others_can_write_is_rejected_with_the_mode_to_set() {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().canonicalize().unwrap().join("plugins");
        let file = plugins.join("libx.so");
        fs::create_dir(&plugins).unwrap();
        fs::write(&file, "x").unwrap();
        mode(&plugins, 0o755);
        let trust = Trust::of_process();
        for (path, bad) in [(&file, 0o664), (&file, 0o646), (&plugins, 0o775), (&plugins, 0o757)] {
            mode(&file, 0o644);
            mode(&plugins, 0o755);
            assert_eq!(trust.file(&file).unwrap(), file);
            mode(path, bad);
            let error = trust.file(&file).unwrap_err().to_string();
            let shown = path.display();
            let expected = format!(
                "`{shown}` can be written by others (mode {bad:04o}), so what is in it isn't trusted: chmod go-w {shown}"
            );
            assert_eq!(error, expected);
        }
        // Sticky is enough above a directory, but not for the directory itself.
        mode(&plugins, 0o1777);
        assert!(matches!(trust.directory(&plugins), Err(Untrusted::Writable { mode: 0o1777, .. })));
        assert!(matches!(trust.file(&file), Err(Untrusted::Writable { mode: 0o1777, .. })));
    }

    #[test]
    fn files_belong_to_root_or_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("libx.so");
        fs::write(&file, "x").unwrap();
        mode(&file, 0o644);
        let owner = fs::metadata(&file).unwrap().uid();
        assert!(Trust::of(owner, None).file(&file).is_ok());
        let stranger = Trust { owners: [owner + 1].into() };
        let error = stranger.file(&file).unwrap_err().to_string();
        assert!(error.contains(&format!("belongs to user {owner}, which is neither root nor you")), "{error}");
        assert_eq!(Trust::of(0, Some(1000)).owners, [0, 1000].into(), "root through sudo");
        assert_eq!(Trust::of(1, Some(1000)).owners, [0, 1].into(), "the variable only counts for root");
    }

    #[test]
    fn links_are_followed_and_both_ends_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let [from, to] = ["from", "to"].map(|name| base.join(name));
        for dir in [&from, &to] {
            fs::create_dir(dir).unwrap();
            mode(dir, 0o755);
        }
        let (link, target) = (from.join("libx.so"), to.join("libx.so.1"));
        fs::write(&target, "x").unwrap();
        mode(&target, 0o644);
        symlink(&target, &link).unwrap();
        let trust = Trust::of_process();
        assert_eq!(trust.file(&link).unwrap(), target);
        for bad in [&from, &to] {
            mode(bad, 0o777);
            let error = trust.file(&link).unwrap_err();
            assert!(matches!(&error, Untrusted::Writable { path, .. } if path == bad), "{error}");
            mode(bad, 0o755);
        }
        symlink("nowhere", from.join("liby.so")).unwrap();
        assert!(matches!(trust.file(&from.join("liby.so")), Err(Untrusted::Unreadable { .. })));
        assert!(matches!(trust.file(&from), Err(Untrusted::Kind { .. })));
        assert!(matches!(trust.directory(&link), Err(Untrusted::Kind { .. })));
    }
}
