//! Prepares an instance before its processes start: writes its directories and files, and applies
//! its objects if the API is ready.

use super::objects::apply_all;
use super::planned::Planned;
use super::reducer::{InstanceId, Time};
use super::{Cluster, StartFailure};
use crate::events::Event;
use crate::process::{Account, PrivilegeError};
use crate::root_dir::{self, Written, write_managed};
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long objects may take outside of a boot or change, which have their own time limits.
pub(super) const APPLY_TIMEOUT: Duration = Duration::from_secs(60);

impl Cluster {
    /// Writes an instance's files, and at its first start applies its objects.
    pub(super) async fn prepare(&self, id: InstanceId, first: bool, until: Option<Time>) -> Result<(), StartFailure> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        self.write_files(&planned)?;
        if first { self.apply_first(&planned, self.deadline(until)).await } else { Ok(()) }
    }

    /// Converts the deadline of work. Without one, it is [`APPLY_TIMEOUT`] from now.
    pub(super) fn deadline(&self, until: Option<Time>) -> Instant {
        until.map_or_else(|| Instant::now() + APPLY_TIMEOUT, |until| self.instant(until))
    }

    /// Applies the objects of an instance with processes if the API is ready already. So a kubelet
    /// finds its node object as planned, and the node has no pods with addresses of another node.
    async fn apply_first(&self, planned: &Planned, deadline: Instant) -> Result<(), StartFailure> {
        let plan = &planned.instance.plan;
        if plan.processes.is_empty() || plan.manifests.is_empty() {
            return Ok(());
        }
        let is_ready = self.api_role().is_some_and(|role| self.readiness.is_ready(&role));
        if let (true, Some(api)) = (is_ready, self.api()?) {
            apply_all(&api, &plan.manifests, deadline).await.map_err(StartFailure::Manifests)?;
        }
        Ok(())
    }

    /// Changes the owners of working directories that the plan creates to the users of the
    /// processes.
    fn change_owners(&self, planned: &Planned) -> Result<(), StartFailure> {
        let plan = &planned.instance.plan;
        let is_in_plan = |path: &str| plan.directories.iter().any(|directory| directory.path == path);
        for process in plan.processes.iter().filter(|process| is_in_plan(&process.directory)) {
            let spawn_failure =
                |source: PrivilegeError| StartFailure::Spawn { process: process.name.clone(), source: source.into() };
            let Some(account) = Account::of(process).map_err(spawn_failure)? else { continue };
            let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
            let path = Path::new(&process.directory);
            chown(path, Some(uid), Some(gid))
                .map_err(|cause| StartFailure::File(root_dir::Error::io("change the owner of", path, cause)))?;
        }
        Ok(())
    }

    fn write_files(&self, planned: &Planned) -> Result<(), StartFailure> {
        create_directory(&planned.directory, 0o700)?;
        for directory in &planned.instance.plan.directories {
            create_directory(Path::new(&directory.path), directory.mode)?;
        }
        self.change_owners(planned)?;
        for file in &planned.instance.plan.files {
            let path = Path::new(&file.path);
            if let Some(parent) = path.parent() {
                create_directory(parent, 0o700)?;
            }
            let written = if path.starts_with(self.root.path()) {
                write_managed(path, file.content.as_bytes(), file.mode, &self.root.managed_file())
            } else {
                root_dir::write_atomic(path, file.content.as_bytes(), file.mode).map(|_| Written::Updated)
            };
            if written.map_err(StartFailure::File)? == Written::KeptEdited {
                let message = format!("{} was edited and is left as it is", path.display());
                self.emit(Event::Note { message });
            }
        }
        Ok(())
    }
}

/// Creates a directory with this mode, independent of the umask. Missing parents get the mode 0700.
fn create_directory(path: &Path, mode: u32) -> Result<(), StartFailure> {
    let create = || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    if path.is_dir() {
        return Ok(());
    }
    create().map_err(|cause| StartFailure::File(root_dir::Error::io("create", path, cause)))
}
