//! Errors of single values. The messages quote the value: where it was given is added by
//! [`Error`](crate::settings::Error).

use super::MAX_BOOT_TIMEOUT_S;
use crate::network::AddressError;
use crate::settings::{MAX_NAME, NONE};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// A text that isn't a valid value of its setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The name of a cluster.
    #[error(
        "`{text}` can't name a cluster: use at most {MAX_NAME} of a-z, 0-9 and -, with a - only inside{}",
        as_in(.proposal)
    )]
    ClusterName {
        /// The text.
        text: String,
        /// A similar name that is valid.
        proposal: Option<String>,
    },
    /// The name of a node.
    #[error("`{0}` can't name a node: use at most 63 of a-z, 0-9 and -, with a - only inside")]
    NodeName(String),
    /// The name of a role, a component or a parameter.
    #[error("`{0}` is not a name: use letters, digits and -")]
    Word(String),
    /// A list of addons that has names as well as `none`.
    #[error("`{0}`: `{NONE}` can't be combined with names")]
    NoneWithNames(String),
    /// A TCP port.
    #[error("`{0}` is not a port, give a number from 1 to 65535")]
    Port(String),
    /// A positive number.
    #[error("`{0}` is not a number from 1 upwards")]
    Count(String),
    /// The number of members of a control plane.
    #[error(
        "`{0}` control planes: give 1, 3, 5 or 7; a majority must run, so an even number tolerates no more failures than the odd number below it"
    )]
    Members(String),
    /// A number of seconds.
    #[error("`{0}` is not a number of seconds from 1 to {MAX_BOOT_TIMEOUT_S}")]
    Seconds(String),
    /// A truth value.
    #[error("`{0}` is neither true nor false")]
    Bool(String),
    /// One of a few words, or published ports. The message is that of their own parser.
    #[error("{0}")]
    Parse(String),
    /// The address range of a cluster.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A registry whose images have mirrors.
    #[error(
        "`{0}` is not a registry: give the beginning of image names, as in docker.io or registry.example:5000/team"
    )]
    Registry(String),
    /// A list of mirrors without any.
    #[error("there is no mirror: give URLs, as in https://mirror.example")]
    NoMirror,
    /// The URL of a mirror.
    #[error("`{url}` {reason}")]
    Mirror {
        /// The URL.
        url: String,
        /// The rest of the sentence.
        reason: &'static str,
    },
    /// An empty path.
    #[error("a path can't be empty")]
    EmptyPath,
    /// A path that can't be made absolute.
    #[error("`{}`: {cause}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A value with bytes that aren't UTF-8.
    #[error("`{}` is not UTF-8", .0.display())]
    NotUtf8(OsString),
    /// A `--set` argument.
    #[error("`{0}` is neither ROLE=COMPONENT nor COMPONENT.PARAMETER=VALUE")]
    SetForm(String),
    /// A `--set` argument for a setting that has another flag or variable.
    #[error("`{form}`: `{name}` is a setting of its own, {advice}")]
    NotForSet {
        /// The argument.
        form: String,
        /// The setting.
        name: String,
        /// The flag or the variable to use.
        advice: String,
    },
}

impl ValueError {
    /// The error of another parser.
    pub(in crate::settings) fn parse(error: impl ToString) -> Self {
        Self::Parse(error.to_string())
    }
}

fn as_in(name: &Option<String>) -> String {
    name.as_ref().map_or_else(String::new, |name| format!(", as in `{name}`"))
}
