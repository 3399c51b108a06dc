//! The default addons, and the roles of addons that are chosen by name.

use super::GraphError;
use crate::plugins::{Components, Registered};
use crate::settings::NONE;
use kubernix_core::{Phase, roles};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The default addons, by role. `--addons` replaces them.
pub const DEFAULT_ADDONS: &[(&str, &str)] =
    &[(roles::DNS, "coredns"), (roles::METRICS, NONE), (roles::STORAGE, NONE), (roles::REGISTRY, NONE)];

/// The roles without which there are no default addons.
const NEEDED: [&str; 3] = [roles::APISERVER, roles::KUBELET, roles::NODE];

/// Extends the slots of the settings with the addons chosen by name: each fills all roles that it
/// provides, and the remaining roles of addons stay empty.
///
/// # Errors
/// There is no addon of a name, or two of them fill one role.
pub fn with_addons(
    components: &Components,
    slots: &BTreeMap<String, String>,
    addons: Option<&[String]>,
) -> Result<BTreeMap<String, String>, GraphError> {
    let mut all = slots.clone();
    let Some(addons) = addons else {
        // Addons consist of objects of the API, and their pods run on nodes: without an API server
        // or without nodes, there are no default ones.
        if NEEDED.iter().any(|role| slots.get(*role).is_some_and(|name| name == NONE)) {
            all.extend(
                DEFAULT_ADDONS
                    .iter()
                    .filter(|(role, _)| !slots.contains_key(*role))
                    .map(|(role, _)| ((*role).to_owned(), NONE.to_owned())),
            );
        }
        return Ok(all);
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &[(&str, &str)]) -> BTreeMap<String, String> {
        text.iter().map(|(role, name)| ((*role).to_owned(), (*name).to_owned())).collect()
    }

    #[test]
    fn default_addons_need_an_api_server_and_nodes() {
        let chosen = |given| with_addons(&[], &slots(given), None).unwrap();
        assert_eq!(chosen(&[("cri", "crio")]), slots(&[("cri", "crio")]));
        let without = chosen(&[("apiserver", NONE), (roles::METRICS, "own")]);
        assert_eq!((&*without[roles::DNS], &*without[roles::METRICS]), (NONE, "own"));
        assert_eq!(chosen(&[("kubelet", NONE)])[roles::DNS], NONE);
    }
}
