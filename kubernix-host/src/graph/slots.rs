//! Which component fills which role. The one place that knows defaults.

use super::GraphError;
use crate::plugins::{Components, Registered};
use crate::spec::{Catalogue, Entry, NONE};
use kubernix_core::{Phase, Role, roles};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who fills a role that more than one component could fill, unless the config says otherwise.
pub const DEFAULT_SLOTS: &[(&str, &str)] = &[("datastore", "etcd"), ("cri", "crio"), ("proxy", "proxy")];

/// The same for what runs in the cluster: what `--addons` names in place of these.
pub const DEFAULT_ADDONS: &[(&str, &str)] =
    &[(roles::DNS, "coredns"), (roles::METRICS, NONE), (roles::STORAGE, NONE), (roles::REGISTRY, NONE)];

/// What there is to choose from, for checking the config and for help. `tools` are those of the toolchain.
pub fn catalogue(components: &Components, tools: Vec<String>) -> Catalogue {
    let entry = |component: &Arc<Registered>| {
        let said = &component.description;
        let parameters = said.parameters.iter();
        Entry {
            name: said.name.clone(),
            provides: said.provides.iter().map(ToString::to_string).collect(),
            binaries: said.binaries.clone(),
            parameters: parameters.map(|p| (p.name.clone(), p.help.clone(), p.default.clone())).collect(),
        }
    };
    Catalogue { components: components.iter().map(entry).collect(), tools }
}

/// The slots as the config says them, and addons by name: every role of an addon of the tree is that one's, and those of the
/// others are empty.
///
/// # Errors
/// There is no such component, it is no addon, or two of them fill one role.
pub fn with_addons(
    components: &Components,
    slots: &BTreeMap<String, String>,
    addons: Option<&[String]>,
) -> Result<BTreeMap<String, String>, GraphError> {
    let mut all = slots.clone();
    let Some(addons) = addons else { return Ok(all) };
    let mut by_addons = BTreeMap::<String, &str>::new();
    for name in addons {
        let is_addon = |component: &&Arc<Registered>| component.description.phase == Phase::ADDON;
        let Some(component) = components.iter().filter(is_addon).find(|component| component.name() == name) else {
            let candidates = components.iter().filter(is_addon).map(|component| component.name().to_owned()).collect();
            return Err(GraphError::NoAddon { name: name.clone(), candidates });
        };
        for role in &component.description.provides {
            if let Some(other) = by_addons.insert(role.to_string(), name).filter(|other| other != name) {
                let candidates = vec![other.to_owned(), name.clone()];
                return Err(GraphError::Ambiguous { role: role.to_string(), candidates });
            }
        }
    }
    for (role, _) in DEFAULT_ADDONS {
        by_addons.entry((*role).to_owned()).or_insert(NONE);
    }
    for (role, name) in by_addons {
        all.entry(role).or_insert_with(|| name.to_owned());
    }
    Ok(all)
}

/// The component, by index, that fills each role.
pub(super) fn choose(
    components: &Components,
    slots: &BTreeMap<String, String>,
) -> Result<BTreeMap<Role, usize>, GraphError> {
    let mut by_name = BTreeMap::new();
    let mut providers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, component) in components.iter().enumerate() {
        for role in &component.description.provides {
            providers.entry(role.to_string()).or_default().push(index);
        }
        if by_name.insert(component.name(), index).is_some() {
            return Err(GraphError::Duplicate(component.name().to_owned()));
        }
    }
    let names = |indices: &[usize]| indices.iter().map(|i| components[*i].name().to_string()).collect::<Vec<_>>();
    let mut chosen = BTreeMap::new();
    for (role, wanted) in slots {
        let fitting = providers.get(role).map(Vec::as_slice).unwrap_or_default();
        let (role, component) = (role.clone(), wanted.clone());
        match by_name.get(wanted.as_str()) {
            _ if wanted == NONE => {}
            None => return Err(GraphError::Unknown { role, component, candidates: names(fitting) }),
            Some(index) if !fitting.contains(index) => {
                return Err(GraphError::Unfit { role, component, candidates: names(fitting) });
            }
            Some(index) => {
                chosen.insert(Role::new(role), *index);
            }
        }
    }
    for (role, fitting) in providers {
        if slots.contains_key(&role) {
            continue;
        }
        let default = DEFAULT_SLOTS.iter().chain(DEFAULT_ADDONS).find(|(r, _)| *r == role).map(|(_, name)| *name);
        if default == Some(NONE) {
            continue;
        }
        let default = default.and_then(|name| by_name.get(name));
        let index = match (default, fitting.as_slice()) {
            (Some(index), _) => *index,
            (None, [only]) => *only,
            (None, several) => return Err(GraphError::Ambiguous { candidates: names(several), role }),
        };
        chosen.insert(Role::new(role), index);
    }
    Ok(chosen)
}

/// Every role with the component that fills it; those that are left empty on purpose with `none`.
///
/// # Errors
/// A slot is filled by what doesn't fit.
pub fn filled(
    components: &Components,
    slots: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, GraphError> {
    let mut filled = slots.clone();
    for (role, index) in choose(components, slots)? {
        filled.insert(role.to_string(), components[index].name().to_owned());
    }
    Ok(filled)
}

/// The components that fill at least one role.
///
/// # Errors
/// A slot is filled by what doesn't fit.
pub fn used<'c>(
    components: &'c Components,
    slots: &BTreeMap<String, String>,
) -> Result<Vec<&'c Registered>, GraphError> {
    let indices: std::collections::BTreeSet<usize> = choose(components, slots)?.into_values().collect();
    Ok(indices.into_iter().map(|index| &*components[index]).collect())
}
