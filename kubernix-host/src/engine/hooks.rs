//! Calls the hooks of components, each on its own thread, and runs their commands.

use super::Cluster;
use super::nodes::NodeError;
use super::planned::Planned;
use super::reducer::InstanceId;
use crate::chain::chain;
use crate::process::SpawnError;
use kubernix_core::{Command, Error, Output};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

/// How long a hook's command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a component's `before_stop` may take, in addition to the limit of each of its commands.
const BEFORE_STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    /// The component returned an error.
    #[error(transparent)]
    Component(#[from] kubernix_core::Error),
    /// The hook panicked.
    #[error(transparent)]
    Panic(#[from] JoinError),
    /// The hook took too long.
    #[error("its hook took longer than {BEFORE_STOP_TIMEOUT:?}")]
    TimedOut,
}

/// Why a command of a hook failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("`{0}` took longer than {COMMAND_TIMEOUT:?}")]
    TimedOut(String),
}

/// A command of a hook, and the receiver of its result.
pub(super) struct HookCommand {
    command: Command,
    instance: InstanceId,
    reply: oneshot::Sender<Result<Output, Error>>,
}

impl Cluster {
    /// Allows an instance's hooks to run commands.
    pub(super) fn enable_hook_commands(&self, planned: &Planned) {
        let (sender, instance) = (self.hooks.clone(), planned.id);
        planned.instance.context.set_runner(Box::new(move |command| {
            let (reply, output) = oneshot::channel();
            let ending = || Error::invalid("the cluster is ending");
            sender.send(HookCommand { command, instance, reply }).map_err(|_| ending())?;
            output.blocking_recv().unwrap_or_else(|_| Err(ending()))
        }));
    }

    /// Calls an instance's `before_stop`.
    ///
    /// # Errors
    /// See [`HookError`].
    pub(super) async fn before_stop(&self, id: InstanceId) -> Result<(), HookError> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let hook = call_hook(move || component.before_stop(&context));
        tokio::time::timeout(BEFORE_STOP_TIMEOUT, hook).await.unwrap_or(Err(HookError::TimedOut))
    }

    /// Runs the commands of hooks.
    pub(super) async fn run_hook_commands(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<HookCommand>) {
        while let Some(HookCommand { command, instance, reply }) = commands.recv().await {
            let cluster = self.clone();
            tokio::task::spawn_local(async move {
                let run = cluster.run_on_node_of(instance, &command);
                let result = tokio::time::timeout(COMMAND_TIMEOUT, run).await;
                let result = result.unwrap_or_else(|_| Err(CommandError::TimedOut(command.program.clone())));
                let _ = reply.send(result.map_err(|error| Error::invalid(chain(&error))));
            });
        }
    }

    /// Runs a command on the node of an instance, or in the sandbox itself if the instance was
    /// removed.
    async fn run_on_node_of(&self, instance: InstanceId, command: &Command) -> Result<Output, CommandError> {
        let spawner = match self.instance(instance) {
            Some(planned) => self.spawner_of(&planned)?,
            None => self.spawner(),
        };
        Ok(spawner.output(command).await?)
    }
}

/// Calls a hook on its own thread, because hooks block while their commands run.
///
/// # Errors
/// The component returned an error, or panicked.
pub(super) async fn call_hook<T: Send + 'static>(
    hook: impl FnOnce() -> kubernix_core::Result<T> + Send + 'static,
) -> Result<T, HookError> {
    Ok(tokio::task::spawn_blocking(hook).await??)
}
