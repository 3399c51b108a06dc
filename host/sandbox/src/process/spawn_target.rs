//! Where a process is started.

use super::Privileges;
use std::io;
use std::process::{Child, Command};

/// A place that processes are started in: the caller's own, or namespaces below it. Children are
/// the caller's in any case.
pub trait SpawnTarget: Send + Sync {
    /// Starts a program there, with these privileges: they are taken last.
    ///
    /// # Errors
    /// The place is gone, or the program can't be started.
    fn spawn(&self, command: Command, privileges: Privileges) -> io::Result<Child>;
}

/// Where the caller is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl SpawnTarget for Local {
    fn spawn(&self, mut command: Command, privileges: Privileges) -> io::Result<Child> {
        privileges.apply(&mut command);
        command.spawn()
    }
}
