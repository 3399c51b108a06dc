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
    /// Where built tools are kept.
    pub cache_dir: Option<PathBuf>,
    /// The user's configuration file, there or not.
    pub config: Option<PathBuf>,
}

impl Defaults {
    /// Those of this process: its user and environment.
    pub fn of_process() -> Self {
        let user = nix::unistd::geteuid();
        Self::of(user.is_root(), home(), |name| env::var_os(name))
    }

    /// Those of a user with these variables.
    pub fn of(is_root: bool, home: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // A relative XDG directory is to be ignored, says the XDG specification.
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
    fn root_and_others_have_places_of_their_own() {
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
    fn no_home_says_what_to_give_instead() {
        let none = Defaults::of(false, None, |_| None);
        assert!(none.root().unwrap_err().to_string().contains("set HOME or give --root"));
        assert!(none.cache_dir().unwrap_err().to_string().contains("KUBERNIX_CACHE_DIR"));
    }
}
