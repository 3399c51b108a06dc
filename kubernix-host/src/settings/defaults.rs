//! Default directories: the XDG directories of a user, `/var/lib` for root.

use super::Error;
use crate::toolchain::home;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Default directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The base of clusters' root directories.
    pub root: Option<PathBuf>,
    /// The directory of built tools.
    pub cache_dir: Option<PathBuf>,
    /// The user's configuration file, which may not exist.
    pub config: Option<PathBuf>,
}

impl Defaults {
    /// The defaults of this process's user and environment.
    pub fn of_process() -> Self {
        let user = nix::unistd::geteuid();
        Self::of(user.is_root(), home(), |name| env::var_os(name))
    }

    /// The defaults of a user with these variables.
    pub fn of(is_root: bool, home: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // The XDG specification says to ignore relative paths.
        let xdg = |name: &str, below_home: &str| {
            let given = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
            given.or_else(|| home.as_ref().map(|home| home.join(below_home))).map(|base| base.join("kubernix"))
        };
        Self {
            root: if is_root { Some("/var/lib/kubernix".into()) } else { xdg("XDG_STATE_HOME", ".local/state") },
            cache_dir: xdg("XDG_CACHE_HOME", ".cache"),
            config: xdg("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("kubernix.toml")),
            home,
        }
    }

    pub(super) fn root(&self) -> Result<PathBuf, Error> {
        self.root.clone().ok_or(Error::NoHome { what: "clusters", flag: "--root" })
    }

    pub(super) fn cache_dir(&self) -> Result<PathBuf, Error> {
        self.cache_dir.clone().ok_or(Error::NoHome { what: "cache", flag: "KUBERNIX_CACHE_DIR" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_other_users_have_different_directories() {
        let home = || Some(PathBuf::from("/home/me"));
        let root = Defaults::of(true, home(), |_| None);
        assert_eq!(root.root.unwrap(), PathBuf::from("/var/lib/kubernix"));
        let user = Defaults::of(false, home(), |name| (name == "XDG_CACHE_HOME").then(|| "/fast".into()));
        assert_eq!(user.root.unwrap(), PathBuf::from("/home/me/.local/state/kubernix"));
        assert_eq!(user.cache_dir.unwrap(), PathBuf::from("/fast/kubernix"));
        assert_eq!(user.config.unwrap(), PathBuf::from("/home/me/.config/kubernix/kubernix.toml"));
        let relative = Defaults::of(false, home(), |_| Some("relative".into()));
        assert_eq!(relative.root.unwrap(), PathBuf::from("/home/me/.local/state/kubernix"));
    }

    #[test]
    fn without_a_home_directory_the_error_names_a_flag_or_a_variable() {
        let none = Defaults::of(false, None, |_| None);
        assert!(none.root().unwrap_err().to_string().contains("set HOME or give --root"));
        assert!(none.cache_dir().unwrap_err().to_string().contains("KUBERNIX_CACHE_DIR"));
    }
}
