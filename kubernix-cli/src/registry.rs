//! The compiled-in components: the folders of `components/`, each behind the cargo feature of its
//! name.

use kubernix_core::abi::Handle;
use kubernix_host::plugins::Registered;
use std::sync::Arc;

/// The components that are compiled into this `kubernix`.
///
/// # Errors
/// The description of a component is invalid.
pub fn components() -> kubernix_core::Result<Vec<Arc<Registered>>> {
    handles().into_iter().map(Registered::built_in).collect()
}

/// The build script writes the list (`build/components.rs`).
fn handles() -> Vec<Handle> {
    include!(concat!(env!("OUT_DIR"), "/components.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: Vec<String> = components().unwrap().iter().map(|component| component.name().to_owned()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn each_feature_compiles_in_the_component_of_its_name() {
        let names: Vec<String> = components().unwrap().iter().map(|component| component.name().to_owned()).collect();
        let crates: Vec<&str> = include_str!(concat!(env!("OUT_DIR"), "/components.rs"))
            .lines()
            .filter_map(|line| line.trim().strip_prefix("#[cfg(feature = \"")?.strip_suffix("\")]"))
            .collect();
        assert_eq!(names, crates);
    }
}
