//! What has to be there before an instance's processes: its directories, its files, and some of its
//! objects.

use super::objects::apply_all;
use super::planned::Planned;
use super::reducer::{InstanceId, Time};
use super::{Cluster, StartFailure};
use crate::events::Event;
use crate::process::{Account, PrivilegeError};
use crate::root::{Written, write_managed};
use kubernix_core::{Role, roles};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long objects may take where nothing else limits them.
pub(super) const APPLY_LIMIT: Duration = Duration::from_secs(60);

impl Cluster {
    /// Writes an instance's files, and at its first start applies what has to be there before it.
    pub(super) async fn prepare(&self, id: InstanceId, first: bool, until: Option<Time>) -> Result<(), StartFailure> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        self.write_files(&planned)?;
        if first { self.apply_first(&planned, self.deadline(until)).await } else { Ok(()) }
    }

    /// The moment until which work may take.
    pub(super) fn deadline(&self, until: Option<Time>) -> Instant {
        until.map_or_else(|| Instant::now() + APPLY_LIMIT, |until| self.instant(until))
    }

    /// Where the API is there already, what an instance wants of it is there before its processes
    /// are: a kubelet finds its node as it was planned, and the node has no other pods' addresses.
    async fn apply_first(&self, planned: &Planned, deadline: Instant) -> Result<(), StartFailure> {
        let plan = &planned.instance.plan;
        if plan.processes.is_empty() || plan.manifests.is_empty() {
            return Ok(());
        }
        let server = self.provider(roles::APISERVER);
        let is_there = server.is_some_and(|it| self.board.is_ready(&it.instance.at(&Role::new(roles::APISERVER))));
        if let (true, Some(api)) = (is_there, self.api().map_err(StartFailure::Api)?) {
            let applied = apply_all(&api, &plan.manifests, deadline).await;
            applied.map_err(|fault| StartFailure::Api(fault.detail))?;
        }
        Ok(())
    }

    /// Working directories that the plan makes belong to the users of their processes.
    fn give_directories(&self, planned: &Planned) -> Result<(), StartFailure> {
        let plan = &planned.instance.plan;
        let of_plan = |path: &str| plan.directories.iter().any(|directory| directory.path == path);
        for process in plan.processes.iter().filter(|process| of_plan(&process.directory)) {
            let unknown =
                |source: PrivilegeError| StartFailure::Spawn { process: process.name.clone(), source: source.into() };
            let Some(account) = Account::of(process).map_err(unknown)? else { continue };
            let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
            std::os::unix::fs::chown(&process.directory, Some(uid), Some(gid))
                .map_err(|error| StartFailure::File(format!("{}: {error}", process.directory)))?;
        }
        Ok(())
    }

    fn write_files(&self, planned: &Planned) -> Result<(), StartFailure> {
        let failed =
            |path: &Path, error: &dyn std::error::Error| StartFailure::File(format!("{}: {error}", path.display()));
        make_directory(&planned.directory, 0o700).map_err(|error| failed(&planned.directory, &error))?;
        for directory in &planned.instance.plan.directories {
            let path = Path::new(&directory.path);
            make_directory(path, directory.mode).map_err(|error| failed(path, &error))?;
        }
        self.give_directories(planned)?;
        for file in &planned.instance.plan.files {
            let path = Path::new(&file.path);
            if let Some(parent) = path.parent() {
                make_directory(parent, 0o700).map_err(|error| failed(parent, &error))?;
            }
            let written = if path.starts_with(self.root.path()) {
                write_managed(path, file.content.as_bytes(), file.mode, &self.root.managed_file())
            } else {
                crate::root::write_atomic(path, file.content.as_bytes(), file.mode).map(|_| Written::Updated)
            };
            if written.map_err(|error| StartFailure::File(error.to_string()))? == Written::KeptEdited {
                let message = format!("{} was edited and is left as it is", path.display());
                self.emit(Event::Note { message });
            }
        }
        Ok(())
    }
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The mode of what is asked for, whatever the umask; parents stay 0700.
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}
