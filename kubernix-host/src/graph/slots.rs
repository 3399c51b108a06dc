//! Chooses the component that fills each role. The only module that knows the defaults.

use super::GraphError;
use super::addons::DEFAULT_ADDONS;
use crate::plugins::{Components, Registered};
use crate::settings::{self, Catalogue, Entry, NONE};
use kubernix_core::abi::Description;
use kubernix_core::{Phase, Role, Scope, roles};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The default components of roles that several components can fill. For other roles it is the
/// component with the role's name.
pub const DEFAULT_SLOTS: &[(&str, &str)] = &[(roles::DATASTORE, "etcd"), (roles::CRI, "crio")];

/// The possible values of settings, for their validation and for help. `tools` are those of the
/// toolchain.
pub fn catalogue(components: &Components, tools: Vec<String>) -> Catalogue {
    let entry = |component: &Arc<Registered>| {
        let description = &component.description;
        Entry {
            name: description.name.clone(),
            provides: description.provides.iter().map(ToString::to_string).collect(),
            binaries: description.binaries.clone(),
            parameters: description.parameters.clone(),
        }
    };
    Catalogue { components: components.iter().map(entry).collect(), tools }
}

/// The index of the component that fills each role.
type Chosen = BTreeMap<Role, usize>;

/// The components that fill the roles, with the exceptions of single nodes.
pub(super) struct Choice {
    common: Chosen,
    nodes: BTreeMap<String, Chosen>,
}

impl Choice {
    /// The components that fill the roles on a node, or in the control plane.
    pub fn at(&self, node: Option<&str>) -> &Chosen {
        node.and_then(|node| self.nodes.get(node)).unwrap_or(&self.common)
    }

    /// The components that fill at least one role, anywhere.
    pub fn used(&self) -> BTreeSet<usize> {
        self.nodes.values().chain([&self.common]).flat_map(BTreeMap::values).copied().collect()
    }
}

/// Chooses the components of the whole cluster, and of each of these nodes that has its own slots.
pub(super) fn choose<'n>(
    components: &Components,
    slots: &BTreeMap<String, String>,
    nodes: impl IntoIterator<Item = &'n str>,
) -> Result<Choice, GraphError> {
    let common: BTreeMap<String, String> = slots
        .iter()
        .filter(|(role, _)| settings::split_node_key(role).is_none())
        .map(|(r, c)| (r.clone(), c.clone()))
        .collect();
    let mut choice = Choice { common: choose_in(components, &common)?, nodes: BTreeMap::new() };
    check_node_slots(components, slots)?;
    for node in nodes {
        let own = slots.iter().filter_map(|(slot, component)| match settings::split_node_key(slot) {
            Some((name, role)) if name == node => Some((role, component)),
            _ => None,
        });
        let mut all = common.clone();
        all.extend(own.map(|(role, component)| (role.to_owned(), component.clone())));
        if all != common {
            choice.nodes.insert(node.to_owned(), choose_in(components, &all)?);
        }
    }
    Ok(choice)
}

/// Checks that slots of single nodes name components of the scope `node`: a node can't have another
/// component than the others if the cluster has only one instance of it.
fn check_node_slots(components: &Components, slots: &BTreeMap<String, String>) -> Result<(), GraphError> {
    let node_slots =
        slots.iter().filter_map(|(slot, component)| Some((slot, settings::split_node_key(slot)?.1, component)));
    for (slot, role, component) in node_slots.filter(|(.., component)| *component != NONE) {
        let fitting = components.iter().filter(|one| one.description.scope == Scope::NODE && one.provides(role));
        let candidates: Vec<String> = fitting.map(|one| one.name().to_owned()).collect();
        if !candidates.contains(component) {
            return Err(GraphError::Unfit { role: slot.clone(), component: component.clone(), candidates });
        }
    }
    Ok(())
}

fn choose_in(components: &Components, slots: &BTreeMap<String, String>) -> Result<Chosen, GraphError> {
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
                if let Some(disabled) = disabled_role(&components[*index].description, slots) {
                    return Err(GraphError::Conflict { role: disabled.to_owned(), component, other: role });
                }
                chosen.insert(Role::new(role), *index);
            }
        }
    }
    for (role, mut fitting) in providers {
        if slots.contains_key(&role) {
            continue;
        }
        // A component runs with all its roles or not at all.
        fitting.retain(|index| disabled_role(&components[*index].description, slots).is_none());
        let default = DEFAULT_SLOTS.iter().chain(DEFAULT_ADDONS).find(|(r, _)| *r == role).map(|(_, name)| *name);
        if default == Some(NONE) {
            continue;
        }
        let default = by_name.get(default.unwrap_or(&role)).filter(|index| fitting.contains(index));
        let index = match (default, fitting.as_slice()) {
            (Some(index), _) => *index,
            (None, [only]) => *only,
            (None, []) => continue,
            (None, several) => return Err(GraphError::Ambiguous { candidates: names(several), role }),
        };
        chosen.insert(Role::new(role), index);
    }
    Ok(chosen)
}

/// A role of the component that is set to `none`, which disables the component. `--addons` sets the
/// roles of all addons that it doesn't name to `none`, so these roles disable only addons.
fn disabled_role<'d>(component: &'d Description, slots: &BTreeMap<String, String>) -> Option<&'d str> {
    let is_addon_role = |role: &str| DEFAULT_ADDONS.iter().any(|(addon, _)| *addon == role);
    let counts = |role: &&str| component.phase == Phase::ADDON || !is_addon_role(role);
    let mut roles = component.provides.iter().map(Role::as_str).filter(counts);
    roles.find(|role| slots.get(*role).is_some_and(|component| component == NONE))
}

/// Every role with the component that fills it, or with `none` if it was set so.
///
/// # Errors
/// The component of a slot doesn't fit.
pub fn filled(
    components: &Components,
    slots: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, GraphError> {
    let mut filled = slots.clone();
    for (role, index) in choose(components, slots, [])?.common {
        filled.insert(role.to_string(), components[index].name().to_owned());
    }
    Ok(filled)
}

/// The component that fills a role on a node, from the result of [`filled`]. Empty if there is
/// none.
pub fn on_node(filled: &BTreeMap<String, String>, node: &str, role: &str) -> String {
    filled.get(&settings::node_key(node, role)).or_else(|| filled.get(role)).cloned().unwrap_or_default()
}

/// The components that fill at least one role, on one of these nodes or in the control plane.
///
/// # Errors
/// The component of a slot doesn't fit.
pub fn used<'c, 'n>(
    components: &'c Components,
    slots: &BTreeMap<String, String>,
    nodes: impl IntoIterator<Item = &'n str>,
) -> Result<Vec<&'c Registered>, GraphError> {
    let used = choose(components, slots, nodes)?.used();
    Ok(used.into_iter().map(|index| &*components[index]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Component, Context, Planner, abi};

    /// A component with this name and phase that provides these roles.
    struct Provides(&'static str, Phase, &'static [&'static str]);

    impl Component for Provides {
        fn name(&self) -> &str {
            self.0
        }

        fn phase(&self) -> Phase {
            self.1
        }

        fn scope(&self) -> Scope {
            if self.1 == Phase::NODE_AGENT { Scope::NODE } else { Scope::CLUSTER }
        }

        fn provides(&self) -> Vec<Role> {
            self.2.iter().map(|role| (*role).into()).collect()
        }

        fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> kubernix_core::Result<()> {
            Ok(())
        }
    }

    fn components() -> Vec<Arc<Registered>> {
        let all = [
            Provides("etcd", Phase::INFRASTRUCTURE, &["datastore", roles::METRICS]),
            Provides("kubelet", Phase::NODE_AGENT, &["kubelet", "node"]),
            Provides("proxy", Phase::NODE_AGENT, &["proxy"]),
        ];
        all.into_iter().map(|one| Registered::built_in(abi::component(one)).unwrap()).collect()
    }

    fn slots(text: &[(&str, &str)]) -> BTreeMap<String, String> {
        text.iter().map(|(role, name)| ((*role).to_owned(), (*name).to_owned())).collect()
    }

    fn names(components: &Components, given: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let used = used(components, &slots(given), []).map_err(|error| error.to_string())?;
        Ok(used.into_iter().map(|component| component.name().to_owned()).collect())
    }

    #[test]
    fn none_disables_a_component_with_several_roles() {
        let all = components();
        assert_eq!(names(&all, &[]).unwrap(), ["etcd", "kubelet", "proxy"]);
        for role in ["kubelet", "node"] {
            assert_eq!(names(&all, &[(role, NONE)]).unwrap(), ["etcd", "proxy"]);
            let filled = filled(&all, &slots(&[(role, NONE)])).unwrap();
            assert_eq!(["kubelet", "node"].map(|other| filled.get(other).map_or(NONE, |name| name)), [NONE, NONE]);
        }
    }

    #[test]
    fn none_of_a_node_disables_the_component_on_that_node_only() {
        let choice = choose(&components(), &slots(&[("node-1/kubelet", NONE)]), ["node-0", "node-1"]).unwrap();
        let roles = |node: &str| choice.at(Some(node)).keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(roles("node-0"), ["datastore", "kubelet", "node", "proxy"]);
        assert_eq!(roles("node-1"), ["datastore", "proxy"]);
    }

    #[test]
    fn none_is_rejected_if_another_slot_names_the_component() {
        let error = names(&components(), &[("kubelet", NONE), ("node", "kubelet")]).unwrap_err();
        assert!(
            error.starts_with("role `kubelet` is set to `none`, but `kubelet` provides it and is set to fill `node`")
        );
        assert!(error.ends_with("set `node` to `none` or to another component, or leave `kubelet` out"), "{error}");
    }

    #[test]
    fn another_component_fills_a_role_of_a_disabled_component() {
        let mut all = components();
        all.push(Registered::built_in(abi::component(Provides("simulated", Phase::NODE_AGENT, &["node"]))).unwrap());
        assert_eq!(names(&all, &[("kubelet", NONE)]).unwrap(), ["etcd", "proxy", "simulated"]);
    }

    #[test]
    fn the_default_is_the_component_with_the_roles_name() {
        let mut all = components();
        all.push(Registered::built_in(abi::component(Provides("other", Phase::NODE_AGENT, &["proxy"]))).unwrap());
        assert_eq!(filled(&all, &slots(&[])).unwrap()["proxy"], "proxy");
        assert_eq!(filled(&all, &slots(&[("proxy", "other")])).unwrap()["proxy"], "other");
        all.retain(|component| component.name() != "proxy");
        all.push(Registered::built_in(abi::component(Provides("third", Phase::NODE_AGENT, &["proxy"]))).unwrap());
        let error = filled(&all, &slots(&[])).unwrap_err().to_string();
        assert_eq!(error, "role `proxy` can be filled by other, third: choose one with `--set proxy=COMPONENT`");
    }

    #[test]
    fn an_empty_addon_role_disables_only_addons() {
        assert!(names(&components(), &[(roles::METRICS, NONE)]).unwrap().contains(&"etcd".to_owned()));
        assert!(names(&components(), &[(roles::METRICS, NONE), ("datastore", "etcd")]).is_ok());
    }
}
