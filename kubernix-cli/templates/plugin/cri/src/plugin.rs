//! What makes a plugin of the component: its name for whoever loads the library. It must not know what the component does.

kubernix_core::export_component!(crate::__TYPE__);

#[cfg(test)]
mod tests {
    use kubernix_core::Component as _;

    #[test]
    fn the_manifest_names_the_same_binaries_and_the_version_of_the_crate() {
        let manifest = include_str!("../__NAME__.toml");
        let list = manifest.split_once("binaries = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
        let named: Vec<_> = list.split('"').skip(1).step_by(2).map(kubernix_core::Binary::from).collect();
        assert_eq!(named, crate::__TYPE__.binaries());
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(manifest.lines().any(|line| line == version), "no {version}");
    }
}
