//! Writes the files of a crate, all or none.

use crate::exit::{Exit, Refusal};
use anyhow::{Context, Result};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Writes files into a new directory `name` below `parent`, and returns its path.
pub(super) fn crate_of(parent: &Path, name: &str, files: &[(String, String)]) -> Result<PathBuf> {
    let target = std::path::absolute(parent.join(name)).with_context(|| format!("can't resolve the path of {name}"))?;
    let shown = target.display();
    let cannot_write = || format!("can't write {shown}");
    // Plugins in directories that other users can write aren't loaded, so the mode is set
    // independent of the umask.
    match DirBuilder::new().mode(0o755).create(&target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{shown} exists already: use another name, or remove it");
            return Err(Refusal::error(Exit::Usage, message));
        }
        Err(error) => return Err(error).with_context(cannot_write),
    }
    fill(&target, files)
        .map_err(|error| match fs::remove_dir_all(&target) {
            Ok(()) => error,
            Err(removal) => {
                io::Error::new(error.kind(), format!("{error}; the written files can't be removed: {removal}"))
            }
        })
        .with_context(cannot_write)?;
    Ok(target)
}

fn fill(target: &Path, files: &[(String, String)]) -> io::Result<()> {
    for (path, content) in files {
        let path = target.join(path);
        fs::create_dir_all(path.parent().unwrap_or(target))?;
        fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_files_are_kept_and_an_error_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let file = |path: &str| (path.to_owned(), "x".to_owned());
        let made = crate_of(base.path(), "a", &[file("b/c"), file("d")]).unwrap();
        assert_eq!(fs::read_to_string(made.join("b/c")).unwrap(), "x");

        let error = crate_of(base.path(), "a", &[file("new")]).unwrap_err();
        assert!(error.to_string().ends_with("/a exists already: use another name, or remove it"), "{error}");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(!made.join("new").exists());

        // A file can't be a directory as well.
        let error = crate_of(base.path(), "f", &[file("x"), file("x/y")]).unwrap_err();
        assert!(error.to_string().starts_with("can't write "), "{error}");
        assert!(!base.path().join("f").exists());
        assert!(crate_of(&base.path().join("nowhere"), "a", &[]).is_err());
    }
}
