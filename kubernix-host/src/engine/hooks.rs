//! Commands of components' hooks: they wait on a thread of their own, and what they ask for is run here.

use super::Cluster;
use super::planned::Planned;
use kubernix_core::{Command, Error, Output};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a hook's command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A command of a hook, and where its result goes.
pub(super) struct HookCommand {
    command: Command,
    instance: String,
    reply: oneshot::Sender<Result<Output, Error>>,
}

impl Cluster {
    /// Lets an instance's hooks run commands.
    pub(super) fn let_run_commands(&self, planned: &Planned) {
        let (sender, instance) = (self.hooks.clone(), planned.name().to_owned());
        planned.instance.context.set_runner(Box::new(move |command| {
            let (reply, answer) = oneshot::channel();
            let gone = || Error::invalid("the cluster is ending");
            sender.send(HookCommand { command, instance: instance.clone(), reply }).map_err(|_| gone())?;
            answer.blocking_recv().unwrap_or_else(|_| Err(gone()))
        }));
    }

    /// Runs what hooks ask for.
    pub(super) async fn serve_hooks(self: Rc<Self>, mut asked: mpsc::UnboundedReceiver<HookCommand>) {
        while let Some(HookCommand { command, instance, reply }) = asked.recv().await {
            let cluster = self.clone();
            tokio::task::spawn_local(async move {
                let run = cluster.run_beside(&instance, &command);
                let result = match tokio::time::timeout(COMMAND_LIMIT, run).await {
                    Ok(result) => result.map_err(Error::invalid),
                    Err(_) => Err(Error::invalid(format!("`{}` took longer than {COMMAND_LIMIT:?}", command.program))),
                };
                let _ = reply.send(result);
            });
        }
    }

    /// Runs a command where an instance is. While a change goes on, one that goes isn't of the cluster any more.
    async fn run_beside(&self, instance: &str, command: &Command) -> Result<Output, String> {
        let planned = self.planned.borrow().values().find(|planned| planned.name() == instance).cloned();
        let spawner = match planned {
            Some(planned) => self.spawner_of(&planned)?,
            None => self.spawner(),
        };
        spawner.output(command).await.map_err(|error| crate::chain::chain(&error))
    }
}
