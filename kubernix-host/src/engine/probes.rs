//! Questions to instances: whether they are ready, and later whether they still respond.

use super::failure::LogTail;
use super::planned::Planned;
use super::reducer::{Fault, InstanceId, ProcessId, Time};
use super::{Cluster, StartFailure};
use crate::api::Api;
use crate::graph::Environment;
use crate::probe::{Prober, Question, TlsFiles, Unready};
use kubernix_core::{Endpoint, Role, roles};
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// How long an instance that isn't waited for is asked as a boot asks: many times a second.
const PROMPT: Duration = Duration::from_secs(60);
/// Between two questions to one that takes longer.
const SPARSE: Duration = Duration::from_secs(5);
/// How long a ready instance may take to answer.
const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// How long a probe that doesn't pass is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Until then.
    Until(Instant),
    /// Not at all.
    Once,
}

impl Cluster {
    /// Asks a probe until it passes.
    pub(super) async fn probe(
        self: &Rc<Self>,
        id: InstanceId,
        endpoint: usize,
        until: Option<Time>,
    ) -> Result<(), StartFailure> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let Some(endpoint) = planned.instance.plan.provides.get(endpoint) else { return Ok(()) };
        let unusable = |why| StartFailure::Api(why);
        let prober = self.prober(self.api().map_err(unusable)?).map_err(unusable)?;
        let log = self.processes_of(id).first().map_or_else(|| planned.directory.clone(), |first| first.log.clone());
        let ask = async |asking| {
            let question = self.question(&planned, endpoint, self.since.get());
            let asked = match asking {
                Asking::Until(deadline) => prober.wait(question, deadline).await,
                Asking::Once => prober.check(question).await,
            };
            asked.map_err(|error| StartFailure::Unready {
                role: endpoint.role.to_string(),
                unready: error.to_string(),
                late: matches!(error, Unready::NotYet(_)),
                log: LogTail::of(&log),
            })
        };
        match until {
            Some(until) => ask(Asking::Until(self.instant(until))).await?,
            None => persist(planned.name(), ask).await?,
        }
        if endpoint.role.as_str() == roles::APISERVER_PORT {
            let deadline = self.deadline(until);
            self.hasten_policy(&planned, deadline).await;
            self.publish_authority(&planned, deadline).await.map_err(StartFailure::Api)?;
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

    /// Asks all probes of a ready instance once.
    pub(super) async fn check(self: &Rc<Self>, id: InstanceId) -> Result<(), Fault> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let prober = self.checker().map_err(Fault::new)?;
        let asked = planned.instance.plan.provides.iter().map(|endpoint| {
            let prober = prober.clone();
            // What a node reported before a change holds on: it was ready since.
            let question = self.question(&planned, endpoint, self.booted_at);
            async move {
                let asked = tokio::time::timeout(CHECK_LIMIT, prober.check(question)).await;
                let unready = match asked {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(unready)) => unready.to_string(),
                    Err(_) => format!("no answer within {CHECK_LIMIT:?}"),
                };
                Err(Fault::new(format!("role `{}` doesn't respond: {unready}", endpoint.role)))
            }
        });
        futures_util::future::try_join_all(asked).await.map(drop)
    }

    /// Asks the liveness probe of a process once.
    pub(super) async fn check_process(self: &Rc<Self>, id: ProcessId) -> Result<(), Fault> {
        let Some(planned) = self.instance(id.instance) else { return Ok(()) };
        let process = planned.instance.plan.processes.get(id.slot);
        let Some(liveness) = process.and_then(|process| process.liveness.as_ref()) else { return Ok(()) };
        let prober = self.checker().map_err(Fault::new)?;
        let question = Question {
            node: planned.instance.node.as_deref(),
            probe: &liveness.probe,
            manifests: &[],
            since: self.booted_at,
            booted: self.booted_at,
        };
        match tokio::time::timeout(CHECK_LIMIT, prober.check(question)).await {
            Ok(checked) => checked.map_err(|unready| Fault::new(unready.to_string())),
            Err(_) => Err(Fault::new(format!("no answer within {CHECK_LIMIT:?}"))),
        }
    }

    /// What asks ready instances. It is kept, with its connections, until the next change.
    fn checker(&self) -> Result<Rc<Prober>, String> {
        if let Some(prober) = &*self.checker.borrow() {
            return Ok(prober.clone());
        }
        let prober = Rc::new(self.prober(self.api()?)?);
        *self.checker.borrow_mut() = Some(prober.clone());
        Ok(prober)
    }

    /// The first instance that fills a role and is to run.
    pub(super) fn provider(&self, role: &str) -> Option<Rc<Planned>> {
        self.instances().into_iter().find(|planned| !planned.is_off() && planned.fills(role))
    }

    /// The URLs of a role, in all places where it is filled.
    pub(super) fn endpoints(&self, role: &str) -> Vec<String> {
        let instances = self.instances();
        let all = instances.iter().flat_map(|planned| &planned.instance.plan.provides);
        all.filter(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone()).collect()
    }

    /// A client of the cluster's own API, where it has one.
    pub(super) fn api(&self) -> Result<Option<Api>, String> {
        let Some(server) = self.provider(roles::APISERVER) else { return Ok(None) };
        let Some(endpoint) = server.endpoint(roles::APISERVER) else { return Ok(None) };
        self.api_of(&server, &endpoint.url).map(Some)
    }

    /// A client of the API that an instance serves at this URL. None of several is relied on.
    pub(super) fn api_of(&self, server: &Planned, url: &str) -> Result<Api, String> {
        let boot = self.boot();
        let server = boot.environment.seen_from(None, server.instance.node.as_deref(), url);
        let identity = Environment::of_node(&boot.environment.identities, "admin", None);
        let identity = identity.ok_or("the cluster has no identity `admin`")?;
        Api::connect(&server, &tls(identity)).map_err(|error| error.to_string())
    }

    /// Asks `api` for nodes.
    fn prober(&self, api: Option<Api>) -> Result<Prober, String> {
        let boot = self.boot();
        let environment = &boot.environment;
        let ca = environment.files.get("ca.crt").ok_or("the cluster has no CA certificate")?;
        let identities = environment.identities.clone();
        let (spawner, places) = (self.spawner(), self.nodes.places());
        let prober = Prober::new(ca, move |user| identities.get(user).map(tls)).commands(move |command, node| {
            let mut spawner = spawner.clone();
            if let Some(place) = node.and_then(|node| places.get(node)) {
                spawner.target = place;
            }
            async move { spawner.output(&command).await.map_err(io::Error::other) }
        });
        let places = self.nodes.places();
        let prober = prober.networks(move |node| places.network(node));
        Ok(match api {
            Some(api) => prober.api(api),
            None => prober,
        })
    }

    /// Whether a role of the API server is ready now.
    pub(super) fn api_role(&self) -> Option<crate::graph::RoleAt> {
        self.provider(roles::APISERVER).map(|server| server.instance.at(&Role::new(roles::APISERVER)))
    }
}

fn tls(identity: &crate::pki::Identity) -> TlsFiles {
    TlsFiles { cert: identity.cert.clone(), key: identity.key.clone(), ca: identity.ca.clone() }
}

/// Asks until the answer is yes: promptly at first, sparsely afterwards, and for ever.
async fn persist(name: &str, mut ask: impl AsyncFnMut(Asking) -> Result<(), StartFailure>) -> Result<(), StartFailure> {
    let mut asking = Asking::Until(Instant::now() + PROMPT);
    loop {
        match ask(asking).await {
            Err(failure @ StartFailure::Unready { .. }) => {
                if asking != Asking::Once {
                    log::warn!("{name} isn't ready yet: {failure}");
                }
            }
            done => return done,
        }
        asking = Asking::Once;
        sleep(SPARSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::path::Path;

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_late_instance_is_waited_for_however_long_and_asked_sparsely() {
        let (begun, asked) = (Instant::now(), Cell::new(0_u64));
        let late = Duration::from_secs(3600);
        let ask = async |asking| {
            asked.set(asked.get() + 1);
            if let Asking::Until(deadline) = asking {
                tokio::time::sleep_until(deadline).await;
            }
            let log = LogTail::of(Path::new("/nonexistent"));
            let unready =
                StartFailure::Unready { role: "cri".into(), unready: "nothing listens".into(), log, late: true };
            if begun.elapsed() < late { Err(unready) } else { Ok(()) }
        };
        persist("crio", ask).await.unwrap();
        assert!(begun.elapsed() >= late);
        assert!(asked.get() <= late.as_secs() / SPARSE.as_secs() + 2, "asked {} times", asked.get());
    }
}
