//! Resolves a component's `binaries` and parameters to names of tools.
//!
//! Must not know: where tools are installed.

use super::GraphError;
use crate::plugins::Registered;
use crate::settings;
use kubernix_core::{Binary, Error};
use std::collections::BTreeMap;
use std::path::Path;

/// Parameters from the settings: component, name, value.
type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// The values of all declared parameters of a component. In ascending precedence: its default, the
/// settings, the settings for its node. `settings::validate` has checked the settings.
pub(super) fn parameters(component: &Registered, node: Option<&str>, settings: &Settings) -> BTreeMap<String, String> {
    let declared = component.description.parameters.iter();
    let mut all: BTreeMap<String, String> = declared.map(|p| (p.name.clone(), p.default.clone())).collect();
    let on_node = node.map(|node| settings::node_key(node, component.name()));
    for key in [Some(component.name().to_owned()), on_node].into_iter().flatten() {
        all.extend(settings.get(&key).into_iter().flatten().map(|(name, text)| (name.clone(), text.clone())));
    }
    all
}

/// The tool for each binary of a component on a node: the name of a tool, or an absolute path from
/// a parameter.
///
/// # Errors
/// A parameter is neither.
pub fn binaries(
    component: &Registered,
    node: Option<&str>,
    settings: &Settings,
) -> Result<BTreeMap<Binary, String>, GraphError> {
    let parameters = parameters(component, node, settings);
    let mut tools = BTreeMap::new();
    for binary in &component.description.binaries {
        let tool = match binary {
            Binary::Tool(name) => name.clone(),
            Binary::FromParameter(parameter) => {
                // Registration has checked that the component declares it.
                let chosen = parameters.get(parameter.as_str()).cloned().unwrap_or_default();
                if chosen.is_empty() || (chosen.contains('/') && !Path::new(&chosen).is_absolute()) {
                    let why = "use the name of a tool, see `kubernix toolchain list`, or an absolute path";
                    let source = Error::invalid(format!("parameter `{parameter}` is `{chosen}`: {why}"));
                    return Err(GraphError::Component { instance: component.name().to_owned(), source });
                }
                chosen
            }
        };
        tools.insert(binary.clone(), tool);
    }
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Component, Context, Parameter, Phase, Planner, Result, Role, abi};

    struct Chooses;

    impl Component for Chooses {
        fn name(&self) -> &str {
            "chooses"
        }

        fn phase(&self) -> Phase {
            Phase::ADDON
        }

        fn provides(&self) -> Vec<Role> {
            vec!["chooses".into()]
        }

        fn binaries(&self) -> Vec<Binary> {
            vec!["own".into(), Binary::from_parameter("helper")]
        }

        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("helper", "one", "the helper program")]
        }

        fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> Result<()> {
            Ok(())
        }
    }

    fn helper(value: Option<&str>) -> Result<String, String> {
        let component = Registered::built_in(abi::component(Chooses)).unwrap();
        let parameter = value.map(|value| ("helper".to_owned(), value.to_owned()));
        let settings = BTreeMap::from([("chooses".to_owned(), parameter.into_iter().collect())]);
        let tools = binaries(&component, None, &settings).map_err(|error| match error {
            GraphError::Component { source, .. } => source.to_string(),
            other => other.to_string(),
        })?;
        assert_eq!(tools[&Binary::from("own")], "own");
        Ok(tools[&Binary::from_parameter("helper")].clone())
    }

    #[test]
    fn a_parameter_chooses_a_tool_or_a_path() {
        assert_eq!(helper(None).unwrap(), "one");
        assert_eq!(helper(Some("two")).unwrap(), "two");
        assert_eq!(helper(Some("/opt/two")).unwrap(), "/opt/two");
        for wrong in ["", "bin/two", "../two"] {
            let error = helper(Some(wrong)).unwrap_err();
            assert!(error.starts_with(&format!("parameter `helper` is `{wrong}`: use the name of a tool")), "{error}");
        }
    }
}
