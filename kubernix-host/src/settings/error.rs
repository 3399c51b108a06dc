//! What is wrong with settings, and the nearest thing that would be right.

use super::{Key, Origin};
use crate::root;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What is wrong with settings. Each message holds its cause: there is no further chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration file can't be read.
    #[error("can't read the configuration `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The settings of a cluster that has data are gone: it is not booted with defaults in their
    /// place.
    #[error(
        "`{}` and cluster.json are both missing or empty, so the settings of this cluster are lost: put one of them back from a backup or a snapshot, or begin anew with `up --fresh`",
        path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// A configuration file doesn't say what one can say.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value doesn't fit.
    #[error("{origin}: {reason}")]
    Value {
        /// Where it was given.
        origin: Origin,
        /// Why, with the value.
        reason: String,
    },
    /// Something that can't change once a cluster was made.
    #[error("the {key} of cluster `{cluster}` is `{made}` and can't become `{wanted}` ({origin}): {reason}")]
    Fixed {
        /// The setting: `cidr` or `name`.
        key: &'static str,
        /// The cluster.
        cluster: String,
        /// What it was made with.
        made: String,
        /// What was asked for.
        wanted: String,
        /// Where it was given.
        origin: Box<Origin>,
        /// Why it can't change, and the way out.
        reason: String,
    },
    /// A name that nothing has.
    #[error("{}unknown {what} `{name}`{hint}", At(origin))]
    Unknown {
        /// What should have had it.
        what: Unknown,
        /// The name.
        name: String,
        /// The key it is used in.
        key: String,
        /// The nearest name there is, as the end of the message.
        hint: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// A slot filled by a component that doesn't provide its role.
    #[error(
        "{}`{component}` can't fill the slot `{role}`: {provides}; `{role}` can be filled by {fillers}",
        At(origin)
    )]
    Unfit {
        /// The slot.
        role: String,
        /// The component.
        component: String,
        /// What that provides, in words.
        provides: String,
        /// Components that would fit, in words.
        fillers: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// The value of a parameter doesn't fit.
    #[error("{}component `{component}`: {reason}", At(origin))]
    Parameter {
        /// The component, or that of one node.
        component: String,
        /// Why, with the parameter, the value and what fits.
        reason: String,
        /// The key.
        key: String,
        /// Where it was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// One binary got two paths by two names.
    #[error("{}`{binary}` gets two paths, `{first}` and `{second}`: give one of them", At(origin))]
    TwoBinaries {
        /// The binary.
        binary: String,
        /// One path.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The key of the second.
        key: String,
        /// Where that was given, if known.
        origin: Option<Box<Origin>>,
    },
    /// There is no home directory to derive a default from.
    #[error("no home directory is known to keep the {what} in: set HOME or give {flag}")]
    NoHome {
        /// What would lie there.
        what: &'static str,
        /// What to give instead.
        flag: &'static str,
    },
    /// The cluster's root directory can't be used.
    #[error(transparent)]
    Root(#[from] root::Error),
}

/// What an unknown name should have been the name of.
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
    pub(super) fn value(origin: Origin, reason: impl ToString) -> Self {
        Self::Value { origin, reason: reason.to_string() }
    }

    /// The key of the value that it is about, if it is one of a slot or a parameter.
    pub(super) fn key(&self) -> Option<String> {
        match self {
            Self::Unknown { key, .. } | Self::Parameter { key, .. } | Self::TwoBinaries { key, .. } => {
                Some(key.clone())
            }
            Self::Unfit { role, .. } => Some(Key::Slot(role.clone()).to_string()),
            _ => None,
        }
    }

    /// The same error with the origin of the key that it is about.
    pub(super) fn from(mut self, origins: &BTreeMap<String, Origin>) -> Self {
        let found = self.key().and_then(|key| origins.get(&key));
        if let Self::Unknown { origin, .. }
        | Self::Unfit { origin, .. }
        | Self::Parameter { origin, .. }
        | Self::TwoBinaries { origin, .. } = &mut self
        {
            *origin = found.cloned().map(Box::new);
        }
        self
    }
}

/// `--set cri: `, or nothing.
struct At<'a>(&'a Option<Box<Origin>>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, "{origin}: "))
    }
}
