//! What there is to be set: components, the roles they fill, their parameters and binaries. Filled
//! by the caller, which knows the components; this module only checks against it.

use super::{Error, Key, Origin, Resolved, Row, Settings, Unknown, node_of, show};
use crate::text::nearest::{nearest, words};
use kubernix_core::{Binary, Parameter};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The parameter that every component and every binary has: the path of the binary to run.
pub(super) const BINARY: &str = "binary";

/// The parameter that every binary has: `true` lets it be of any version.
pub(super) const ANY_VERSION: &str = "any-version";
/// All parameters that binaries have.
const OF_BINARIES: [&str; 2] = [BINARY, ANY_VERSION];
/// What leaves a slot empty, in place of a component's name.
pub const NONE: &str = "none";

/// What there is to be set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Catalogue {
    /// All components, compiled in or loaded.
    pub components: Vec<Entry>,
    /// All tools that the toolchain knows: binaries that no component has to name.
    pub tools: Vec<String>,
}

/// A component, as far as settings go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name: `crio`.
    pub name: String,
    /// The roles that it can fill.
    pub provides: Vec<String>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The binaries that it runs, its own first.
    pub binaries: Vec<Binary>,
}

impl Catalogue {
    /// The component of this name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.components.iter().find(|entry| entry.name == name)
    }

    /// The components that can fill a role, by name.
    pub fn fillers(&self, role: &str) -> Vec<&str> {
        let fits = |entry: &&Entry| entry.provides.iter().any(|provided| provided == role);
        self.components.iter().filter(fits).map(|entry| entry.name.as_str()).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(|entry| entry.name.as_str())
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.components.iter().flat_map(|entry| entry.provides.iter().map(String::as_str))
    }

    /// The binary that `NAME.binary` means: that of the name, where there is one, else the
    /// component's.
    pub(super) fn binary_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let is_binary = self.binaries().any(|binary| binary == name);
        is_binary.then_some(name).or_else(|| self.get(name).and_then(Entry::own_binary))
    }

    pub(super) fn binaries(&self) -> impl Iterator<Item = &str> {
        let named = self.components.iter().flat_map(|entry| entry.binaries.iter().filter_map(Binary::tool));
        named.chain(self.tools.iter().map(String::as_str))
    }
}

impl Entry {
    /// The binary that `COMPONENT.binary` means: the one of the component's own name, else its
    /// first.
    fn own_binary(&self) -> Option<&str> {
        let mut tools = self.binaries.iter().filter_map(Binary::tool);
        tools.clone().find(|tool| *tool == self.name).or_else(|| tools.next())
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// Checks settings against what there is. [`Resolved::validate`] says as well where a wrong value
/// came from.
///
/// # Errors
/// A component, role or parameter that there isn't, with the nearest that there is; a slot filled
/// by a component that doesn't provide its role; a parameter whose value doesn't fit; one binary
/// with two paths.
pub fn validate(settings: &Settings, catalogue: &Catalogue) -> Result<(), Error> {
    findings(settings, catalogue).into_iter().next().map_or(Ok(()), Err)
}

/// As [`validate`], with every error.
pub(super) fn findings(settings: &Settings, catalogue: &Catalogue) -> Vec<Error> {
    let slots = settings.slots.iter().map(|(role, component)| slot(role, component, catalogue));
    let parameters = settings.components.iter().flat_map(|(component, parameters)| {
        parameters.iter().map(move |(name, value)| {
            parameter(component, name, catalogue)?;
            value_of(component, name, value, catalogue)
        })
    });
    let binaries = binary_overrides(settings, catalogue).map(drop);
    slots.chain(parameters).chain([binaries]).filter_map(Result::err).collect()
}

fn unknown(what: Unknown, name: &str, key: &Key, hint: String) -> Error {
    Error::Unknown { what, name: name.into(), key: key.to_string(), hint, origin: None }
}

fn slot(role: &str, component: &str, catalogue: &Catalogue) -> Result<(), Error> {
    let key = Key::Slot(role.into());
    let (given, role) = (role, node_of(role).map_or(role, |(_, role)| role));
    let fillers = catalogue.fillers(role);
    if fillers.is_empty() {
        let hint = match catalogue.get(role) {
            Some(entry) => {
                let provided: Vec<&str> = entry.provides.iter().map(String::as_str).collect();
                format!(": that is a component, which can fill {}", words(&provided))
            }
            None => nearest(role, catalogue.roles()),
        };
        return Err(unknown(Unknown::Role, role, &key, hint));
    }
    if component == NONE {
        return Ok(());
    }
    let Some(entry) = catalogue.get(component) else {
        return Err(unknown(Unknown::Component, component, &key, nearest(component, catalogue.names())));
    };
    if fillers.contains(&component) {
        return Ok(());
    }
    let provided: Vec<&str> = entry.provides.iter().map(String::as_str).collect();
    Err(Error::Unfit {
        role: given.into(),
        component: component.into(),
        provides: if provided.is_empty() {
            "it fills none".into()
        } else {
            format!("it provides {}", words(&provided))
        },
        fillers: words(&fillers),
        origin: None,
    })
}

/// Checks the value of a parameter, given that there is such a parameter.
fn value_of(component: &str, name: &str, value: &str, catalogue: &Catalogue) -> Result<(), Error> {
    let entry = catalogue.get(node_of(component).map_or(component, |(_, component)| component));
    let Some(Err(error)) = entry.and_then(|entry| entry.parameter(name)).map(|parameter| parameter.check(value)) else {
        return Ok(());
    };
    let key = Key::Parameter(component.into(), name.into()).to_string();
    Err(Error::Parameter { component: component.into(), reason: error.to_string(), key, origin: None })
}

fn parameter(component: &str, name: &str, catalogue: &Catalogue) -> Result<(), Error> {
    let key = Key::Parameter(component.into(), name.into());
    let of_node = node_of(component);
    let component = of_node.map_or(component, |(_, component)| component);
    if of_node.is_some() && OF_BINARIES.contains(&name) {
        let hint = format!(" of one node alone: all nodes run the same, give `{component}.{name}`");
        return Err(unknown(Unknown::Parameter, name, &key, hint));
    }
    let is_binary = catalogue.binaries().any(|binary| binary == component);
    let Some(entry) = catalogue.get(component) else {
        if is_binary && OF_BINARIES.contains(&name) {
            return Ok(());
        }
        if is_binary {
            let hint = format!(" of the binary `{component}`{}", nearest(name, OF_BINARIES));
            return Err(unknown(Unknown::Parameter, name, &key, hint));
        }
        let binaries = catalogue.binaries().filter(|_| OF_BINARIES.contains(&name));
        let hint = nearest(component, catalogue.names().chain(binaries));
        return Err(unknown(Unknown::Component, component, &key, hint));
    };
    let has_binary = is_binary || !entry.binaries.is_empty();
    let known = entry
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .chain(OF_BINARIES.into_iter().filter(|_| has_binary));
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    Err(unknown(Unknown::Parameter, name, &key, format!(" of `{component}`{}", nearest(name, known))))
}

/// The paths that replace binaries of the toolchain, by toolchain name. `NAME.binary` means the
/// binary of that name where there is one, else the component's.
///
/// # Errors
/// One binary with two paths.
pub fn binary_overrides(settings: &Settings, catalogue: &Catalogue) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut paths = BTreeMap::<String, PathBuf>::new();
    for (name, parameters) in &settings.components {
        let Some(path) = parameters.get(BINARY).map(PathBuf::from) else { continue };
        let Some(binary) = catalogue.binary_of(name) else { continue };
        match paths.insert(binary.into(), path.clone()) {
            Some(first) if first != path => {
                let key = Key::Parameter(name.clone(), BINARY.into()).to_string();
                return Err(Error::TwoBinaries { binary: binary.into(), first, second: path, key, origin: None });
            }
            _ => {}
        }
    }
    Ok(paths)
}

/// The binaries, by toolchain name, that may be of any version; named as in [`binary_overrides`].
pub fn of_any_version(settings: &Settings, catalogue: &Catalogue) -> BTreeSet<String> {
    let asked =
        settings.components.iter().filter(|(_, parameters)| parameters.get(ANY_VERSION).is_some_and(|v| v == "true"));
    asked.filter_map(|(name, _)| catalogue.binary_of(name).map(str::to_owned)).collect()
}

/// As [`show`], and every parameter that components declare with its default.
pub fn show_all(resolved: &Resolved, catalogue: &Catalogue) -> Vec<Row> {
    let mut rows = show(resolved);
    for entry in &catalogue.components {
        for parameter in &entry.parameters {
            let key = Key::Parameter(entry.name.clone(), parameter.name.clone()).to_string();
            let fits = parameter.kind.to_string();
            match rows.iter_mut().find(|row| row.key == key) {
                Some(row) => row.fits = fits,
                None => rows.push(Row { key, value: parameter.default.clone(), origin: Origin::Default, fits }),
            }
        }
    }
    rows
}

/// Forms of `--set` that can be listed: each component for its roles, and each parameter with the
/// values that fit. A parameter whose values can't be listed is there without one.
pub fn set_forms(catalogue: &Catalogue) -> Vec<String> {
    let mut forms = Vec::new();
    for entry in &catalogue.components {
        forms.extend(entry.provides.iter().map(|role| format!("{role}={}", entry.name)));
        for parameter in &entry.parameters {
            let form = |value: &str| format!("{}.{}={value}", entry.name, parameter.name);
            let values = parameter.kind.values();
            if values.is_empty() {
                forms.push(form(""));
            }
            forms.extend(values.into_iter().map(form));
        }
    }
    forms
}
