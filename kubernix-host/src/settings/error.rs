//! Errors of settings.

use super::value::ValueError;
use super::{Key, Origin};
use crate::root_dir;
use crate::text::Located;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Settings can't be resolved, or don't fit the components. Each message includes its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration file can't be read.
    #[error("can't read the configuration `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The settings of a cluster with data are lost. It isn't booted with the defaults instead.
    #[error(
        "`{}` and cluster.json are both missing or empty, so the settings of this cluster are lost: restore one of them from a backup or a snapshot, or create the cluster again with `up --fresh`",
        path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// A configuration file isn't TOML, or has an unknown key or an invalid value.
    #[error(transparent)]
    File(Located),
    /// A value isn't valid.
    #[error("{origin}: {reason}")]
    Value {
        /// Where it was given.
        origin: Origin,
        /// The reason, with the value.
        reason: ValueError,
    },
    /// A setting that can't change after the cluster was created.
    #[error("the {key} of cluster `{cluster}` is `{made}` and can't become `{wanted}` ({origin}): {reason}")]
    Fixed {
        /// The setting: `cidr` or `name`.
        key: &'static str,
        /// The cluster.
        cluster: String,
        /// The value that it was created with.
        made: String,
        /// The requested value.
        wanted: String,
        /// Where that was given.
        origin: Box<Origin>,
        /// The reason, and the way out.
        reason: String,
    },
    /// A name that doesn't exist.
    #[error("{}unknown {what} `{name}`{hint}", At(origin))]
    Unknown {
        /// The kind of the name.
        what: Unknown,
        /// The name.
        name: String,
        /// The key that has it.
        key: String,
        /// The most similar name, as the end of the message.
        hint: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// A slot that is filled by a component that doesn't provide its role.
    #[error(
        "{}`{component}` can't fill the slot `{role}`: {provides}; `{role}` can be filled by {fillers}",
        At(origin)
    )]
    WrongRole {
        /// The slot.
        role: String,
        /// The component.
        component: String,
        /// The roles that it provides, as a part of the message.
        provides: String,
        /// The components that provide the role, as a list.
        fillers: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// The value of a parameter isn't valid.
    #[error("{}component `{component}`: {reason}", At(origin))]
    Parameter {
        /// The component; with a node, if the parameter applies to this node only.
        component: String,
        /// The reason, with the parameter, the value and the valid values.
        reason: kubernix_core::Error,
        /// The key.
        key: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// Two keys set two paths for one binary.
    #[error("{}`{binary}` gets two paths, `{first}` and `{second}`: give one of them", At(origin))]
    TwoBinaries {
        /// The binary.
        binary: String,
        /// The first path.
        first: PathBuf,
        /// The second path.
        second: PathBuf,
        /// The key of the second path.
        key: String,
        /// Where that was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// There is no home directory to derive a default from.
    #[error("no home directory is known to keep the {what} in: set HOME or give {flag}")]
    NoHome {
        /// The content of the missing directory.
        what: &'static str,
        /// The flag or the variable that replaces the default.
        flag: &'static str,
    },
    /// The cluster's root directory can't be used.
    #[error(transparent)]
    Root(#[from] root_dir::Error),
}

/// The kind of an unknown name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// A component, or a binary that components run.
    Component,
    /// A role, which is a slot.
    Role,
    /// A parameter.
    Parameter,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "component",
            Self::Role => "role",
            Self::Parameter => "parameter",
        })
    }
}

impl Error {
    pub(super) fn value(origin: Origin, reason: ValueError) -> Self {
        Self::Value { origin, reason }
    }

    /// The key of the invalid value, if that is a slot or a parameter.
    pub(super) fn key(&self) -> Option<String> {
        match self {
            Self::Unknown { key, .. } | Self::Parameter { key, .. } | Self::TwoBinaries { key, .. } => {
                Some(key.clone())
            }
            Self::WrongRole { role, .. } => Some(Key::Slot(role.clone()).to_string()),
            _ => None,
        }
    }

    /// Adds the origin of the invalid value.
    pub(super) fn with_origin(mut self, origins: &BTreeMap<String, Origin>) -> Self {
        let found = self.key().and_then(|key| origins.get(&key));
        if let Self::Unknown { origin, .. }
        | Self::WrongRole { origin, .. }
        | Self::Parameter { origin, .. }
        | Self::TwoBinaries { origin, .. } = &mut self
        {
            *origin = found.cloned().map(Box::new);
        }
        self
    }
}

/// Prints `--set cri: `, or nothing if the origin isn't known.
struct At<'a>(&'a Option<Box<Origin>>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, "{origin}: "))
    }
}
