//! Asks a component for the plan of an instance, and validates it.

use super::binaries::{binaries, parameters};
use super::order::Draft;
use super::{Choice, Environment, GraphError, Instance, InstanceContext, RoleAt};
use crate::images::check_build;
use crate::plugins::Components;
use kubernix_core::{Error, Plan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) fn plan(
    components: &Components,
    draft: Draft,
    chosen: &Choice,
    endpoints: &BTreeMap<RoleAt, String>,
    environment: &Arc<Environment>,
) -> Result<Instance, GraphError> {
    let component = &components[draft.index];
    let node = draft.node.map(|node| node.name);
    let filled = chosen
        .at(node.as_deref())
        .iter()
        .map(|(role, index)| (role.to_string(), components[*index].name().to_string()))
        .collect();
    let context = Arc::new(InstanceContext {
        environment: environment.clone(),
        component: draft.component.clone(),
        node: node.clone(),
        binaries: binaries(component, node.as_deref(), &environment.parameters)?,
        parameters: parameters(component, node.as_deref(), &environment.parameters),
        endpoints: (draft.needs.iter())
            .filter_map(|need| {
                let url = endpoints.get(&need.at)?;
                let url = environment.seen_from(node.as_deref(), need.at.node.as_deref(), url);
                Some((need.at.role.to_string(), url))
            })
            .collect(),
        filled: Arc::new(filled),
        runner: OnceLock::new(),
    });
    let component_error = |source: Error| GraphError::Component { instance: draft.instance.clone(), source };
    let mut plan = component.plan(&context).map_err(component_error)?;
    let roles: Vec<&str> = draft.provides.iter().map(|at| at.role.as_str()).collect();
    check(&plan, &roles, &writable_directories(environment, &draft.component, node.as_deref()))
        .map_err(|error| component_error(component.blame(error)))?;
    plan.provides.retain(|endpoint| roles.contains(&endpoint.role.as_str()));
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

fn writable_directories(environment: &Environment, component: &str, node: Option<&str>) -> Vec<PathBuf> {
    let mut directories = vec![environment.state_dir(component, node), environment.volatile_dir(component, node)];
    directories.push(environment.shared_dir(component));
    directories.extend(node.map(|node| environment.node_dir(node)));
    directories
}

fn check(plan: &Plan, roles: &[&str], writable: &[PathBuf]) -> Result<(), Error> {
    let paths = plan.files.iter().map(|f| &f.path).chain(plan.directories.iter().map(|d| &d.path));
    for path in paths {
        if !writable.iter().any(|directory| Path::new(path).starts_with(directory)) {
            return Err(Error::invalid(format!("the plan writes `{path}`, which is outside of its directories")));
        }
    }
    for image in &plan.builds {
        check_build(image).map_err(|error| Error::invalid(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::{Registered, Source};
    use kubernix_core::{Component, Context, Phase, Planner, Probe, Result, Role, abi};

    struct Quiet;

    impl Component for Quiet {
        fn name(&self) -> &str {
            "quiet"
        }

        fn phase(&self) -> Phase {
            Phase::ADDON
        }

        fn provides(&self) -> Vec<Role> {
            vec!["quiet".into()]
        }

        fn plan(&self, _ctx: &Context<'_>, _plan: &mut Planner<'_>) -> Result<()> {
            Ok(())
        }
    }

    /// The error for a plan that writes this file and provides this role.
    fn check_error(file: &str, role: &str) -> Option<String> {
        let mut plan = Plan::default();
        let mut planner = Planner::new(&mut plan);
        planner.file(file, "x").unwrap();
        planner.provide(role, "", Probe::started()).unwrap();
        let source = Source::Toml { path: "/p/quiet.toml".into() };
        let registered = Registered::new(abi::component(Quiet), "1.0.0", source).unwrap();
        let checked = check(&plan, &["quiet"], &["/state/quiet".into(), "/run/quiet".into()]);
        checked.map_err(|error| registered.blame(error)).err().map(|error| error.frames().join(": "))
    }

    #[test]
    fn errors_of_an_invalid_plan_name_the_plugin() {
        assert_eq!(check_error("/run/quiet/a", "quiet"), None);
        let outside = check_error("/state/quiet-too/a", "quiet").unwrap();
        let expected =
            "plugin /p/quiet.toml: the plan writes `/state/quiet-too/a`, which is outside of its directories";
        assert_eq!(outside, expected);
        let role = check_error("/state/quiet/a", "loud").unwrap();
        let expected = "plugin /p/quiet.toml: the plan doesn't provide role `quiet`, which the component declares";
        assert_eq!(role, expected);
    }
}
