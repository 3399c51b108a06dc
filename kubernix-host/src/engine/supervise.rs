//! Processes that end on their own are started again.

use super::instance::Live;
use super::{Cluster, InstanceState, StartFailure};
use crate::chain::chain;
use crate::events::Event;
use crate::probe::{Prober, Question};
use crate::process::{Launch, Running, Spawner};
use kubernix_core::{Restart, roles};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The first pause before a restart; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who ran this long starts over with the first pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long a restarted instance is asked as a boot asks: many times a second.
const PROMPT: Duration = Duration::from_secs(60);
/// Between two questions to one that takes longer.
const SPARSE: Duration = Duration::from_secs(5);

/// How long a probe that doesn't pass is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until then.
    Until(Instant),
    /// Not at all.
    Once,
}

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
            for endpoint in &live.planned.plan.provides {
                self.board.set(&live.planned.at(&endpoint.role), false);
            }
            if started.elapsed() > STEADY {
                pause = FIRST_PAUSE;
            }
            let spawner = loop {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if live.is_stopping() {
                    return;
                }
                // What a node is made of may be out of reach for a moment.
                match self.spawner_of(&live).await {
                    Ok(spawner) => break spawner,
                    Err(error) => self.emit(Event::Warning { message: format!("{}: {error}", live.name()) }),
                }
            };
            match self.start_again(&live, &running, &spawner) {
                Ok(again) => {
                    live.processes.borrow_mut()[slot] = again;
                    live.restarts.set(live.restarts.get() + 1);
                    self.recover(&live).await;
                }
                Err(error) => {
                    self.emit(Event::Failed { instance: live.name().into(), error });
                    return live.set(InstanceState::Failed);
                }
            }
        }
    }

    /// Starts a process of an instance again.
    fn start_again(&self, live: &Live, ended: &Running, spawner: &Spawner) -> Result<Running, String> {
        self.write_files(live, &live.root()).map_err(|error| chain(&error))?;
        let launch = Launch { process: &ended.process, directory: &live.directory };
        spawner.spawn(&launch).map_err(|error| chain(&error))
    }

    /// Sees the instance become ready again, whenever that is. Returns as well when one of its processes ends.
    async fn recover(&self, live: &Rc<Live>) {
        let prober = match self.api().and_then(|api| self.prober(api)) {
            Ok(prober) => prober,
            Err(error) => return log::error!("{}: {error}", live.name()),
        };
        let recovered = persist(live.name(), |patience| self.probe_all(&prober, live, patience)).await;
        if recovered.is_ok() && live.state() == InstanceState::Restarting {
            live.set(InstanceState::Ready);
            self.emit(Event::Ready { instance: live.name().into() });
        }
    }

    /// Asks all of an instance's probes at once, until they pass or one of its processes ends.
    pub(super) async fn probe_all(
        &self,
        prober: &Prober,
        live: &Rc<Live>,
        patience: Patience,
    ) -> Result<(), StartFailure> {
        let running = live.processes.borrow().clone();
        let probes = async {
            let asked = live.planned.plan.provides.iter().map(|endpoint| async {
                let unready = |error: crate::probe::Unready| StartFailure::Unready {
                    role: endpoint.role.to_string(),
                    unready: error.to_string(),
                    late: matches!(error, crate::probe::Unready::NotYet(_)),
                    log: super::failure::LogTail::of(running.first().map_or(&live.directory, |first| &first.log)),
                };
                let question = Question {
                    node: live.planned.node.as_deref(),
                    probe: &endpoint.probe,
                    manifests: &live.planned.plan.manifests,
                    since: self.since.get(),
                    booted: self.booted_at,
                };
                let asked = match patience {
                    Patience::Until(deadline) => prober.wait(question, deadline).await,
                    Patience::Once => prober.check(question).await,
                };
                asked.map_err(unready)?;
                if let (roles::APISERVER_PORT, Patience::Until(deadline)) = (endpoint.role.as_str(), patience) {
                    self.hasten_policy(live, deadline).await;
                }
                if self.board.set(&live.planned.at(&endpoint.role), true) {
                    self.emit(Event::RoleReady { instance: live.name().into(), role: endpoint.role.to_string() });
                }
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

/// Asks until the answer is yes, or a process ends: promptly at first, sparsely afterwards, and for ever.
async fn persist<F>(name: &str, mut ask: impl FnMut(Patience) -> F) -> Result<(), StartFailure>
where
    F: Future<Output = Result<(), StartFailure>>,
{
    let mut patience = Patience::Until(Instant::now() + PROMPT);
    loop {
        match ask(patience).await {
            Err(failure @ StartFailure::Unready { .. }) => {
                if patience != Patience::Once {
                    log::warn!("{name} isn't back yet: {failure}");
                }
            }
            done => return done,
        }
        patience = Patience::Once;
        sleep(SPARSE).await;
    }
}

/// Waits for the first of these processes to end.
async fn first_end(running: &[Running]) -> StartFailure {
    if running.is_empty() {
        return std::future::pending().await;
    }
    let ends = running.iter().map(|one| Box::pin(async { StartFailure::ended(one, one.wait().await) }));
    futures_util::future::select_all(ends).await.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::LogTail;
    use std::cell::Cell;
    use std::path::Path;

    fn unready() -> StartFailure {
        let log = LogTail::of(Path::new("/nonexistent"));
        StartFailure::Unready { role: "cri".into(), unready: "nothing listens".into(), log, late: true }
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn who_is_late_is_waited_for_however_long_and_asked_sparsely() {
        let (begun, asked) = (Instant::now(), Cell::new(0_u64));
        let late = Duration::from_secs(3600);
        let ask = |patience| {
            asked.set(asked.get() + 1);
            async move {
                if let Patience::Until(deadline) = patience {
                    tokio::time::sleep_until(deadline).await;
                }
                if begun.elapsed() < late { Err(unready()) } else { Ok(()) }
            }
        };
        persist("crio", ask).await.unwrap();
        assert!(begun.elapsed() >= late);
        assert!(asked.get() <= late.as_secs() / SPARSE.as_secs() + 2, "asked {} times", asked.get());
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn who_ends_meanwhile_is_not_waited_for() {
        let left = Cell::new(3);
        let ask = |_| {
            left.set(left.get() - 1);
            let failure = if left.get() == 0 { StartFailure::File("ended".into()) } else { unready() };
            async move { Err(failure) }
        };
        assert!(matches!(persist("crio", ask).await, Err(StartFailure::File(_))));
        assert_eq!(left.get(), 0);
    }
}
