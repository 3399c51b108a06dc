//! Compares the layouts of all types that cross between a plugin and this host. Either of the two
//! may be the older one.

use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use kubernix_core::abi_stable;

/// How many differences an error shows: one wrong type can be reached on many paths.
const MAX_SHOWN: usize = 6;

/// Compares two layouts. The newer side must have all that the older side has, and may have more.
///
/// # Errors
/// The differences.
pub fn compare(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
    plugin_is_older: bool,
) -> Result<(), Vec<String>> {
    let (older, newer) = if plugin_is_older { (plugin, host) } else { (host, plugin) };
    // New ones for each comparison: abi_stable's process-wide globals reject valid plugins once
    // three versions of the contract have been compared.
    let globals = CheckingGlobals::new();
    check_layout_compatibility_with_globals(older, newer, &globals).map_err(|errors| describe(&errors, plugin_is_older))
}

fn describe(errors: &AbiInstabilityErrors, plugin_is_older: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for error in &errors.errors {
        let names = error.stack_trace.iter().map(|step| match &step.found {
            TLFieldOrFunction::Field(field) => field.name().to_string(),
            TLFieldOrFunction::Function(function) => function.name.to_string(),
        });
        let path = path(names);
        let type_name = error.stack_trace.iter().rev().find_map(|step| match &step.found {
            TLFieldOrFunction::Field(field) => Some(field.layout().full_type().to_string()),
            TLFieldOrFunction::Function(_) => None,
        });
        for difference in &error.errs {
            let type_name = type_name.as_deref().unwrap_or("the plugin's module");
            let text = format!("{type_name} (at {path}) {}", describe_one(difference, plugin_is_older));
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    if all.len() > MAX_SHOWN {
        let more = all.len() - MAX_SHOWN;
        all.truncate(MAX_SHOWN);
        all.push(format!("and {more} more"));
    }
    all
}

/// The path of names to a type, without abi_stable's own steps: it numbers fields that have no
/// name, has names for what a function returns, repeats a function's name, and appends a comma to
/// parameters.
fn path(names: impl Iterator<Item = String>) -> String {
    let mut path: Vec<String> = Vec::new();
    for name in names.map(|name| name.trim_end_matches(',').to_owned()) {
        let is_number = name.strip_prefix("field_").unwrap_or(&name).bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !name.starts_with("__") && path.last() != Some(&name) {
            path.push(name);
        }
    }
    if path.is_empty() { "its root".to_owned() } else { path.join(".") }
}

/// One difference, with the values of both sides.
fn describe_one(difference: &AbiInstability, plugin_is_older: bool) -> String {
    // `expected` is the older side.
    let sides = |what: &str, older: String, newer: String| {
        let (host, plugin) = if plugin_is_older { (newer, older) } else { (older, newer) };
        format!("{what}: host {host}, plugin {plugin}")
    };
    match difference {
        AbiInstability::Size(x) => sides("size", x.expected.to_string(), x.found.to_string()),
        AbiInstability::Alignment(x) => sides("alignment", x.expected.to_string(), x.found.to_string()),
        AbiInstability::FieldCountMismatch(x) => sides("number of fields", x.expected.to_string(), x.found.to_string()),
        AbiInstability::TooManyVariants(x) => sides("number of variants", x.expected.to_string(), x.found.to_string()),
        AbiInstability::MismatchedPrefixSize(x) => {
            sides("number of required fields", x.expected.to_string(), x.found.to_string())
        }
        AbiInstability::PackageVersion(x) => sides("version", x.expected.to_string(), x.found.to_string()),
        AbiInstability::Package(x) => sides("package", x.expected.to_string(), x.found.to_string()),
        AbiInstability::Name(x) => sides("type", x.expected.to_string(), x.found.to_string()),
        AbiInstability::UnexpectedField(x) => sides("field", x.expected.name().to_string(), x.found.name().to_string()),
        AbiInstability::UnexpectedVariant(x) => sides("variant", x.expected.to_string(), x.found.to_string()),
        other => format!("{other:?}").chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_to_a_type_has_the_names_of_the_source_code() {
        let names = |names: &[&str]| path(names.iter().map(ToString::to_string));
        assert_eq!(names(&["0", "log", "log", "record,", "0"]), "log.record");
        assert_eq!(names(&["component", "__returns", "field_0", "obj"]), "component.obj");
        assert_eq!(names(&["0"]), "its root");
    }
}
