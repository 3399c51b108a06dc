//! Runs the readiness probes of plans.
//!
//! Probes don't read logs. A probe that passed isn't repeated. A [`Prober`] creates clients when it
//! first needs them, reuses them, and closes them when it is dropped.
//!
//! Must not know: components, roles, the order of a boot, how commands are started (it gets a
//! function for that).

mod http;
mod socket;
#[cfg(test)]
mod tests;

pub use crate::api_client::TlsFiles;

use crate::api_client::{self, Api, HttpClient, http_client};
use crate::cri_client;
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
    /// It may pass later. The text is the last observation.
    #[error("{0}")]
    NotYet(String),
    /// It can't pass: an invalid target, an unusable certificate, a server that isn't trusted.
    #[error("{0}")]
    Never(String),
}

/// A running command.
type Running = Pin<Box<dyn Future<Output = io::Result<Output>> + Send>>;

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after an attempt that costs the server little: connections, plain HTTP, CRI, a closed
/// port.
const SHORT_INTERVAL: Duration = Duration::from_millis(10);

/// The time after a response over TLS: the API server's `/readyz` runs some fifty checks each time.
const TLS_INTERVAL: Duration = Duration::from_millis(25);

/// The time after a command.
const COMMAND_INTERVAL: Duration = Duration::from_millis(100);

/// The result of an attempt: why it failed, and the time to wait before the next one.
type Attempt = Result<(), (Unready, Duration)>;

type Identities = Box<dyn Fn(&str) -> Option<TlsFiles> + Send + Sync>;

type Networks = Box<dyn Fn(&str) -> Option<HostNet> + Send + Sync>;
type Runner = Box<dyn Fn(Command, Option<&str>) -> Running + Send + Sync>;

/// A probe with its circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The probe.
    pub probe: &'a Probe,
    /// The manifests of the component, for a probe of them.
    pub manifests: &'a [Manifest],
    /// The node of the instance, on which commands of probes run.
    pub node: Option<&'a str>,
    /// When the boot or the last change began. Older reports of nodes don't count.
    pub since: SystemTime,
    /// When this boot began. Older pods don't count.
    pub booted: SystemTime,
}

impl<'a> Question<'a> {
    /// A probe of an instance without manifests and node.
    pub fn new(probe: &'a Probe, since: SystemTime) -> Self {
        Self { probe, manifests: &[], node: None, since, booted: since }
    }
}

/// Runs probes.
pub struct Prober {
    ca: PathBuf,
    identities: Identities,
    run: Option<Runner>,
    networks: Option<Networks>,
    api: Option<Api>,
    /// By identity and node. The empty identity has no client certificate.
    clients: Mutex<BTreeMap<(String, Option<String>), HttpClient>>,
}

impl Prober {
    /// A prober for servers whose certificates are signed by the CA in the file `ca` (PEM).
    /// `identities` returns the certificate files of an identity by name; for probes with an
    /// identity, the server is checked against the CA among them. Reads no file yet.
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

    /// Uses this API for probes of nodes and manifests. Without it, they never pass.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// Runs commands with this function, on the named node or beside the control plane. Without it,
    /// command probes never pass. Dropping the returned future must end the command.
    #[must_use]
    pub fn commands<F, R>(mut self, run: F) -> Self
    where
        F: Fn(Command, Option<&str>) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Output>> + Send + 'static,
    {
        self.run = Some(Box::new(move |command, node| Box::pin(run(command, node))));
        self
    }

    /// Connects from the network namespace that this function returns for a node, if it returns
    /// one.
    #[must_use]
    pub fn networks(mut self, of: impl Fn(&str) -> Option<HostNet> + Send + Sync + 'static) -> Self {
        self.networks = Some(Box::new(of));
        self
    }

    /// Runs a probe once.
    ///
    /// # Errors
    /// The probe didn't pass.
    pub async fn check(&self, question: Question<'_>) -> Result<(), Unready> {
        self.attempt(question).await.map_err(|(unready, _)| unready)
    }

    /// Waits until a probe passes. Nodes are watched. Other probes are repeated every 10 to 100 ms.
    ///
    /// # Errors
    /// The probe can't pass, or the deadline passed: then the error has the last observation.
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
        let mut last = Unready::NotYet(format!("{} did not respond in time", probe.target));
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
                unknown => Err(never(format!("this version doesn't support probes of kind `{unknown}`"))),
            }
        };
        match timeout(ATTEMPT_TIMEOUT, attempt).await {
            Ok(answer) => answer,
            Err(_) => {
                not_yet(format!("{target} did not respond within {} s", ATTEMPT_TIMEOUT.as_secs()), SHORT_INTERVAL)
            }
        }
    }

    fn network(&self, node: Option<&str>) -> Option<HostNet> {
        self.networks.as_ref()?(node?)
    }

    /// The client of an identity on a node. Created at its first use.
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
        let api = self.api.as_ref().ok_or_else(|| (no_api(name), SHORT_INTERVAL))?;
        match api.node_ready(name, since).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(missing)) => not_yet(missing.to_string(), TLS_INTERVAL),
            Err(error) => Err((unready(error), TLS_INTERVAL)),
        }
    }

    async fn manifests(&self, manifests: &[Manifest], booted: SystemTime) -> Attempt {
        let api = self.api.as_ref().ok_or_else(|| (no_api("manifests"), SHORT_INTERVAL))?;
        match api.check_works(manifests, booted).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(missing)) => not_yet(missing.to_string(), TLS_INTERVAL),
            Err(error) => Err((unready(error), TLS_INTERVAL)),
        }
    }

    async fn command(&self, probe: &Probe, node: Option<&str>) -> Attempt {
        let Some(run) = &self.run else {
            return Err(never(format!("can't run {}: this prober has no commands", probe.target)));
        };
        let mut command = Command::new(&probe.target, probe.arguments.iter().cloned());
        command.env = probe.env.clone();
        match run(command, node).await {
            Ok(Output { code: 0, .. }) => Ok(()),
            Ok(output) => {
                let line = [&output.stderr, &output.stdout].into_iter().find_map(|text| text.trim().lines().last());
                let line = line.map(|line| format!(": {line}")).unwrap_or_default();
                not_yet(format!("{} exited with status {}{line}", probe.target, output.code), COMMAND_INTERVAL)
            }
            Err(error) => not_yet(format!("cannot run {}: {error}", probe.target), COMMAND_INTERVAL),
        }
    }
}

async fn runtime(socket: &str) -> Attempt {
    let conditions = async { cri_client::Client::connect(socket).await?.status().await }.await;
    let conditions = match conditions {
        Ok(conditions) => conditions,
        Err(error @ cri_client::Error::Socket(_)) => return Err(never(error.to_string())),
        Err(error) => return not_yet(error.to_string(), SHORT_INTERVAL),
    };
    match conditions.iter().find(|condition| condition.kind == "RuntimeReady") {
        Some(ready) if ready.holds => Ok(()),
        Some(ready) => {
            not_yet(format!("the container runtime at {socket} is not ready: {}", ready.reason), SHORT_INTERVAL)
        }
        None => {
            not_yet(format!("the container runtime at {socket} does not report whether it is ready"), SHORT_INTERVAL)
        }
    }
}

fn not_yet(text: String, pause: Duration) -> Attempt {
    Err((Unready::NotYet(text), pause))
}

fn never(text: String) -> (Unready, Duration) {
    (Unready::Never(text), Duration::ZERO)
}

fn no_api(what: &str) -> Unready {
    Unready::Never(format!("can't probe `{what}`: there is no API server here"))
}

fn unready(error: api_client::Error) -> Unready {
    match error {
        api_client::Error::TimedOut { last, .. } => Unready::NotYet(last),
        api_client::Error::Request { permanent: false, .. } => Unready::NotYet(error.to_string()),
        _ => Unready::Never(error.to_string()),
    }
}
