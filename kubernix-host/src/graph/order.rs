//! Instances of the chosen components, ordered by what they need.

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

/// One draft for each place that a component has to be in.
pub(super) fn expand(
    components: &Components,
    chosen: &Choice,
    environment: &Environment,
) -> Result<Vec<Draft>, GraphError> {
    let mut drafts = Vec::new();
    for index in chosen.used() {
        let component = &components[index].description;
        let (name, title) = (&component.name, &component.title);
        let places: Vec<Option<&NodeSpec>> = match component.scope {
            Scope::NODE => {
                let fills = |node: &&NodeSpec| chosen.at(Some(&node.name)).values().any(|filler| *filler == index);
                environment.nodes.iter().filter(fills).map(Some).collect()
            }
            Scope::CONTROL_PLANE if !environment.members.is_empty() => {
                environment.nodes.iter().filter(|node| environment.members.contains(&node.name)).map(Some).collect()
            }
            Scope::CLUSTER | Scope::CONTROL_PLANE => vec![None],
            scope => return Err(GraphError::Scope { component: name.clone(), scope }),
        };
        for node in places {
            let instance = node.map_or_else(|| title.clone(), |node| format!("{title} (node {})", node.index));
            let at = |role: &str| RoleAt { role: Role::new(role), node: node.map(|n| n.name.clone()) };
            let here = chosen.at(node.map(|node| &*node.name));
            let filled = component.provides.iter().filter(|role| here.get(role) == Some(&index));
            drafts.push(Draft {
                index,
                component: name.clone(),
                instance,
                phase: component.phase,
                node: node.cloned(),
                provides: filled.map(|role| at(role.as_str())).collect(),
                needs: Vec::new(),
            });
        }
    }
    let needs = drafts.iter().map(|draft| needs(components, draft, &drafts)).collect::<Result<Vec<_>, _>>()?;
    drafts.iter_mut().zip(needs).for_each(|(draft, needs)| draft.needs = needs);
    Ok(drafts)
}

/// What a draft waits for: exactly what its component names, or else all that earlier phases hold.
fn needs(components: &Components, draft: &Draft, all: &[Draft]) -> Result<Vec<Need>, GraphError> {
    let required = &components[draft.index].description.requires;
    if required.is_empty() {
        let earlier = all.iter().filter(|other| other.phase < draft.phase);
        return Ok(earlier
            .flat_map(|other| other.provides.iter().cloned())
            .map(|at| Need { at, wait: Wait::READY })
            .collect());
    }
    let mut found = Vec::new();
    for requirement in required {
        let role = &requirement.role;
        if role.as_str() == roles::SANDBOX {
            continue; // The host's own: it stands before anything is run.
        }
        let same_node = draft.node.as_ref().map(|node| node.name.clone());
        let provided = |node: &Option<String>| {
            let at = RoleAt { role: role.clone(), node: node.clone() };
            all.iter().any(|other| other.provides.contains(&at)).then_some(at)
        };
        let there = |other: &&Draft| !other.node.as_ref().is_some_and(|node| node.stopped);
        let first = |mut drafts: Box<dyn Iterator<Item = &Draft> + '_>| {
            drafts.find_map(|other| other.provides.iter().find(|at| at.role == *role).cloned())
        };
        // One that isn't to run can't be waited for, but is better than none.
        let anywhere = || first(Box::new(all.iter().filter(there))).or_else(|| first(Box::new(all.iter())));
        let Some(at) = provided(&same_node).or_else(|| provided(&None)).or_else(anywhere) else {
            let fitting = components.iter().filter(|component| component.provides(role.as_str()));
            let candidates = fitting.map(|component| component.name().to_owned()).collect();
            return Err(GraphError::Empty { role: role.clone(), by: draft.component.clone(), candidates });
        };
        found.push(Need { at, wait: requirement.wait });
    }
    Ok(found)
}

/// Each draft after those that it needs; otherwise by phase and name.
pub(super) fn sort(mut drafts: Vec<Draft>) -> Result<Vec<Draft>, GraphError> {
    drafts.sort_by(|a, b| (a.phase, &a.instance).cmp(&(b.phase, &b.instance)));
    let mut there: BTreeSet<RoleAt> = BTreeSet::new();
    let mut sorted = Vec::with_capacity(drafts.len());
    while !drafts.is_empty() {
        let met = |draft: &Draft| {
            draft.needs.iter().all(|need| there.contains(&need.at) || draft.provides.contains(&need.at))
        };
        let Some(next) = drafts.iter().position(met) else {
            return Err(GraphError::Circle(drafts.into_iter().map(|draft| draft.instance).collect()));
        };
        let draft = drafts.remove(next);
        there.extend(draft.provides.iter().cloned());
        sorted.push(draft);
    }
    Ok(sorted)
}
