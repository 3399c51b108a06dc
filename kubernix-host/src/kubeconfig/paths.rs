//! Finds the files of the user's kubeconfig, by kubectl's rules: the list in `KUBECONFIG`, or the
//! file in the home directory.

use super::Error;
use crate::settings::Defaults;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The kubeconfig's path below the home directory.
const IN_HOME: &str = ".kube/config";

/// The files of the user's kubeconfig, in order. If several files have an entry, the first one
/// counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigPaths(Vec<PathBuf>);

impl ConfigPaths {
    /// The paths by this process's environment.
    ///
    /// # Errors
    /// `KUBECONFIG` isn't set, and there is no home directory.
    pub fn of_process() -> Result<Self, Error> {
        Self::of(env::var_os("KUBECONFIG").as_deref(), Defaults::of_process().home.as_deref())
    }

    /// The paths by this value of `KUBECONFIG` and this home directory. A cluster's own kubeconfig
    /// is left out: `kubernix shell` sets the variable to it.
    ///
    /// # Errors
    /// The variable names no file, and there is no home directory.
    pub fn of(variable: Option<&OsStr>, home: Option<&Path>) -> Result<Self, Error> {
        let mut files = Vec::new();
        for path in variable.iter().flat_map(env::split_paths) {
            // As in client-go, empty and repeated paths are ignored.
            let path = std::path::absolute(&path).unwrap_or(path);
            if !path.as_os_str().is_empty() && !files.contains(&path) && !is_of_a_cluster(&path) {
                files.push(path);
            }
        }
        if files.is_empty() {
            files.push(home.ok_or(Error::NoHome)?.join(IN_HOME));
        }
        Ok(Self(files))
    }

    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        &self.0
    }

    /// The file that new entries are written to, as in client-go: the first one that exists, else
    /// the last one.
    pub fn default_file(&self) -> &Path {
        let found = self.0.iter().find(|path| path.exists()).or(self.0.last());
        // The list is never empty.
        found.map_or(Path::new(""), PathBuf::as_path)
    }
}

/// Whether a path is in a cluster's root directory: `ROOT/NAME/kubeconfig/USER.kubeconfig`.
fn is_of_a_cluster(path: &Path) -> bool {
    let directory = path.parent().filter(|directory| directory.ends_with("kubeconfig")).and_then(Path::parent);
    directory.is_some_and(|root| root.join("state.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn files(variable: Option<&str>) -> Vec<String> {
        let paths = ConfigPaths::of(variable.map(OsStr::new), Some(Path::new("/home/me"))).unwrap();
        paths.files().iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_variable_is_a_list_and_the_home_directory_is_the_default() {
        assert_eq!(files(None), ["/home/me/.kube/config"]);
        assert_eq!(files(Some("")), ["/home/me/.kube/config"]);
        assert_eq!(files(Some("/a:/b::/a")), ["/a", "/b"]);
        assert!(files(Some("x"))[0].ends_with("/x"), "relative to the working directory");
        assert!(matches!(ConfigPaths::of(None, None), Err(Error::NoHome)));
        assert!(ConfigPaths::of(Some(OsStr::new("/a")), None).is_ok());
    }

    #[test]
    fn new_entries_go_into_the_first_file_that_exists_else_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let list = env::join_paths([path("a"), path("b"), path("c")]).unwrap();
        let paths = ConfigPaths::of(Some(&list), None).unwrap();
        assert_eq!(paths.default_file(), path("c"));
        fs::write(path("b"), "").unwrap();
        assert_eq!(paths.default_file(), path("b"));
    }

    #[test]
    fn a_clusters_own_kubeconfig_is_not_one_of_the_users() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("one/kubeconfig/admin.kubeconfig");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        let of = |path: &Path| ConfigPaths::of(Some(path.as_os_str()), Some(Path::new("/home/me"))).unwrap();
        assert_eq!(of(&own).files(), std::slice::from_ref(&own));
        fs::write(directory.path().join("one/state.json"), "{}").unwrap();
        assert_eq!(of(&own).files(), [PathBuf::from("/home/me/.kube/config")]);
    }
}
