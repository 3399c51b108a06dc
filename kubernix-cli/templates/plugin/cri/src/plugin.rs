//! Exports the component as a plugin, by the symbol that the host looks up. Must not know what the
//! component does.

kubernix_core::export_component!(crate::__TYPE__);

#[cfg(test)]
mod tests {
    use kubernix_core::{Binary, Component as _};

    #[test]
    fn the_manifest_names_the_same_binaries_and_the_version_of_the_crate() {
        let manifest = include_str!("../__NAME__.toml");
        let list = manifest.split_once("binaries = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
        let quoted = |line: &'static str| line.split('"').nth(1).map(|name| (line.contains("parameter"), name));
        let named: Vec<_> = list
            .lines()
            .filter_map(quoted)
            .map(|(is_parameter, name)| if is_parameter { Binary::from_parameter(name) } else { Binary::from(name) })
            .collect();
        assert_eq!(named, crate::__TYPE__.binaries());
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(manifest.lines().any(|line| line == version), "no {version}");
    }
}
