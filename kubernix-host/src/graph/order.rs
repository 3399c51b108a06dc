//! Creates the instances of the chosen components and sorts them by their needs.

use super::{Choice, Environment, GraphError, Need, NodeSpec, RoleAt};
use crate::plugins::Components;
use kubernix_core::{Phase, Role, Scope, Wait, roles};
use std::collections::BTreeSet;

/// An instance before its plan.
pub(super) struct Draft {
    pub index: usize,
    pub component: String,
    pub instance: String,
    pub phase: Phase,
    pub node: Option<NodeSpec>,
    pub provides: Vec<RoleAt>,
    pub needs: Vec<Need>,
}

/// Creates the drafts of all chosen components: one per node, per member of the control plane, or
/// per cluster, depending on the scope.
pub(super) fn expand(
    components: &Components,
    chosen: &Choice,
    environment: &Environment,
) -> Result<Vec<Draft>, GraphError> {
    let mut drafts = Vec::new();
    for index in chosen.used() {
        let component = &components[index].description;
        let (name, title) = (&component.name, &component.title);
        let nodes: Vec<Option<&NodeSpec>> = match component.scope {
            Scope::NODE => {
                let is_chosen = |node: &&NodeSpec| chosen.at(Some(&node.name)).values().any(|chosen| *chosen == index);
                environment.nodes.iter().filter(is_chosen).map(Some).collect()
            }
            Scope::CONTROL_PLANE if !environment.members.is_empty() => {
                environment.nodes.iter().filter(|node| environment.members.contains(&node.name)).map(Some).collect()
            }
            Scope::CLUSTER | Scope::CONTROL_PLANE => vec![None],
            scope => return Err(GraphError::Scope { component: name.clone(), scope }),
        };
        for node in nodes {
            let instance = node.map_or_else(|| title.clone(), |node| format!("{title} (node {})", node.index));
            let node_name = node.map(|node| node.name.clone());
            let chosen_here = chosen.at(node_name.as_deref());
            let filled = component.provides.iter().filter(|role| chosen_here.get(role) == Some(&index));
            drafts.push(Draft {
                index,
                component: name.clone(),
                instance,
                phase: component.phase,
                node: node.cloned(),
                provides: filled.map(|role| RoleAt { role: role.clone(), node: node_name.clone() }).collect(),
                needs: Vec::new(),
            });
        }
    }
    let needs = drafts.iter().map(|draft| needs(components, draft, &drafts)).collect::<Result<Vec<_>, _>>()?;
    drafts.iter_mut().zip(needs).for_each(|(draft, needs)| draft.needs = needs);
    Ok(drafts)
}

/// The needs of a draft: the roles that its component requires, or all roles of earlier phases if
/// it requires none.
fn needs(components: &Components, draft: &Draft, all: &[Draft]) -> Result<Vec<Need>, GraphError> {
    let required = &components[draft.index].description.requires;
    if required.is_empty() {
        let earlier = all.iter().filter(|other| other.phase < draft.phase);
        return Ok(earlier
            .flat_map(|other| other.provides.iter().cloned())
            .map(|at| Need { at, wait: Wait::READY })
            .collect());
    }
    let mut needs = Vec::new();
    for requirement in required {
        let role = &requirement.role;
        if role.as_str() == roles::SANDBOX {
            continue; // The host provides it before anything runs.
        }
        let Some(at) = provider(role, draft.node.as_ref(), all) else {
            let fitting = components.iter().filter(|component| component.provides(role.as_str()));
            let candidates = fitting.map(|component| component.name().to_owned()).collect();
            return Err(GraphError::Empty { role: role.clone(), by: draft.component.clone(), candidates });
        };
        needs.push(Need { at, wait: requirement.wait });
    }
    Ok(needs)
}

/// The role that a draft on this node uses. In descending preference: the role of its own node, the
/// role of the whole cluster, that of any running node, that of a stopped node.
fn provider(role: &Role, node: Option<&NodeSpec>, drafts: &[Draft]) -> Option<RoleAt> {
    let is_stopped = |draft: &Draft| draft.node.as_ref().is_some_and(|node| node.stopped);
    let rank = |(draft, at): &(&Draft, &RoleAt)| {
        if at.node.as_deref() == node.map(|node| &*node.name) {
            0
        } else if at.node.is_none() {
            1
        } else if !is_stopped(draft) {
            2
        } else {
            3
        }
    };
    let provided = drafts.iter().flat_map(|draft| draft.provides.iter().map(move |at| (draft, at)));
    // The first one of the lowest rank.
    provided.filter(|(_, at)| at.role == *role).min_by_key(rank).map(|(_, at)| at.clone())
}

/// Sorts drafts topologically by their needs, and otherwise by phase and name.
pub(super) fn sort(mut drafts: Vec<Draft>) -> Result<Vec<Draft>, GraphError> {
    drafts.sort_by(|a, b| (a.phase, &a.instance).cmp(&(b.phase, &b.instance)));
    let mut provided: BTreeSet<RoleAt> = BTreeSet::new();
    let mut sorted = Vec::with_capacity(drafts.len());
    while !drafts.is_empty() {
        let has_needs_met = |draft: &Draft| {
            draft.needs.iter().all(|need| provided.contains(&need.at) || draft.provides.contains(&need.at))
        };
        let Some(next) = drafts.iter().position(has_needs_met) else {
            return Err(GraphError::Cycle(drafts.into_iter().map(|draft| draft.instance).collect()));
        };
        let draft = drafts.remove(next);
        provided.extend(draft.provides.iter().cloned());
        sorted.push(draft);
    }
    Ok(sorted)
}
