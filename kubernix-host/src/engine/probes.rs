//! Runs readiness probes of starting instances, and checks of ready ones.

use super::clients::ApiError;
use super::failure::LogTail;
use super::planned::Planned;
use super::reducer::{InstanceId, ProcessId, Time};
use super::{Cluster, StartFailure};
use crate::probe::{Question, Unready};
use kubernix_core::{Endpoint, roles};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// How long a probe without a time limit is repeated at short intervals, as in a boot.
const FAST_PROBE_PERIOD: Duration = Duration::from_secs(60);
/// The interval of its attempts afterwards.
const SLOW_PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a check of a ready instance may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a ready instance or process doesn't pass its check.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    /// The probe of a role.
    #[error("role `{role}` doesn't respond")]
    Role { role: String, source: Box<Self> },
    /// The probe failed.
    #[error(transparent)]
    Unready(#[from] Unready),
    /// The probe took too long.
    #[error("no response within {CHECK_TIMEOUT:?}")]
    TimedOut,
    /// A prober can't be created.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// How often a probe is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// At short intervals until this time.
    Until(Instant),
    Once,
}

impl Cluster {
    /// Repeats a probe until it passes, or until its time limit.
    pub(super) async fn probe(
        self: &Rc<Self>,
        id: InstanceId,
        endpoint: usize,
        until: Option<Time>,
    ) -> Result<(), StartFailure> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let Some(endpoint) = planned.instance.plan.provides.get(endpoint) else { return Ok(()) };
        let prober = self.prober()?;
        let log = self.processes_of(id).first().map_or_else(|| planned.directory.clone(), |first| first.log.clone());
        let probe = async |attempt| {
            let question = self.question(&planned, endpoint, self.since.get());
            let result = match attempt {
                Attempt::Until(deadline) => prober.wait(question, deadline).await,
                Attempt::Once => prober.check(question).await,
            };
            result.map_err(|error| StartFailure::Unready {
                role: endpoint.role.to_string(),
                unready: error.to_string(),
                timed_out: matches!(error, Unready::NotYet(_)),
                log: LogTail::of(&log),
            })
        };
        match until {
            Some(until) => probe(Attempt::Until(self.instant(until))).await?,
            None => probe_until_ready(planned.name(), probe).await?,
        }
        if endpoint.role.as_str() == roles::APISERVER_PORT {
            let deadline = self.deadline(until);
            self.create_bootstrap_roles(&planned, deadline).await;
            self.publish_authority(&planned, deadline).await?;
        }
        Ok(())
    }

    fn question<'p>(&self, planned: &'p Planned, endpoint: &'p Endpoint, since: SystemTime) -> Question<'p> {
        Question {
            node: planned.instance.node.as_deref(),
            probe: &endpoint.probe,
            manifests: &planned.instance.plan.manifests,
            since,
            booted: self.booted_at,
        }
    }

    /// Runs all probes of a ready instance once.
    pub(super) async fn check(self: &Rc<Self>, id: InstanceId) -> Result<(), CheckError> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let prober = self.checker()?;
        let checks = planned.instance.plan.provides.iter().map(|endpoint| {
            let prober = prober.clone();
            // Includes reports of nodes from before the last change: the instance was ready then.
            let question = self.question(&planned, endpoint, self.booted_at);
            async move {
                let error = match tokio::time::timeout(CHECK_TIMEOUT, prober.check(question)).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(unready)) => CheckError::Unready(unready),
                    Err(_) => CheckError::TimedOut,
                };
                Err(CheckError::Role { role: endpoint.role.to_string(), source: Box::new(error) })
            }
        });
        futures_util::future::try_join_all(checks).await.map(drop)
    }

    /// Runs the liveness probe of a process once.
    pub(super) async fn check_process(self: &Rc<Self>, id: ProcessId) -> Result<(), CheckError> {
        let Some(planned) = self.instance(id.instance) else { return Ok(()) };
        let process = planned.instance.plan.processes.get(id.slot);
        let Some(liveness) = process.and_then(|process| process.liveness.as_ref()) else { return Ok(()) };
        let prober = self.checker()?;
        let question = Question {
            node: planned.instance.node.as_deref(),
            probe: &liveness.probe,
            manifests: &[],
            since: self.booted_at,
            booted: self.booted_at,
        };
        let checked = tokio::time::timeout(CHECK_TIMEOUT, prober.check(question)).await;
        Ok(checked.map_err(|_| CheckError::TimedOut)??)
    }
}

/// Repeats a probe until it passes: at short intervals for [`FAST_PROBE_PERIOD`], then at
/// [`SLOW_PROBE_INTERVAL`].
async fn probe_until_ready(
    name: &str,
    mut probe: impl AsyncFnMut(Attempt) -> Result<(), StartFailure>,
) -> Result<(), StartFailure> {
    let mut attempt = Attempt::Until(Instant::now() + FAST_PROBE_PERIOD);
    loop {
        match probe(attempt).await {
            Err(failure @ StartFailure::Unready { .. }) => {
                if attempt != Attempt::Once {
                    log::warn!("{name} isn't ready yet: {failure}");
                }
            }
            result => return result,
        }
        attempt = Attempt::Once;
        sleep(SLOW_PROBE_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::path::Path;

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_probe_without_a_limit_is_repeated_at_the_slow_interval() {
        let (begin, attempts) = (Instant::now(), Cell::new(0_u64));
        let delay = Duration::from_secs(3600);
        let probe = async |attempt| {
            attempts.set(attempts.get() + 1);
            if let Attempt::Until(deadline) = attempt {
                tokio::time::sleep_until(deadline).await;
            }
            let log = LogTail::of(Path::new("/nonexistent"));
            let unready =
                StartFailure::Unready { role: "cri".into(), unready: "nothing listens".into(), log, timed_out: true };
            if begin.elapsed() < delay { Err(unready) } else { Ok(()) }
        };
        probe_until_ready("crio", probe).await.unwrap();
        assert!(begin.elapsed() >= delay);
        assert!(attempts.get() <= delay.as_secs() / SLOW_PROBE_INTERVAL.as_secs() + 2, "{} attempts", attempts.get());
    }
}
