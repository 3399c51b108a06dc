//! Checks released contracts: their plugins work with this checkout, and the contract doesn't
//! change by accident.

use crate::ages::{self, Age};
use crate::layouts;
use crate::workshop::Workshop;
use kubernix_host::plugins::{Manifest, load};
use kubernix_tests::{golden, program, run};
use semver::Version;
use std::path::Path;

/// Shown when the contract has changed.
const ADVICE: &str = "the contract changed. Appended methods with default bodies and appended fields make a minor version, which \
                      kubernix-core/Cargo.toml has to say; whatever else makes a major one, which breaks all plugins. \
                      docs/contract-versioning.md has the rules";

#[test]
fn the_contract_matches_its_golden() {
    // Printed if the comparison fails.
    println!("{ADVICE}");
    golden::compare(&format!("contract-{}.txt", ages::current().0), &layouts::dump());
}

#[test]
fn plugins_of_released_contracts_work_with_this_checkout() {
    let workshop = Workshop::open();
    let released = ages::released();
    let known: Vec<&Age> =
        workshop.ages.iter().filter(|age| released.iter().any(|r| r.version == age.version)).collect();
    for age in known {
        // Uses the shipped loader in this process: the newer side has to offer everything that the
        // older side calls.
        let loaded = load(&workshop.plugin(age)).unwrap_or_else(|error| panic!("{error}\n{ADVICE}"));
        assert_eq!(loaded.contract, age.text());
        if age.version == ages::current() {
            let then = run(program(workshop.host(age)).arg("--layouts")).ok().stdout;
            let again = "this version is released: raise it in kubernix-core/Cargo.toml, or, if it isn't published yet, \
                         `cargo xtask contract release --replace`";
            assert!(then == layouts::dump(), "{ADVICE}. {again}\nreleased:\n{then}\nnow:\n{}", layouts::dump());
        }
    }
}

#[test]
fn the_version_is_not_lower_than_a_released_one() {
    let newest = ages::released().pop().expect("one at least");
    assert!(ages::current() >= newest.version, "{} is released already", newest.text());
}

#[test]
fn hosts_reject_manifests_of_newer_plugins() {
    let ages: Vec<&Age> = Workshop::open().ages.iter().filter(|age| !age.broken).collect();
    let ours = Version::new(1, 0, 0);
    let compatible = |contract: &str, host: &Age| {
        let text = format!("name = \"x\"\nversion = \"1.0.0\"\ncontract = \"{contract}\"\n");
        let manifest = Manifest::parse(Path::new("/x.toml"), &text).expect("a manifest");
        manifest
            .compatible(&ours, &Version::parse(&host.text()).expect("a version"))
            .map_err(|refusal| refusal.to_string())
    };
    for plugin in &ages {
        let (major, minor, _) = plugin.version;
        for host in &ages {
            let taken = compatible(&format!("{major}.{minor}"), host);
            let should = host.version.0 == major && host.version.1 >= minor;
            assert_eq!(taken.is_ok(), should, "plugin {} on host {}: {taken:?}", plugin.text(), host.text());
            // A plugin for a lower minor version is accepted by every host of the major version,
            // and gets defaults for missing methods.
            assert_eq!(compatible(&format!("{major}.0"), host).is_ok(), host.version.0 == major);
        }
    }
    let (first, newest) = (ages[0], ages[ages.len() - 2]);
    let refusal = compatible(&format!("{}.{}", newest.version.0, newest.version.1), first).unwrap_err();
    assert!(refusal.ends_with("upgrade KuberNix, or take an older version of the plugin"), "{refusal}");
}
