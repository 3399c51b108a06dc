//! What was released stays: plugins that exist work with this checkout, and the contract changes
//! only on purpose.

use crate::ages::{self, Age};
use crate::layouts;
use crate::workshop::Workshop;
use kubernix_host::plugins::{Manifest, load};
use kubernix_tests::{golden, program, run};
use semver::Version;
use std::path::Path;

/// Advice for authors of a change of the contract.
const ADVICE: &str = "the contract changed. Appended methods with default bodies and appended fields make a minor version, which \
                      kubernix-core/Cargo.toml has to say; whatever else makes a major one, which breaks all plugins. \
                      docs/contract-versioning.md has the rules";

#[test]
fn the_contract_changes_on_purpose() {
    // Shown where it doesn't hold.
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
        // By the loader as it ships, in this process: the older side asks, the newer has to have
        // all of it.
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
fn the_version_never_goes_back() {
    let newest = ages::released().pop().expect("one at least");
    assert!(ages::current() >= newest.version, "{} is released already", newest.text());
}

#[test]
fn manifests_keep_newer_plugins_from_older_hosts() {
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
            // A plugin with this version is accepted by each host of the major version, and gets
            // defaults for what that doesn't have.
            assert_eq!(compatible(&format!("{major}.0"), host).is_ok(), host.version.0 == major);
        }
    }
    let (first, newest) = (ages[0], ages[ages.len() - 2]);
    let refusal = compatible(&format!("{}.{}", newest.version.0, newest.version.1), first).unwrap_err();
    assert!(refusal.ends_with("upgrade KuberNix, or take an older version of the plugin"), "{refusal}");
}
