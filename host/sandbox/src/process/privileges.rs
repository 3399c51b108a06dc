//! The working directory, user and limits of a process.
//!
//! Everything is looked up before the fork. Between fork and exec there are only system calls. This
//! module must not know components, nor where a process is started.

use kubernix_core::{Limit, Process, UNLIMITED};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Group, Uid, User, chdir, getgrouplist, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities};
use std::ffi::{CString, NulError};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The host can't start a process as its plan says.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("user `{0}` doesn't exist on this host: use a name of /etc/passwd, or a number")]
    UnknownUser(String),
    /// There is no such group.
    #[error("group `{0}` doesn't exist on this host: use a name of /etc/group, or a number")]
    UnknownGroup(String),
    /// The user database can't be read.
    #[error("user `{user}` can't be looked up")]
    LookUp {
        /// The name of the user or group.
        user: String,
        /// The cause.
        source: nix::Error,
    },
    /// This version doesn't know the resource.
    #[error("limit {0} isn't known to this version of KuberNix: upgrade KuberNix, or remove the limit")]
    UnknownLimit(Limit),
    /// The host's hard limit is lower.
    #[error(
        "limit {limit} of {wanted} is above the host's hard limit of {hard}, and raising it needs CAP_SYS_RESOURCE"
    )]
    TooHigh {
        /// The limited resource.
        limit: Limit,
        /// The limit in the plan.
        wanted: u64,
        /// The host's hard limit.
        hard: u64,
    },
    /// The working directory doesn't exist.
    #[error("its working directory `{0}` doesn't exist: add it to the plan's directories")]
    NoDirectory(PathBuf),
    /// The working directory contains a NUL byte.
    #[error("its working directory has a NUL byte")]
    Nul(#[from] NulError),
}

/// A user and its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
    /// Supplementary groups.
    groups: Vec<Gid>,
    /// The home directory.
    home: PathBuf,
}

impl Account {
    /// The account of a process. `None` for root.
    ///
    /// # Errors
    /// The host has no such user or group.
    pub fn of(process: &Process) -> Result<Option<Self>, PrivilegeError> {
        if process.user.is_empty() {
            return Ok(None);
        }
        let (user, group) = match process.user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (process.user.as_str(), None),
        };
        let mut account = Self::of_user(user)?;
        if let Some(group) = group {
            account.gid = group_of(group)?;
        }
        Ok(Some(account))
    }

    fn of_user(name: &str) -> Result<Self, PrivilegeError> {
        let failed = |source| PrivilegeError::LookUp { user: name.to_owned(), source };
        if let Ok(number) = name.parse() {
            let (uid, gid) = (Uid::from_raw(number), Gid::from_raw(number));
            // The group from the user database, if the database has this user.
            let known = User::from_uid(uid).map_err(failed)?;
            let (gid, home) = known.map_or((gid, "/".into()), |user| (user.gid, user.dir));
            return Ok(Self { uid, gid, groups: vec![gid], home });
        }
        let user = User::from_name(name).map_err(failed)?;
        let user = user.ok_or_else(|| PrivilegeError::UnknownUser(name.to_owned()))?;
        let groups = getgrouplist(&CString::new(name)?, user.gid).map_err(failed)?;
        Ok(Self { uid: user.uid, gid: user.gid, groups, home: user.dir })
    }
}

fn group_of(name: &str) -> Result<Gid, PrivilegeError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(name);
    let group = found.map_err(|source| PrivilegeError::LookUp { user: name.to_owned(), source })?;
    group.map(|group| group.gid).ok_or_else(|| PrivilegeError::UnknownGroup(name.to_owned()))
}

/// The working directory, user and limits of a process.
#[derive(Debug, Clone, Default)]
pub struct Privileges {
    directory: Option<CString>,
    user: Option<Account>,
    limits: Vec<(Resource, u64)>,
}

impl Privileges {
    /// Looks up what a process needs.
    ///
    /// # Errors
    /// The host can't provide it.
    pub fn of(process: &Process) -> Result<Self, PrivilegeError> {
        let directory = match process.directory.as_str() {
            "" => None,
            path if Path::new(path).is_dir() => Some(CString::new(path)?),
            path => return Err(PrivilegeError::NoDirectory(path.into())),
        };
        let limits = process.limits.iter().map(|(limit, value)| limit_of(*limit, *value)).collect::<Result<_, _>>()?;
        Ok(Self { directory, user: Account::of(process)?, limits })
    }

    /// Whether the process needs none of them.
    pub fn is_empty(&self) -> bool {
        self.directory.is_none() && self.user.is_none() && self.limits.is_empty()
    }

    /// Adds them to a command as its last step before exec: namespaces can't be entered afterwards.
    pub fn apply(self, command: &mut Command) {
        if self.is_empty() {
            return;
        }
        if let Some(user) = &self.user {
            command.env("HOME", &user.home);
        }
        // SAFETY: between fork and exec only system calls are made, on values that the closure
        // owns; nothing is allocated.
        unsafe { command.pre_exec(move || self.apply_here()) };
    }

    /// Applies them to the calling process.
    fn apply_here(&self) -> io::Result<()> {
        for (resource, value) in &self.limits {
            setrlimit(*resource, *value, *value)?;
        }
        // Still as root, because the user may have no access to the directories above.
        if let Some(directory) = &self.directory {
            chdir(directory.as_c_str())?;
        }
        let Some(user) = &self.user else { return Ok(()) };
        set_keep_capabilities(true)?;
        setgroups(&user.groups)?;
        setresgid(user.gid, user.gid, user.gid)?;
        setresuid(user.uid, user.uid, user.uid)?;
        // The program may be in a directory that the user can't read. So one capability is kept for
        // exec to find it. exec then drops it, because the program belongs to another user
        // (capabilities(7)).
        let find = CapabilitySet::DAC_READ_SEARCH;
        let kept = CapabilitySets { effective: find, permitted: find, inheritable: CapabilitySet::empty() };
        if !user.uid.is_root() {
            set_capabilities(None, kept)?;
        }
        Ok(())
    }
}

fn limit_of(limit: Limit, wanted: u64) -> Result<(Resource, u64), PrivilegeError> {
    let resource = match limit {
        Limit::CPU => Resource::RLIMIT_CPU,
        Limit::FSIZE => Resource::RLIMIT_FSIZE,
        Limit::DATA => Resource::RLIMIT_DATA,
        Limit::STACK => Resource::RLIMIT_STACK,
        Limit::CORE => Resource::RLIMIT_CORE,
        Limit::NPROC => Resource::RLIMIT_NPROC,
        Limit::NOFILE => Resource::RLIMIT_NOFILE,
        Limit::MEMLOCK => Resource::RLIMIT_MEMLOCK,
        Limit::AS => Resource::RLIMIT_AS,
        other => return Err(PrivilegeError::UnknownLimit(other)),
    };
    let value = if wanted == UNLIMITED { RLIM_INFINITY } else { wanted };
    // If the limit can't be read, the kernel decides.
    let hard = getrlimit(resource).map_or(RLIM_INFINITY, |(_, hard)| hard);
    if value > hard && !may_raise_limits() {
        return Err(PrivilegeError::TooHigh { limit, wanted, hard });
    }
    Ok((resource, value))
}

fn may_raise_limits() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|own| own.effective.contains(CapabilitySet::SYS_RESOURCE))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "processes that report their own privileges")]
mod tests {
    use super::*;

    fn process() -> Process {
        Process::new("x", "/bin/sh")
    }

    fn output(process: &Process, script: &str) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Privileges::of(process).unwrap().apply(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn an_unknown_user_group_or_directory_is_rejected() {
        let error = |process: Process| Privileges::of(&process).unwrap_err().to_string();
        assert!(error(process().user("no-such-user")).starts_with("user `no-such-user` doesn't exist on this host"));
        assert!(error(process().user("0:no-such-group")).starts_with("group `no-such-group` doesn't exist"));
        assert!(error(process().directory("/nonexistent/x")).contains("`/nonexistent/x` doesn't exist"));
        assert!(error(process().limit(Limit(99), 1)).starts_with("limit Limit(99) isn't known"));
    }

    #[test]
    fn a_process_without_settings_needs_no_privileges() {
        assert!(Privileges::of(&process()).unwrap().is_empty());
    }

    #[test]
    fn the_plans_directory_and_limits_are_applied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let process = process().directory(path.to_str().unwrap()).limit(Limit::NOFILE, 77).limit(Limit::CORE, 0);
        assert_eq!(output(&process, "pwd; ulimit -n; ulimit -Hc"), format!("{}\n77\n0", path.display()));
    }

    #[test]
    fn another_user_has_its_groups_its_home_and_no_capability() {
        if !Uid::effective().is_root() {
            kubernix_testkit::report_skip(
                "privileges::another_user_has_its_groups_its_home_and_no_capability",
                "needs root",
            );
            return;
        }
        let script = "id -u; id -g; echo $HOME; grep CapEff /proc/self/status";
        let none = "CapEff:\t0000000000000000";
        assert_eq!(output(&process().user("12345:54321"), script), format!("12345\n54321\n/\n{none}"));
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let wanted = format!("{}\n{}\n{}\n{none}", nobody.uid, nobody.gid, nobody.dir.display());
        assert_eq!(output(&process().user("nobody"), script), wanted);
    }

    #[test]
    fn a_binary_in_a_private_directory_runs_as_another_user() {
        if !Uid::effective().is_root() {
            kubernix_testkit::report_skip(
                "privileges::a_binary_in_a_private_directory_runs_as_another_user",
                "needs root",
            );
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("id");
        std::fs::copy("/usr/bin/id", &program).unwrap();
        let mut command = Command::new(&program);
        command.arg("-u");
        Privileges::of(&process().user("12345")).unwrap().apply(&mut command);
        assert_eq!(String::from_utf8(command.output().unwrap().stdout).unwrap(), "12345\n");
    }
}
