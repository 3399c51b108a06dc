//! Readiness, asked for: carries out the probes that components name in their plans.
//!
//! Nothing here reads a log, and nothing asks again after the answer was yes. A [`Prober`] makes what it needs when it first
//! needs it, reuses it, and gives it back when dropped: drop it once everything is ready.
//!
//! Must not know: components, roles, the order of a boot, how commands are started (it is given a way to run them).

mod http;
mod socket;
#[cfg(test)]
mod tests;

pub use crate::api::TlsFiles;

use crate::api::{self, Api, HttpClient, http_client};
use crate::cri;
use crate::network::HostNet;
use kubernix_core::{Command, Manifest, Output, Probe, ProbeKind};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Why a probe doesn't pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// It may pass later; the text says what was seen.
    #[error("{0}")]
    NotYet(String),
    /// It can't pass, however long one waits: a bad target, an unusable certificate, a server that can't be trusted.
    #[error("{0}")]
    Never(String),
}

/// A command under way.
type Running = Pin<Box<dyn Future<Output = io::Result<Output>> + Send>>;

/// How long one question may take before it counts as unanswered.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after a question that costs the other side next to nothing: connections, plain HTTP, CRI, a closed port.
const SHORT_PAUSE: Duration = Duration::from_millis(10);

/// Pause after an answer over TLS: the API server's `/readyz` runs some fifty checks each time, while it boots.
const TLS_PAUSE: Duration = Duration::from_millis(25);

/// Pause after a command.
const COMMAND_PAUSE: Duration = Duration::from_millis(100);

/// What a failed attempt says, and how long to wait before the next.
type Attempt = Result<(), (Unready, Duration)>;

type Identities = Box<dyn Fn(&str) -> Option<TlsFiles> + Send + Sync>;

type Networks = Box<dyn Fn(&str) -> Option<HostNet> + Send + Sync>;
type Runner = Box<dyn Fn(Command, Option<&str>) -> Running + Send + Sync>;

/// Something to ask, and what the answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// How and whom.
    pub probe: &'a Probe,
    /// What the component applies: what a probe of its manifests is about.
    pub manifests: &'a [Manifest],
    /// The node that it is on, where commands of probes run.
    pub node: Option<&'a str>,
    /// When the boot began, or the last change: what a node reported before doesn't count.
    pub since: SystemTime,
    /// When this boot began: pods from before don't count.
    pub booted: SystemTime,
}

impl<'a> Question<'a> {
    /// About something that applies nothing.
    pub fn new(probe: &'a Probe, since: SystemTime) -> Self {
        Self { probe, manifests: &[], node: None, since, booted: since }
    }
}

/// Carries out probes.
pub struct Prober {
    ca: PathBuf,
    identities: Identities,
    run: Option<Runner>,
    networks: Option<Networks>,
    api: Option<Api>,
    /// By identity, and the node that it is used on; the empty name shows no certificate.
    clients: Mutex<BTreeMap<(String, Option<String>), HttpClient>>,
}

impl Prober {
    /// A prober for servers of the CA in this file (PEM), with the certificates of these identities by name. An identity's own
    /// CA, where it differs, is the one that its server is checked against. Reads no file yet.
    pub fn new(ca: &Path, identities: impl Fn(&str) -> Option<TlsFiles> + Send + Sync + 'static) -> Self {
        Self {
            ca: ca.to_owned(),
            identities: Box::new(identities),
            run: None,
            networks: None,
            api: None,
            clients: Mutex::default(),
        }
    }

    /// Asks this API for nodes; without it, node probes never pass.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// Runs commands this way, on the node of that name or beside the control plane; without it, command probes never pass. A future that is dropped before its end has to end the
    /// command.
    #[must_use]
    pub fn commands<F, R>(mut self, run: F) -> Self
    where
        F: Fn(Command, Option<&str>) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Output>> + Send + 'static,
    {
        self.run = Some(Box::new(move |command, node| Box::pin(run(command, node))));
        self
    }

    /// Connects to servers from the network namespace that a node of this name has, where it has one of its own.
    #[must_use]
    pub fn networks(mut self, of: impl Fn(&str) -> Option<HostNet> + Send + Sync + 'static) -> Self {
        self.networks = Some(Box::new(of));
        self
    }

    /// Asks once.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self, question: Question<'_>) -> Result<(), Unready> {
        self.attempt(question).await.map_err(|(unready, _)| unready)
    }

    /// Asks until the answer is yes. Nodes are watched, everything else is asked again after a pause of 10 to 100 ms.
    ///
    /// # Errors
    /// The probe can't pass, or the deadline came first: then what was seen last.
    pub async fn wait(&self, question: Question<'_>, deadline: Instant) -> Result<(), Unready> {
        let Question { probe, manifests, since, booted, .. } = question;
        if probe.kind == ProbeKind::NODE {
            let api = self.api.as_ref().ok_or_else(|| no_api(&probe.target))?;
            return api.wait_node_ready(&probe.target, since, deadline).await.map_err(unready);
        }
        if probe.kind == ProbeKind::MANIFESTS {
            let api = self.api.as_ref().ok_or_else(|| no_api("manifests"))?;
            return api.wait_works(manifests, booted, deadline).await.map_err(unready);
        }
        let mut last = Unready::NotYet(format!("{} gave no answer in time", probe.target));
        loop {
            let pause = match timeout_at(deadline, self.attempt(question)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err((never @ Unready::Never(_), _))) => return Err(never),
                Ok(Err((not_yet, pause))) => {
                    last = not_yet;
                    pause
                }
                Err(_) => return Err(last),
            };
            if Instant::now() + pause >= deadline {
                return Err(last);
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, question: Question<'_>) -> Attempt {
        let Question { probe, manifests, node, since, booted } = question;
        let target = &probe.target;
        let attempt = async {
            match probe.kind {
                ProbeKind::STARTED => Ok(()),
                ProbeKind::HTTP => http::get(&self.client(&probe.identity, node)?, target, &probe.identity).await,
                ProbeKind::TCP => socket::tcp(target, self.network(node)).await,
                ProbeKind::UNIX => socket::unix(target).await,
                ProbeKind::CRI => runtime(target).await,
                ProbeKind::NODE => self.node(target, since).await,
                ProbeKind::MANIFESTS => self.manifests(manifests, booted).await,
                ProbeKind::COMMAND => self.command(probe, node).await,
                unknown => Err(never(format!("this version knows no probe of kind `{unknown}`"))),
            }
        };
        match timeout(ATTEMPT_TIMEOUT, attempt).await {
            Ok(answer) => answer,
            Err(_) => not_yet(format!("{target} gave no answer within {} s", ATTEMPT_TIMEOUT.as_secs()), SHORT_PAUSE),
        }
    }

    fn network(&self, node: Option<&str>) -> Option<HostNet> {
        self.networks.as_ref()?(node?)
    }

    /// The client of an identity on a node; made at its first use.
    fn client(&self, identity: &str, node: Option<&str>) -> Result<HttpClient, (Unready, Duration)> {
        let key = (identity.to_owned(), node.map(str::to_owned));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let files = match identity {
            "" => None,
            name => Some((self.identities)(name).ok_or_else(|| never(format!("there is no identity `{name}`")))?),
        };
        let ca = files.as_ref().map_or(&self.ca, |files| &files.ca);
        let client = http_client(ca, files.as_ref(), self.network(node)).map_err(|error| never(error.to_string()))?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    async fn node(&self, name: &str, since: SystemTime) -> Attempt {
        let api = self.api.as_ref().ok_or_else(|| (no_api(name), SHORT_PAUSE))?;
        match api.node_ready(name, since).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(missing)) => not_yet(missing, TLS_PAUSE),
            Err(error) => Err((unready(error), TLS_PAUSE)),
        }
    }

    async fn manifests(&self, manifests: &[Manifest], booted: SystemTime) -> Attempt {
        let api = self.api.as_ref().ok_or_else(|| (no_api("manifests"), SHORT_PAUSE))?;
        match api.check_works(manifests, booted).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(missing)) => not_yet(missing, TLS_PAUSE),
            Err(error) => Err((unready(error), TLS_PAUSE)),
        }
    }

    async fn command(&self, probe: &Probe, node: Option<&str>) -> Attempt {
        let Some(run) = &self.run else {
            return Err(never(format!("there is no way to run {} here", probe.target)));
        };
        let mut command = Command::new(&probe.target, probe.arguments.iter().cloned());
        command.env = probe.env.clone();
        match run(command, node).await {
            Ok(Output { code: 0, .. }) => Ok(()),
            Ok(output) => {
                let said = [&output.stderr, &output.stdout].into_iter().find_map(|text| text.trim().lines().last());
                let said = said.map(|line| format!(": {line}")).unwrap_or_default();
                not_yet(format!("{} exits with {}{said}", probe.target, output.code), COMMAND_PAUSE)
            }
            Err(error) => not_yet(format!("cannot run {}: {error}", probe.target), COMMAND_PAUSE),
        }
    }
}

async fn runtime(socket: &str) -> Attempt {
    let conditions = async { cri::Client::connect(socket).await?.status().await }.await;
    let conditions = match conditions {
        Ok(conditions) => conditions,
        Err(error @ cri::Error::Socket(_)) => return Err(never(error.to_string())),
        Err(error) => return not_yet(error.to_string(), SHORT_PAUSE),
    };
    match conditions.iter().find(|condition| condition.kind == "RuntimeReady") {
        Some(ready) if ready.holds => Ok(()),
        Some(ready) => {
            not_yet(format!("the container runtime at {socket} is not ready: {}", ready.reason), SHORT_PAUSE)
        }
        None => not_yet(format!("the container runtime at {socket} does not say whether it is ready"), SHORT_PAUSE),
    }
}

fn not_yet(text: String, pause: Duration) -> Attempt {
    Err((Unready::NotYet(text), pause))
}

fn never(text: String) -> (Unready, Duration) {
    (Unready::Never(text), Duration::ZERO)
}

fn no_api(what: &str) -> Unready {
    Unready::Never(format!("`{what}` can't be asked for: there is no API server here"))
}

fn unready(error: api::Error) -> Unready {
    match error {
        api::Error::TimedOut { last, .. } => Unready::NotYet(last),
        api::Error::Request { hopeless: false, .. } => Unready::NotYet(error.to_string()),
        _ => Unready::Never(error.to_string()),
    }
}
