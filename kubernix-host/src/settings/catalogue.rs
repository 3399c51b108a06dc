//! The components that settings can name, with their roles, parameters and binaries. Settings are
//! checked against it. The caller fills it, because this module must not know any component.

use super::{Error, Key, Origin, Resolved, Row, Settings, Unknown, show, split_node_key};
use crate::text::nearest::{nearest, words};
use kubernix_core::{Binary, Parameter};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The parameter that every component and every binary has: the path of the binary to run.
pub(super) const BINARY: &str = "binary";

/// The parameter that every binary has: `true` allows any version of it.
pub(super) const ANY_VERSION: &str = "any-version";
/// The parameters of binaries.
const BINARY_PARAMETERS: [&str; 2] = [BINARY, ANY_VERSION];
/// Leaves a slot empty, in place of a component's name.
pub const NONE: &str = "none";

/// The names that settings can have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Catalogue {
    /// All components, compiled in or loaded.
    pub components: Vec<Entry>,
    /// All tools of the toolchain, whether a component runs them or not.
    pub tools: Vec<String>,
}

/// The names of a component that settings can have.
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

    /// The binary of `NAME.binary`: the binary of this name or, if there is none, the component's.
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
    /// The binary of `COMPONENT.binary`: the one with the component's name, else its first one.
    fn own_binary(&self) -> Option<&str> {
        let mut tools = self.binaries.iter().filter_map(Binary::tool);
        tools.clone().find(|tool| *tool == self.name).or_else(|| tools.next())
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// Checks settings against a catalogue. The errors of [`Resolved::validate`] have origins as well.
///
/// # Errors
/// A component, role or parameter doesn't exist; a slot is filled by a component that doesn't
/// provide its role; the value of a parameter isn't valid; or a binary has two paths.
pub fn validate(settings: &Settings, catalogue: &Catalogue) -> Result<(), Error> {
    findings(settings, catalogue).into_iter().next().map_or(Ok(()), Err)
}

/// As [`validate`], with every error.
pub(super) fn findings(settings: &Settings, catalogue: &Catalogue) -> Vec<Error> {
    let slots = settings.slots.iter().map(|(role, component)| slot(role, component, catalogue));
    let parameters = settings.components.iter().flat_map(|(component, parameters)| {
        parameters.iter().map(move |(name, value)| {
            parameter(component, name, catalogue)?;
            parameter_value(component, name, value, catalogue)
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
    let (given, role) = (role, split_node_key(role).map_or(role, |(_, role)| role));
    let fillers = catalogue.fillers(role);
    if fillers.is_empty() {
        let hint = match catalogue.get(role) {
            Some(entry) => {
                let provided: Vec<&str> = entry.provides.iter().map(String::as_str).collect();
                format!(": this is a component, which can fill {}", words(&provided))
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
    Err(Error::WrongRole {
        role: given.into(),
        component: component.into(),
        provides: if provided.is_empty() {
            "it provides no role".into()
        } else {
            format!("it provides {}", words(&provided))
        },
        fillers: words(&fillers),
        origin: None,
    })
}

/// Checks the value of an existing parameter.
fn parameter_value(component: &str, name: &str, value: &str, catalogue: &Catalogue) -> Result<(), Error> {
    let entry = catalogue.get(split_node_key(component).map_or(component, |(_, component)| component));
    let Some(Err(reason)) = entry.and_then(|entry| entry.parameter(name)).map(|parameter| parameter.check(value))
    else {
        return Ok(());
    };
    let key = Key::Parameter(component.into(), name.into()).to_string();
    Err(Error::Parameter { component: component.into(), reason, key, origin: None })
}

fn parameter(component: &str, name: &str, catalogue: &Catalogue) -> Result<(), Error> {
    let key = Key::Parameter(component.into(), name.into());
    let on_node = split_node_key(component);
    let component = on_node.map_or(component, |(_, component)| component);
    if on_node.is_some() && BINARY_PARAMETERS.contains(&name) {
        let hint = format!(" of a single node: all nodes run the same binary, give `{component}.{name}`");
        return Err(unknown(Unknown::Parameter, name, &key, hint));
    }
    let is_binary = catalogue.binaries().any(|binary| binary == component);
    let Some(entry) = catalogue.get(component) else {
        if is_binary && BINARY_PARAMETERS.contains(&name) {
            return Ok(());
        }
        if is_binary {
            let hint = format!(" of the binary `{component}`{}", nearest(name, BINARY_PARAMETERS));
            return Err(unknown(Unknown::Parameter, name, &key, hint));
        }
        let binaries = catalogue.binaries().filter(|_| BINARY_PARAMETERS.contains(&name));
        let hint = nearest(component, catalogue.names().chain(binaries));
        return Err(unknown(Unknown::Component, component, &key, hint));
    };
    let has_binary = is_binary || !entry.binaries.is_empty();
    let known = entry
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .chain(BINARY_PARAMETERS.into_iter().filter(|_| has_binary));
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    Err(unknown(Unknown::Parameter, name, &key, format!(" of `{component}`{}", nearest(name, known))))
}

/// The paths that replace binaries of the toolchain, by toolchain name. `NAME.binary` is the binary
/// of this name or, if there is none, the component's.
///
/// # Errors
/// A binary has two paths.
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

/// The binaries that may have any version, by toolchain name. They are named as in
/// [`binary_overrides`].
pub fn any_version_binaries(settings: &Settings, catalogue: &Catalogue) -> BTreeSet<String> {
    let is_any = |parameters: &BTreeMap<String, String>| parameters.get(ANY_VERSION).is_some_and(|v| v == "true");
    let named = settings.components.iter().filter(|(_, parameters)| is_any(parameters));
    named.filter_map(|(name, _)| catalogue.binary_of(name).map(str::to_owned)).collect()
}

/// As [`show`], with all other parameters of components and their defaults.
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

/// The arguments of `--set` for completion: each component for its roles, and each parameter with
/// its valid values. A parameter whose values can't be listed has none.
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
