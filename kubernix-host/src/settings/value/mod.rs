//! Single values as text. Flags, variables and files share these parsers and their messages.

mod error;
mod path;
mod registry;

pub use error::ValueError;
pub(super) use path::{absolute, absolute_text, parse_paths, show_paths};
pub(super) use registry::{parse_mirrors, parse_registry};

use super::{MAX_NAME, NONE};
use crate::network::{Published, publish};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest boot timeout: a day, in seconds.
pub(super) const MAX_BOOT_TIMEOUT_S: u64 = 86_400;

/// The longest name of a node: that of a DNS label.
const MAX_NODE_NAME: usize = 63;

/// Parses a cluster's name.
///
/// # Errors
/// The text isn't a DNS label of at most [`MAX_NAME`] bytes. The message proposes a similar name if
/// there is one.
pub fn parse_name(text: &str) -> Result<String, ValueError> {
    if is_label(text, MAX_NAME) {
        return Ok(text.into());
    }
    let lower = text.to_lowercase();
    let cleaned: String = lower.chars().map(|letter| if is_label_char(letter) { letter } else { '-' }).collect();
    let proposal = cleaned.trim_matches('-');
    let proposal = is_label(proposal, MAX_NAME).then(|| proposal.to_owned());
    Err(ValueError::ClusterName { text: text.into(), proposal })
}

fn is_label(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.chars().all(is_label_char)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_label_char(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
}

/// Parses a port.
pub(super) fn parse_port(text: &str) -> Result<u16, ValueError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| ValueError::Port(text.into()))
}

/// Parses published ports, separated by commas or spaces.
pub(super) fn parse_published(text: &str) -> Result<Vec<Published>, ValueError> {
    let ports = text.split([',', ' ', '\t']).filter(|port| !port.is_empty()).map(str::parse);
    let ports = ports.collect::<Result<_, _>>().map_err(ValueError::parse)?;
    distinct_published(ports)
}

/// Removes repeated ports.
///
/// # Errors
/// One host port is forwarded to two node ports.
pub(super) fn distinct_published(ports: Vec<Published>) -> Result<Vec<Published>, ValueError> {
    publish::distinct(ports).map_err(ValueError::parse)
}

/// Formats ports as [`parse_published`] reads them.
pub(super) fn show_published(published: &[Published]) -> String {
    published.iter().map(Published::to_string).collect::<Vec<_>>().join(",")
}

/// Parses a truth value.
pub(super) fn parse_bool(text: &str) -> Result<bool, ValueError> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(ValueError::Bool(text.into())),
    }
}

/// Parses a number of seconds.
pub(super) fn parse_seconds(text: &str) -> Result<u64, ValueError> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_BOOT_TIMEOUT_S).contains(seconds));
    seconds.ok_or_else(|| ValueError::Seconds(text.into()))
}

/// Parses the name of a role, a component or a parameter. Whether it exists is checked later.
pub(super) fn parse_word(text: &str) -> Result<String, ValueError> {
    let is_valid = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if text.is_empty() || !text.chars().all(is_valid) {
        return Err(ValueError::Word(text.into()));
    }
    Ok(text.into())
}

/// Separates a node's name from a slot or a component, in keys that apply to this node only:
/// `node-1/cri`.
const NODE_SEPARATOR: char = '/';

/// The key of a slot or a component on one node: `node-1/cri`.
pub fn node_key(node: &str, name: &str) -> String {
    format!("{node}{NODE_SEPARATOR}{name}")
}

/// The node and the name of a [`node_key`]; `None` for a key without a node.
pub fn split_node_key(key: &str) -> Option<(&str, &str)> {
    key.split_once(NODE_SEPARATOR)
}

/// As [`parse_word`], optionally with a node: `node-1/cri`.
pub(super) fn parse_key(text: &str) -> Result<String, ValueError> {
    match split_node_key(text) {
        Some((node, name)) => Ok(node_key(&parse_node(node)?, &parse_word(name)?)),
        None => parse_word(text),
    }
}

/// Parses a node's name.
///
/// # Errors
/// The text isn't a DNS label.
pub fn parse_node(text: &str) -> Result<String, ValueError> {
    if is_label(text, MAX_NODE_NAME) { Ok(text.into()) } else { Err(ValueError::NodeName(text.into())) }
}

/// Parses a number of at least 1.
pub(super) fn parse_count(text: &str) -> Result<u32, ValueError> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| ValueError::Count(text.into()))
}

/// Parses the number of members of a control plane.
///
/// # Errors
/// The text isn't 1, 3, 5 or 7.
pub fn parse_members(text: &str) -> Result<u32, ValueError> {
    let count = parse_count(text)?;
    if count.is_multiple_of(2) || count > 7 {
        return Err(ValueError::Members(text.into()));
    }
    Ok(count)
}

/// Parses names of addons, separated by commas. `none` alone is an empty list.
pub(super) fn parse_addons(text: &str) -> Result<Vec<String>, ValueError> {
    let names: Vec<String> = text.split(',').map(|name| parse_word(name.trim())).collect::<Result<_, _>>()?;
    match names.iter().position(|name| name == NONE) {
        Some(_) if names.len() == 1 => Ok(Vec::new()),
        Some(_) => Err(ValueError::NoneWithNames(text.into())),
        None => Ok(names),
    }
}

/// Formats names as [`parse_addons`] reads them.
pub(super) fn show_addons(names: &[String]) -> String {
    if names.is_empty() { NONE.into() } else { names.join(",") }
}

/// The state of a cluster in which `up` returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// Nodes are Ready and pods can be created. Addons may not be ready yet.
    Node,
    /// All components are ready, including addons.
    #[default]
    All,
}

/// The text isn't a [`WaitFor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `node` nor `all`")]
pub struct UnknownWaitFor(String);

impl FromStr for WaitFor {
    type Err = UnknownWaitFor;

    fn from_str(text: &str) -> Result<Self, UnknownWaitFor> {
        match text {
            "node" => Ok(Self::Node),
            "all" => Ok(Self::All),
            _ => Err(UnknownWaitFor(text.into())),
        }
    }
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Node => "node",
            Self::All => "all",
        })
    }
}
