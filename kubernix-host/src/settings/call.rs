//! Command lines for the advice in messages. They must work as printed.

use super::{DEFAULT_NAME, Defaults};
use kubernix_core::shell_quote;
use std::path::{Path, PathBuf};

/// A cluster, as a command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    program: String,
    name: String,
    base: PathBuf,
}

impl Call {
    /// The cluster of this name below a base directory. `program` is the command that the user
    /// typed for `kubernix`, quoted for a shell.
    pub fn new(program: impl Into<String>, name: impl Into<String>, base: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), name: name.into(), base: base.into() }
    }

    /// The command that the user typed for `kubernix`.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base directory.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// A command for this cluster. Flags with default values are omitted.
    pub fn to(&self, command: &str) -> String {
        let name = if self.name == DEFAULT_NAME { String::new() } else { format!(" --name {}", self.name) };
        format!("{} {command}{name}{}", self.program, self.place())
    }

    /// A command for all clusters of its base directory.
    pub fn of_all(&self, command: &str) -> String {
        format!("{} {command}{}", self.program, self.place())
    }

    fn place(&self) -> String {
        if Defaults::of_process().root.as_ref() == Some(&self.base) {
            return String::new();
        }
        format!(" --root {}", quoted(&self.base.to_string_lossy()))
    }
}

/// A word of a shell, quoted only if necessary.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { shell_quote(word) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{BootError, ChangeError, ClusterError, HostError, InUseError, StopError};
    use crate::root_dir;
    use crate::sandbox::carriers::Part;
    use std::time::Duration;

    #[test]
    fn advice_omits_flags_with_default_values() {
        let default = Defaults::of_process().root.unwrap();
        assert_eq!(Call::new("kubernix", "kubernix", &default).to("up"), "kubernix up");
        assert_eq!(Call::new("kubernix", "b", "/a dir").to("up"), "kubernix up --name b --root '/a dir'");
        assert_eq!(Call::new("./k", "b", "/it's").of_all("list"), r"./k list --root '/it'\''s'");
    }

    #[test]
    fn the_advice_of_every_error_works_as_typed() {
        let call = || Call::new("./kubernix", "b", "/a dir");
        let boot = BootError::Failed {
            call: call(),
            why: "x".into(),
            root: std::path::Path::new("/a dir/b").into(),
            timed_out: false,
        };
        let errors: Vec<(HostError, &str)> = vec![
            (InUseError::Running(call()).into(), "down"),
            (ClusterError::NotFound { call: call(), hint: String::new() }.into(), "up"),
            (ClusterError::Stopped(call()).into(), "up"),
            (InUseError::NeedsBoot { call: call(), changes: vec!["x".into()] }.into(), "stop"),
            (InUseError::Busy { call: call(), with: "up" }.into(), "status"),
            (ClusterError::AlreadyExists(call()).into(), "down"),
            (ClusterError::NeverBooted(call()).into(), "up"),
            (ChangeError::InProgress(call()).into(), "status"),
            (
                StopError::NotStopped { call: call(), limit: Duration::from_secs(1), left: vec!["x".into()] }.into(),
                "status",
            ),
            (StopError::NotEnded { call: call(), limit: Duration::from_secs(1), left: Vec::new() }.into(), "down"),
            (StopError::Suspended { call: call(), part: Part::Keeper, pid: 1 }.into(), "down"),
            (ClusterError::Orphaned { call: call(), processes: vec!["x".into()] }.into(), "down"),
            (
                ClusterError::Damaged {
                    call: call(),
                    why: root_dir::Error::NoState { path: "/a dir/b".into() }.into(),
                }
                .into(),
                "down",
            ),
            (BootError::Revoked { call: call(), by: "down" }.into(), "up"),
            (ChangeError::Failed { call: call(), why: "x".into(), restored: false }.into(), "status"),
            (boot.into(), "down"),
        ];
        for (error, command) in errors {
            let text = error.to_string();
            assert!(text.contains(&format!("`./kubernix {command} --name b --root '/a dir'`")), "{text}");
        }
    }
}
