//! The compiled-in table: it is complete, and its pins have its versions.

use super::*;

/// Modules that a cluster doesn't need by default, or that share little with the others. They
/// use the versions that upstream tests.
const OWN_VERSIONS: [&str; 5] = ["containerd", "kine", "local-path", "registry", "runc"];

#[test]
fn every_tool_of_the_table_can_be_supplied() {
    let table = Table::embedded();
    for (name, spec) in &table.tool {
        let (built, packaged) = (spec.go.is_some(), !spec.apt.is_empty());
        assert!(built || packaged, "{name} has no provider");
        if let Some(go) = &spec.go {
            let (_, module) = table.module(spec).unwrap_or_else(|| panic!("{name}: there is no [go.{go}]"));
            assert!(table.pins(go).is_some(), "{name}: no pins are embedded for {go}");
            assert!(!spec.main_packages(name).is_empty() || spec.c_sources.is_some(), "{name} has nothing to build");
            let fits = spec.requires.as_ref().is_none_or(|requires| requires.matches(&module.version));
            assert!(fits, "{name}: the version that is built doesn't meet its own requirement");
        }
        assert!(
            spec.requires.is_none() || spec.after.is_some(),
            "{name} requires a version, but can't be asked for it"
        );
    }
    for need in table.tool.values().flat_map(|spec| table.needs(spec)) {
        assert!(table.need.contains_key(need), "there is no [need.{need}]");
    }
}

#[test]
fn pins_have_the_versions_of_the_table() {
    let table = Table::embedded();
    for (name, spec) in &table.tool {
        let Some((module_name, module)) = table.module(spec) else { continue };
        let go_mod = &table.pins(module_name).unwrap().go_mod;
        let packages = spec.main_packages(name);
        let paths = packages.iter().map(|(package, _)| package.as_str()).chain(spec.c_module.as_deref());
        for path in paths {
            // A module with its own main.go has the module's path. Upstream's path ends in the
            // same name.
            let own = path.strip_prefix(&format!("kubernix.dev/toolchain/{module_name}"));
            let pinned = |line: &str| {
                let mut words = line.split_whitespace();
                let prefix = words.next().is_some_and(|m| match own {
                    Some(_) => m.ends_with(&format!("/{module_name}")),
                    None => path == m || path.starts_with(&format!("{m}/")),
                });
                prefix && words.next() == Some(&format!("v{}", module.version))
            };
            assert!(go_mod.lines().any(pinned), "{path} isn't pinned to {} in {module_name}/go.mod", module.version);
        }
    }
}

/// The versions of a go.mod's dependencies, after its replacements.
fn dependencies(go_mod: &str) -> BTreeMap<&str, &str> {
    let mut versions = BTreeMap::new();
    for line in go_mod.lines() {
        let words: Vec<&str> = line.trim_start_matches("replace").split_whitespace().collect();
        match words[..] {
            [path, version, ..] if version.starts_with('v') => versions.insert(path, version),
            [path, "=>", _, version] => versions.insert(path, version),
            _ => None,
        };
    }
    versions
}

#[test]
fn pin_modules_share_one_version_of_a_dependency() {
    let mut versions: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (module, spec) in Table::embedded().go.iter().filter(|(name, _)| !OWN_VERSIONS.contains(&name.as_str())) {
        for (path, version) in dependencies(&spec.pins.as_ref().unwrap().go_mod) {
            versions.entry(path).or_default().insert(module, version);
        }
    }
    let differ = |users: &BTreeMap<&str, &str>| users.values().any(|version| Some(version) != users.values().next());
    let unlike: BTreeMap<_, _> = versions.into_iter().filter(|(_, users)| differ(users)).collect();
    assert!(unlike.is_empty(), "these dependencies would be compiled several times: {unlike:#?}");
}

#[test]
fn programs_of_one_build_have_the_names_that_go_gives_them() {
    let table = Table::embedded();
    for module in table.go.keys() {
        let tools = table.tool.iter().filter(|(_, spec)| spec.go.as_ref() == Some(module));
        let mains: Vec<_> = tools.flat_map(|(name, spec)| spec.main_packages(name)).collect();
        let named = |(package, program): &(String, String)| last_element(package) == program;
        assert!(mains.len() == 1 || mains.iter().all(named), "{module}: {mains:?}");
    }
}

#[test]
fn the_stamp_is_filled_in() {
    let flags = Table::embedded().go["kubernetes"].ldflags();
    assert!(flags.starts_with("-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 "), "{flags}");
    assert!(flags.contains("client-go/pkg/version.gitMinor=36"), "{flags}");
}

#[test]
fn a_program_of_a_group_is_found_by_its_own_name() {
    let (name, spec) = Table::embedded().find("host-local").unwrap();
    assert_eq!(name, "cni");
    assert_eq!(spec.programs(name), ["bridge", "loopback", "ptp", "host-local", "portmap"]);
    assert!(Table::embedded().find("bridg").is_none());
}

#[test]
fn a_different_flag_gives_a_different_cache_directory() {
    let text = |tags| {
        format!(
            "need = {{}}\n[go.crio]\nversion = \"1.0.0\"\ncgo = true\ntags = {tags}\n[tool.crio]\ngo = \"crio\"\npackage = \"x/y\"\n"
        )
    };
    let name = |tags| Table::parse(&text(tags)).unwrap().cache_name("crio").unwrap();
    assert!(name("[]").starts_with("crio-1.0.0-"));
    assert_eq!(name("[\"a\"]"), name("[\"a\"]"));
    assert_ne!(name("[]"), name("[\"a\"]"));
}
