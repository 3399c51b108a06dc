//! Whether a plugin and this host mean the same by every type that crosses between them, whichever
//! of the two is older.

use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use kubernix_core::abi_stable;

/// How many differences an error shows: one wrong type can be reached in many ways.
const MOST: usize = 6;

/// Compares two layouts. The older side is what is asked for, the newer what is there: it may only
/// have more.
///
/// # Errors
/// What the two disagree about, one difference each.
pub fn compare(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
    plugin_is_older: bool,
) -> Result<(), Vec<String>> {
    let (older, newer) = if plugin_is_older { (plugin, host) } else { (host, plugin) };
    // Fresh for each: the process-wide one of abi_stable refuses valid plugins once three ages have
    // met.
    let globals = CheckingGlobals::new();
    check_layout_compatibility_with_globals(older, newer, &globals).map_err(|errors| told(&errors, plugin_is_older))
}

fn told(errors: &AbiInstabilityErrors, plugin_is_older: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for error in &errors.errors {
        let names = error.stack_trace.iter().map(|step| match &step.found {
            TLFieldOrFunction::Field(field) => field.name().to_string(),
            TLFieldOrFunction::Function(function) => function.name.to_string(),
        });
        let way = way(names);
        let type_name = error.stack_trace.iter().rev().find_map(|step| match &step.found {
            TLFieldOrFunction::Field(field) => Some(field.layout().full_type().to_string()),
            TLFieldOrFunction::Function(_) => None,
        });
        for difference in &error.errs {
            let type_name = type_name.as_deref().unwrap_or("the plugin's module");
            let text = format!("{type_name} (at {way}) {}", one(difference, plugin_is_older));
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    if all.len() > MOST {
        let more = all.len() - MOST;
        all.truncate(MOST);
        all.push(format!("and {more} more"));
    }
    all
}

/// The names that lead to a type, without abi_stable's own steps in between: it counts fields that
/// have no name, has words for what a function returns, names a function once more, and puts a
/// comma behind parameters.
fn way(names: impl Iterator<Item = String>) -> String {
    let mut way: Vec<String> = Vec::new();
    for name in names.map(|name| name.trim_end_matches(',').to_owned()) {
        let numbered = name.strip_prefix("field_").unwrap_or(&name).bytes().all(|byte| byte.is_ascii_digit());
        if !numbered && !name.starts_with("__") && way.last() != Some(&name) {
            way.push(name);
        }
    }
    if way.is_empty() { "its root".to_owned() } else { way.join(".") }
}

/// One difference, with both sides.
fn one(difference: &AbiInstability, plugin_is_older: bool) -> String {
    // What was asked for is the older side.
    let sides = |what: &str, older: String, newer: String| match plugin_is_older {
        true => format!("{what}: host {newer}, plugin {older}"),
        false => format!("{what}: host {older}, plugin {newer}"),
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
    fn the_way_to_a_type_has_the_names_that_people_gave() {
        let names = |names: &[&str]| way(names.iter().map(ToString::to_string));
        assert_eq!(names(&["0", "log", "log", "record,", "0"]), "log.record");
        assert_eq!(names(&["component", "__returns", "field_0", "obj"]), "component.obj");
        assert_eq!(names(&["0"]), "its root");
    }
}
