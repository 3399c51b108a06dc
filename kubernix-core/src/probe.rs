//! Probes: readiness is a condition that the host polls, never a line in a log.

use crate::types::open_set;
use abi_stable::StableAbi;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

open_set! {
    /// The kind of check.
    ProbeKind {
        /// Always passes: the component is ready as soon as its processes run.
        STARTED = 0, "started";
        /// GET of a URL returns 200. `target`: `http://...` or `https://...`. Over TLS the server
        /// is checked against the cluster's CA, and `identity`, if set, is the client certificate.
        HTTP = 1, "http";
        /// A TCP connection is accepted. `target`: `IP:PORT`.
        TCP = 2, "tcp";
        /// A connection to a unix socket is accepted. `target`: the path.
        UNIX = 3, "unix";
        /// CRI v1 `Status` has the condition RuntimeReady. `target`: the socket's path.
        CRI = 4, "cri";
        /// The node object's Ready condition is true and was renewed since boot. `target`: the
        /// node's name.
        NODE = 5, "node";
        /// A command exits with 0. `target`: the program, `arguments` follow.
        COMMAND = 6, "command";
        /// The objects of the component's own manifests work: workloads have all their replicas of
        /// this generation, definitions and aggregated APIs are served. No `target`.
        MANIFESTS = 7, "manifests";
    }
}

/// A condition that the host polls until it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// The kind of check.
    pub kind: ProbeKind,
    /// The target of the check. Its form depends on the kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The identity whose client certificate is used; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Arguments of a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Environment of a command beside `PATH` and `HOME`, which the host sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Options of later versions of the contract, see [`Probe::option`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl Probe {
    fn new(kind: ProbeKind, target: impl Into<String>) -> Self {
        let (env, options) = (BTreeMap::new(), BTreeMap::new());
        Self { kind, target: target.into(), identity: String::new(), arguments: Vec::new(), env, options }
    }

    /// Passes as soon as the component's processes run.
    pub fn started() -> Self {
        Self::new(ProbeKind::STARTED, "")
    }

    /// A GET of this `http://` or `https://` URL answers 200.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new(ProbeKind::HTTP, url)
    }

    /// A TCP connection to `IP:PORT` is accepted.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self::new(ProbeKind::TCP, address)
    }

    /// A connection to the unix socket at this path is accepted.
    pub fn unix(path: impl Into<String>) -> Self {
        Self::new(ProbeKind::UNIX, path)
    }

    /// The CRI runtime at this socket path has the condition RuntimeReady.
    pub fn cri(path: impl Into<String>) -> Self {
        Self::new(ProbeKind::CRI, path)
    }

    /// The node of this name is Ready, and reported it since this boot.
    pub fn node(name: impl Into<String>) -> Self {
        Self::new(ProbeKind::NODE, name)
    }

    /// This program exits with 0.
    pub fn command<A: Into<String>>(program: impl Into<String>, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { arguments, ..Self::new(ProbeKind::COMMAND, program) }
    }

    /// The objects of the component's own manifests exist and work.
    pub fn manifests() -> Self {
        Self::new(ProbeKind::MANIFESTS, "")
    }

    /// Uses the client certificate of this identity.
    #[must_use]
    pub fn identity(mut self, user: impl Into<String>) -> Self {
        self.identity = user.into();
        self
    }

    /// Sets an environment variable of a command.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Sets an option of a later version of the contract. A host rejects the plan if it doesn't
    /// know the option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }
}
