//! Processes that end on their own are started again.

use super::instance::Live;
use super::{Cluster, InstanceState};
use crate::events::Event;
use crate::probe::Prober;
use crate::process::{Launch, Running};
use kubernix_core::Restart;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The first pause before a restart; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who ran this long starts over with the first pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long a restarted instance may take before its state says that it doesn't come back.
const RECOVERY: Duration = Duration::from_secs(60);

impl Cluster {
    /// Watches one process until the cluster stops, starting it again whenever it ends.
    pub(super) async fn supervise(self: Rc<Self>, live: Rc<Live>, slot: usize) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(running) = live.processes.borrow().get(slot).cloned() else { return };
            let started = Instant::now();
            let exit = running.wait().await;
            if live.is_stopping() {
                return;
            }
            let restarting = running.process.restart == Restart::ALWAYS;
            self.say_exited(&live, &running, exit.to_string(), restarting);
            if !restarting {
                return live.set(InstanceState::Failed);
            }
            live.set(InstanceState::Restarting);
            if started.elapsed() > STEADY {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if live.is_stopping() {
                return;
            }
            match self.spawner().spawn(&Launch { process: &running.process, directory: &live.directory }) {
                Ok(again) => {
                    live.processes.borrow_mut()[slot] = again;
                    live.restarts.set(live.restarts.get() + 1);
                    self.recover(&live).await;
                }
                Err(error) => {
                    let error = format!("{error}");
                    self.emit(Event::Failed { instance: live.name().into(), error });
                    return live.set(InstanceState::Failed);
                }
            }
        }
    }

    /// Sees the instance become ready again.
    async fn recover(&self, live: &Live) {
        let prober = match self.prober() {
            Ok(prober) => prober,
            Err(error) => return log::error!("{}: {error}", live.name()),
        };
        let deadline = Instant::now() + RECOVERY;
        match self.probe_all(&prober, live, deadline).await {
            Ok(()) if live.state() == InstanceState::Restarting => {
                live.set(InstanceState::Ready);
                self.emit(Event::Ready { instance: live.name().into() });
            }
            Ok(()) => {}
            Err(error) => log::warn!("{} doesn't come back: {error}", live.name()),
        }
    }

    /// Asks all of an instance's probes at once, until they pass or one of its processes ends.
    pub(super) async fn probe_all(
        &self,
        prober: &Prober,
        live: &Live,
        deadline: Instant,
    ) -> Result<(), super::StartFailure> {
        let running = live.processes.borrow().clone();
        let probes = async {
            let asked = live.planned.plan.provides.iter().map(|endpoint| async {
                let unready = |error: crate::probe::Unready| super::StartFailure::Unready {
                    role: endpoint.role.to_string(),
                    unready: error.to_string(),
                    late: matches!(error, crate::probe::Unready::NotYet(_)),
                    log: super::failure::LogTail::of(running.first().map_or(&live.directory, |first| &first.log)),
                };
                prober.wait(&endpoint.probe, self.since.get(), deadline).await.map_err(unready)?;
                self.board.set(&live.planned.at(&endpoint.role), true);
                self.emit(Event::RoleReady { instance: live.name().into(), role: endpoint.role.to_string() });
                Ok(())
            });
            futures_util::future::try_join_all(asked).await.map(drop)
        };
        tokio::select! {
            biased;
            ended = first_end(&running) => Err(ended),
            result = probes => result,
        }
    }

    fn say_exited(&self, live: &Live, running: &Running, status: String, restarting: bool) {
        let (instance, process) = (live.name().to_owned(), running.process.name.clone());
        self.emit(Event::Exited { instance, process, status, restarting });
    }
}

/// Waits for the first of these processes to end.
async fn first_end(running: &[Running]) -> super::StartFailure {
    if running.is_empty() {
        return std::future::pending().await;
    }
    let ends = running.iter().map(|one| Box::pin(async { super::StartFailure::ended(one, one.wait().await) }));
    futures_util::future::select_all(ends).await.0
}
