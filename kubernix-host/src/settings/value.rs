//! Single values as text, from any origin: the same rules and words for flags, variables and
//! files.

use super::{MAX_NAME, NONE};
use crate::network::{Published, publish};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest boot timeout: a day, in seconds.
pub(super) const MAX_BOOT_TIMEOUT_S: u64 = 86_400;

/// Reads a cluster's name.
///
/// # Errors
/// It isn't a DNS label of at most [`MAX_NAME`] bytes; the message proposes one if it can.
pub fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let fits = |name: &str| {
        !name.is_empty()
            && name.len() <= MAX_NAME
            && name.chars().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    if fits(text) {
        return Ok(text.into());
    }
    let cleaned: String =
        text.to_lowercase().chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
    let proposal = cleaned.trim_matches('-');
    let hint = if fits(proposal) { format!(", `{proposal}` would do") } else { String::new() };
    Err(format!("`{text}` can't name a cluster: use at most {MAX_NAME} of a-z, 0-9 and -, with a - only inside{hint}"))
}

/// Reads a port.
pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("`{text}` is not a port, give a number from 1 to 65535"))
}

/// Reads published ports, separated by commas or spaces.
pub(super) fn parse_published(text: &str) -> Result<Vec<Published>, String> {
    let ports = text.split([',', ' ', '\t']).filter(|port| !port.is_empty()).map(str::parse);
    let ports = ports.collect::<Result<_, publish::PublishError>>().and_then(publish::distinct);
    ports.map_err(|error| error.to_string())
}

/// As [`parse_published`] reads them.
pub(super) fn show_published(published: &[Published]) -> String {
    published.iter().map(Published::to_string).collect::<Vec<_>>().join(",")
}

/// Reads what images' names begin with: a registry's host, with its port and a path where there
/// are.
pub(super) fn parse_registry(text: &str) -> Result<String, String> {
    let host = text.split('/').next().unwrap_or(text);
    // Anything else is a repository's name, as in references to images.
    if !is_place(text) || !(host.contains(['.', ':']) || host == "localhost") {
        return Err(format!(
            "`{text}` is not a registry: give what images' names begin with, as in docker.io or registry.example:5000/team"
        ));
    }
    Ok(text.into())
}

/// Whether a text is a host, with a port and a path where there are.
fn is_place(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, "path"));
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let plain = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let fits = |text: &str, more: &str| !text.is_empty() && plain(text, more);
    fits(name, "-.") && port.parse::<u16>().is_ok() && fits(path, "-._/") && !path.ends_with('/')
}

/// Reads URLs of registries, separated by commas or spaces.
pub(super) fn parse_mirrors(text: &str) -> Result<Vec<String>, String> {
    let urls: Vec<&str> = text.split([',', ' ', '\t']).filter(|url| !url.is_empty()).collect();
    if urls.is_empty() {
        return Err("there is no mirror: give URLs, as in https://mirror.example".into());
    }
    urls.into_iter().map(mirror).collect()
}

fn mirror(url: &str) -> Result<String, String> {
    let refused = |why: &str| Err(format!("`{url}` {why}"));
    let Some((scheme, rest)) = url.split_once("://") else {
        return refused("is not a URL, write it with its scheme: https://mirror.example");
    };
    if !["http", "https"].contains(&scheme) {
        return refused("has a scheme that registries don't speak: use http:// or https://");
    }
    if rest.contains(['@', '?', '#']) {
        return refused("has more than host, port and path, which is all that a mirror can have");
    }
    let place = rest.trim_end_matches('/');
    if is_place(place) {
        Ok(format!("{scheme}://{place}"))
    } else {
        refused("doesn't name a host, as https://mirror.example does")
    }
}

/// Reads yes or no.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// Reads a number of seconds.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_BOOT_TIMEOUT_S).contains(seconds));
    seconds.ok_or_else(|| format!("`{text}` is not a number of seconds from 1 to {MAX_BOOT_TIMEOUT_S}"))
}

/// The name of a role, component or parameter: what is left to say about one that nothing has.
pub(super) fn parse_word(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if text.is_empty() || !text.chars().all(fits) {
        return Err(format!("`{text}` is not a name: use letters, digits and -"));
    }
    Ok(text.into())
}

/// Separates a node's name from the slot, or the component, that is meant on it alone:
/// `node-1/cri`.
const OF_NODE: char = '/';

/// A slot's or a component's name, as it is written for one node alone.
pub fn of_node(node: &str, name: &str) -> String {
    format!("{node}{OF_NODE}{name}")
}

/// The node and the name of what is meant on one node alone.
pub fn node_of(key: &str) -> Option<(&str, &str)> {
    key.split_once(OF_NODE)
}

/// As [`parse_word`], with or without a node before it.
pub(super) fn parse_place(text: &str) -> Result<String, String> {
    match node_of(text) {
        Some((node, name)) => Ok(of_node(&parse_node(node)?, &parse_word(name)?)),
        None => parse_word(text),
    }
}

/// Reads a node's name.
///
/// # Errors
/// It isn't a DNS label.
pub fn parse_node(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if text.is_empty() || text.len() > 63 || !text.chars().all(allowed) || text.starts_with('-') || text.ends_with('-')
    {
        return Err(format!("`{text}` can't name a node: use at most 63 of a-z, 0-9 and -, with a - only inside"));
    }
    Ok(text.into())
}

/// Reads how many there are to be of something: 1 or more.
pub(super) fn parse_count(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("`{text}` is not a number from 1 upwards"))
}

/// Reads how many members a control plane has.
///
/// # Errors
/// It is none of 1, 3, 5 and 7.
pub fn parse_members(text: &str) -> Result<u32, String> {
    let count = parse_count(text)?;
    if count.is_multiple_of(2) || count > 7 {
        return Err(format!(
            "`{text}` control planes: give 1, 3, 5 or 7, of which a majority has to live; one more of an even number bears no more losses"
        ));
    }
    Ok(count)
}

/// An absolute path, of one that is relative to a directory; `~/` is the home directory. Components
/// and `kubernix.toml` hold paths as text, so it has to be UTF-8.
pub(super) fn absolute(path: &Path, directory: &Path, home: Option<&Path>) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Err("a path can't be empty".into());
    }
    let whole = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => directory.join(path),
    };
    let whole = std::path::absolute(&whole).map_err(|cause| format!("`{}`: {cause}", path.display()))?;
    if whole.to_str().is_none() {
        return Err(format!("`{}` is not UTF-8", path.display()));
    }
    Ok(whole)
}

/// The text of a `binary` parameter as [`absolute`] would have it.
pub(super) fn absolute_text(text: &str, directory: &Path, home: Option<&Path>) -> Result<String, String> {
    Ok(absolute(Path::new(text), directory, home)?.to_string_lossy().into_owned())
}
/// Paths separated by colons, as in PATH.
pub(super) fn parse_paths(text: &str) -> Vec<PathBuf> {
    std::env::split_paths(text).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// Paths as [`parse_paths`] reads them.
pub(super) fn show_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":")
}

/// Names of addons, separated by commas; `none` alone is an empty list.
pub(super) fn parse_addons(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| parse_word(name.trim())).collect::<Result<_, _>>()?;
    match names.iter().position(|name| name == NONE) {
        Some(_) if names.len() == 1 => Ok(Vec::new()),
        Some(_) => Err(format!("`{text}`: `{NONE}` stands alone")),
        None => Ok(names),
    }
}

/// As [`parse_addons`] reads it.
pub(super) fn show_addons(names: &[String]) -> String {
    if names.is_empty() { NONE.into() } else { names.join(",") }
}

/// How far a boot has come when `up` returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// Nodes are Ready and pods can be made; addons follow.
    Node,
    /// All components are ready, addons as well.
    #[default]
    All,
}

impl FromStr for WaitFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "node" => Ok(Self::Node),
            "all" => Ok(Self::All),
            _ => Err(format!("`{text}` is neither `node` nor `all`")),
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
