//! Where a process is started.

use super::Privileges;
use std::io;
use std::process::{Child, Command};

/// A target for new processes: the caller's own namespaces, or namespaces below them. In both cases
/// the processes are children of the caller.
pub trait SpawnTarget: Send + Sync {
    /// Starts a program in the target. The privileges are applied last.
    ///
    /// # Errors
    /// The target is gone, or the program can't be started.
    fn spawn(&self, command: Command, privileges: Privileges) -> io::Result<Child>;
}

/// The caller's own namespaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl SpawnTarget for Local {
    fn spawn(&self, mut command: Command, privileges: Privileges) -> io::Result<Child> {
        privileges.apply(&mut command);
        command.spawn()
    }
}
