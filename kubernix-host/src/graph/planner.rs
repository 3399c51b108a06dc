//! Asks a component for its plan, and holds the plan against what it may say.

use super::order::Draft;
use super::{Environment, GraphError, Instance, InstanceContext, RoleAt};
use crate::plugins::{Components, Registered};
use kubernix_core::{Error, Plan, Role};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

pub(super) fn plan(
    components: &Components,
    draft: Draft,
    chosen: &BTreeMap<Role, usize>,
    endpoints: &BTreeMap<RoleAt, String>,
    environment: &Arc<Environment>,
) -> Result<Instance, GraphError> {
    let component = &components[draft.index];
    let node = draft.node.map(|node| node.name);
    let filled = chosen.iter().map(|(role, index)| (role.to_string(), components[*index].name().to_string())).collect();
    let context = Arc::new(InstanceContext {
        environment: environment.clone(),
        component: draft.component.clone(),
        node: node.clone(),
        binaries: component.description.binaries.clone(),
        parameters: parameters(component, environment),
        endpoints: (draft.needs.iter())
            .filter_map(|need| Some((need.at.role.to_string(), endpoints.get(&need.at)?.clone())))
            .collect(),
        filled: Arc::new(filled),
        runner: OnceLock::new(),
    });
    let refuse = |source: Error| GraphError::Component { instance: draft.instance.clone(), source };
    let mut plan = component.plan(&context).map_err(refuse)?;
    let own: Vec<&str> = draft.provides.iter().map(|at| at.role.as_str()).collect();
    check(&plan, &own, &allowed(environment, &draft.component, node.as_deref())).map_err(refuse)?;
    plan.provides.retain(|endpoint| own.contains(&endpoint.role.as_str()));
    Ok(Instance {
        instance: draft.instance,
        component: draft.component,
        phase: draft.phase,
        node,
        needs: draft.needs,
        plan,
        registered: component.clone(),
        context,
    })
}

/// Every declared parameter, and those that were given (which `spec::validate` has checked).
fn parameters(component: &Registered, environment: &Environment) -> BTreeMap<String, String> {
    let declared = component.description.parameters.iter();
    let mut all: BTreeMap<String, String> = declared.map(|p| (p.name.clone(), p.default.clone())).collect();
    all.extend(environment.parameters.get(component.name()).into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    all
}

/// The directories that an instance may write into.
fn allowed(environment: &Environment, component: &str, node: Option<&str>) -> Vec<std::path::PathBuf> {
    let mut directories = vec![environment.state_dir(component, node), environment.volatile_dir(component, node)];
    directories.extend(node.map(|node| environment.node_dir(node)));
    directories
}

fn check(plan: &Plan, roles: &[&str], allowed: &[std::path::PathBuf]) -> Result<(), Error> {
    let paths = plan.files.iter().map(|f| &f.path).chain(plan.directories.iter().map(|d| &d.path));
    for path in paths {
        if !allowed.iter().any(|directory| Path::new(path).starts_with(directory)) {
            return Err(Error::invalid(format!("the plan writes `{path}`, which is outside of its directories")));
        }
    }
    for role in roles {
        if !plan.provides.iter().any(|endpoint| endpoint.role.as_str() == *role) {
            return Err(Error::invalid(format!(
                "the plan doesn't provide role `{role}`, which the component declares"
            )));
        }
    }
    Ok(())
}
