//! Selects the template for a role, and the values of its placeholders.

use super::Placeholders;
use super::name::Name;
use crate::exit::{Exit, Refusal};
use anyhow::Result;
use kubernix_core::roles;

/// The values for a component that fills one of KuberNix' roles.
pub(super) struct Frame {
    /// The roles that such a component fills, each with the Rust expression of its probe.
    provides: &'static [(&'static str, &'static str)],
    phase: &'static str,
    scope: &'static str,
    /// Required roles, each with the kind of requirement: `ready` or `known`.
    requires: &'static [(&'static str, &'static str)],
    /// The method of the context that returns the address to listen at.
    ip: &'static str,
    port: u16,
    scheme: &'static str,
}

const TCP: &str = "Probe::tcp(&address)";
const CONTROL_PLANE: Frame = Frame {
    provides: &[],
    phase: "CONTROLLER",
    scope: "CONTROL_PLANE",
    requires: &[(roles::APISERVER, "ready")],
    ip: "control_plane_ip()?",
    port: 0,
    scheme: "https",
};
const NODE: Frame = Frame { phase: "NODE_AGENT", scope: "NODE", ip: "node()?.ip", scheme: "http", ..CONTROL_PLANE };

/// The frames of all roles. `cri` has a template of its own.
const FRAMES: &[Frame] = &[
    Frame {
        provides: &[(roles::DATASTORE, TCP)],
        phase: "INFRASTRUCTURE",
        requires: &[(roles::SANDBOX, "ready")],
        port: 2379,
        ..CONTROL_PLANE
    },
    Frame {
        provides: &[
            (roles::APISERVER_PORT, "Probe::http(format!(\"{url}/version\")).identity(\"admin\")"),
            (roles::APISERVER, "Probe::http(format!(\"{url}/readyz\")).identity(\"admin\")"),
        ],
        phase: "CONTROL_PLANE",
        requires: &[(roles::SANDBOX, "ready"), (roles::DATASTORE, "known")],
        port: 6443,
        ..CONTROL_PLANE
    },
    Frame { provides: &[(roles::CONTROLLER_MANAGER, TCP)], port: 10257, ..CONTROL_PLANE },
    Frame { provides: &[(roles::SCHEDULER, TCP)], port: 10259, ..CONTROL_PLANE },
    Frame {
        provides: &[
            (roles::KUBELET, "Probe::http(format!(\"{url}/healthz\"))"),
            (roles::NODE, "Probe::node(ctx.node()?.name)"),
        ],
        requires: &[(roles::CRI, "ready"), (roles::APISERVER_PORT, "known")],
        port: 10248,
        ..NODE
    },
    Frame { provides: &[(roles::PROXY, "Probe::http(format!(\"{url}/healthz\"))")], port: 10256, ..NODE },
    Frame {
        provides: &[(roles::DNS, TCP)],
        phase: "ADDON",
        scope: "CLUSTER",
        port: 53,
        scheme: "dns",
        ..CONTROL_PLANE
    },
];

/// The kind of crate.
pub(super) enum Kind {
    /// An addon: objects for the API server, with a role of its own.
    Addon(String),
    /// A container runtime that boots.
    Runtime,
    /// The frame of a component for one of KuberNix' roles.
    Role(String, &'static Frame),
}

impl Kind {
    /// The kind for a role. Without a role, an addon with a role of the component's name.
    pub(super) fn of(name: &Name, role: Option<&str>) -> Result<Self> {
        let role = role.unwrap_or(name.text());
        let refuse =
            |why: &str| Err(Refusal::error(Exit::Usage, format!("`{role}` can't be filled by a plugin: {why}")));
        match role {
            roles::CRI => Ok(Self::Runtime),
            roles::SANDBOX => refuse("only KuberNix itself fills it"),
            _ if !kubernix_core::is_name(role) => {
                refuse("a role is a word of at most 63 of a-z, 0-9 and -, with a - only inside")
            }
            _ => {
                let fits = |frame: &&Frame| frame.provides.iter().any(|(provided, _)| *provided == role);
                let frame = FRAMES.iter().find(fits);
                Ok(frame.map_or_else(|| Self::Addon(role.to_owned()), |frame| Self::Role(role.to_owned(), frame)))
            }
        }
    }

    /// The role.
    pub(super) fn role(&self) -> &str {
        match self {
            Self::Addon(role) | Self::Role(role, _) => role,
            Self::Runtime => roles::CRI,
        }
    }

    /// The directory of its template.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Addon(_) => "addon",
            Self::Runtime => "cri",
            Self::Role(..) => "role",
        }
    }

    /// The flags of `up` that select the component. Empty if no other component fills the role.
    pub(super) fn choice(&self, name: &Name) -> String {
        match self {
            Self::Addon(_) => String::new(),
            Self::Runtime => format!(" --cri {}", name.text()),
            Self::Role(_, frame) => {
                let set = |(role, _): &(&str, &str)| format!(" --set {role}={}", name.text());
                frame.provides.iter().map(set).collect()
            }
        }
    }

    pub(super) fn placeholders(&self) -> Placeholders {
        let about = match self {
            Self::Addon(_) => "An addon of KuberNix clusters".to_owned(),
            Self::Runtime => "containerd, the container runtime of each node".to_owned(),
            Self::Role(role, _) => format!("A component for the role {role} of KuberNix clusters"),
        };
        let mut values = vec![("__ABOUT__", about), ("__ROLE__", self.role().to_owned())];
        if let Self::Role(_, frame) = self {
            values.extend(frame.placeholders());
        }
        values
    }
}

impl Frame {
    fn placeholders(&self) -> Placeholders {
        let list = |roles: &[(&str, &str)]| roles.iter().map(|(role, _)| format!("\"{role}\"")).collect::<Vec<_>>();
        let requirement = |(role, wait): &(&str, &str)| format!("Requirement::{wait}(\"{role}\")");
        let requirements: Vec<String> = self.requires.iter().map(requirement).collect();
        let provide = |(role, probe): &(&str, &str)| format!("        plan.provide(\"{role}\", &url, {probe})");
        let provides: Vec<String> = self.provides.iter().map(provide).collect();
        vec![
            ("__PROVIDED__", list(self.provides).join(", ")),
            ("__REQUIRED__", list(self.requires).join(", ")),
            ("__REQUIREMENTS__", requirements.join(", ")),
            ("__PROVIDE__", provides.join("?;\n")),
            ("__PHASE__", self.phase.to_owned()),
            ("__SCOPE__", self.scope.to_owned()),
            ("__IP__", self.ip.to_owned()),
            ("__PORT__", self.port.to_string()),
            ("__SCHEME__", self.scheme.to_owned()),
        ]
    }
}
