//! The way down, in order: each instance after all that need it, with its component's last word first.

use super::instance::Live;
use super::{Cluster, InstanceState};
use crate::events::Event;
use crate::process::stop;
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
    /// Lets an instance's hooks run commands: they are on a thread of their own, and what they ask for is done here.
    pub(super) fn let_run_commands(&self, live: &Live) {
        let (sender, instance) = (self.hooks.clone(), live.name().to_owned());
        live.planned.context.set_runner(Box::new(move |command| {
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

    /// Runs a command where an instance is.
    async fn run_beside(&self, instance: &str, command: &Command) -> Result<Output, String> {
        let live = self.instances().into_iter().find(|live| live.name() == instance);
        let spawner = match live {
            Some(live) => self.spawner_of(&live).await?,
            None => self.spawner(),
        };
        spawner.output(command).await.map_err(|error| crate::chain::chain(&error))
    }

    /// Ends all instances in order. Goes on past errors and returns them.
    pub(super) async fn shut_down(&self) -> Vec<String> {
        self.end_all(&self.instances()).await
    }

    /// Ends these instances, each after those among them that need it. Goes on past errors and returns them.
    pub(super) async fn end_all(&self, instances: &[Rc<Live>]) -> Vec<String> {
        let all = instances.iter().map(|live| self.end(live, instances));
        futures_util::future::join_all(all).await.into_iter().flatten().collect()
    }

    async fn end(&self, live: &Rc<Live>, among: &[Rc<Live>]) -> Option<String> {
        for other in among.iter().filter(|other| other.needs(live) && !Rc::ptr_eq(other, live)) {
            other.stopped().await;
        }
        let was_up = matches!(live.state(), InstanceState::Ready | InstanceState::Restarting);
        live.set(InstanceState::Stopping);
        let running = live.processes.borrow().clone();
        if running.is_empty() {
            live.set(InstanceState::Stopped);
            return None;
        }
        self.emit(Event::Stopping { instance: live.name().into() });
        let error = if was_up { self.before_stop(live).await } else { None };
        for one in running.iter().rev() {
            stop(one).await;
        }
        live.set(InstanceState::Stopped);
        self.emit(Event::Stopped { instance: live.name().into() });
        error
    }

    async fn before_stop(&self, live: &Rc<Live>) -> Option<String> {
        let (component, context) = (live.planned.registered.clone(), live.planned.context.clone());
        // Hooks are plain code that may wait; the reaper must go on meanwhile.
        let why = match tokio::task::spawn_blocking(move || component.before_stop(&context)).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.frames().join(": "),
            Err(error) => error.to_string(),
        };
        let message = format!("{} didn't end cleanly: {why}", live.name());
        self.emit(Event::Warning { message: message.clone() });
        Some(message)
    }
}
