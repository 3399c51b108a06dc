//! Commands of components' hooks: they wait on a thread of their own, and what they ask for is run
//! here.

use super::Cluster;
use super::planned::Planned;
use super::reducer::InstanceId;
use kubernix_core::{Command, Error, Output};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a hook's command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// How long a component's `before_stop` may take: its commands have limits of their own.
const BEFORE_STOP_LIMIT: Duration = Duration::from_secs(120);

/// A command of a hook, and where its result goes.
pub(super) struct HookCommand {
    command: Command,
    instance: InstanceId,
    reply: oneshot::Sender<Result<Output, Error>>,
}

impl Cluster {
    /// Lets an instance's hooks run commands.
    pub(super) fn let_run_commands(&self, planned: &Planned) {
        let (sender, instance) = (self.hooks.clone(), planned.id);
        planned.instance.context.set_runner(Box::new(move |command| {
            let (reply, answer) = oneshot::channel();
            let gone = || Error::invalid("the cluster is ending");
            sender.send(HookCommand { command, instance, reply }).map_err(|_| gone())?;
            answer.blocking_recv().unwrap_or_else(|_| Err(gone()))
        }));
    }

    /// Calls an instance's `before_stop`.
    ///
    /// # Errors
    /// The component's own, or it takes too long.
    pub(super) async fn before_stop(&self, id: InstanceId) -> Result<(), String> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let hook = in_thread(move || component.before_stop(&context));
        let done = tokio::time::timeout(BEFORE_STOP_LIMIT, hook).await;
        done.unwrap_or_else(|_| Err(format!("its hook took longer than {BEFORE_STOP_LIMIT:?}")))
    }

    /// Runs what hooks ask for.
    pub(super) async fn serve_hooks(self: Rc<Self>, mut asked: mpsc::UnboundedReceiver<HookCommand>) {
        while let Some(HookCommand { command, instance, reply }) = asked.recv().await {
            let cluster = self.clone();
            tokio::task::spawn_local(async move {
                let run = cluster.run_beside(instance, &command);
                let result = match tokio::time::timeout(COMMAND_LIMIT, run).await {
                    Ok(result) => result.map_err(Error::invalid),
                    Err(_) => Err(Error::invalid(format!("`{}` took longer than {COMMAND_LIMIT:?}", command.program))),
                };
                let _ = reply.send(result);
            });
        }
    }

    /// Runs a command where an instance is; in the sandbox itself for one that there isn't any
    /// more.
    async fn run_beside(&self, instance: InstanceId, command: &Command) -> Result<Output, String> {
        let spawner = match self.instance(instance) {
            Some(planned) => self.spawner_of(&planned)?,
            None => self.spawner(),
        };
        spawner.output(command).await.map_err(|error| crate::chain::chain(&error))
    }
}

/// Calls a hook. It is plain code that may run commands, and so has to wait on a thread of its own.
///
/// # Errors
/// The component's own, with all that caused it.
pub(super) async fn in_thread<T: Send + 'static>(
    hook: impl FnOnce() -> kubernix_core::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(hook).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.frames().join(": "))
}
