//! Live checks: a cluster with only the checked component and its requirements, in which the checks
//! of its roles run. This module selects the components of that cluster. Must not know the checks.

use kubernix_core::Requirement;
use kubernix_host::cluster::Host;
use kubernix_testkit::kit::{CheckResult, Outcome};
use kubernix_testkit::live;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The check that the component's plan is valid, with the context of a real host.
pub const PLANS: &str = "host-plans";
/// The check that the component boots, and its probes pass.
pub const BOOTS: &str = "live-boots";
/// The check that its cluster stops in order.
pub const STOPS: &str = "live-stops";
/// Stands for all live checks if they are skipped.
const LIVE: &str = "live";

/// The roles of a component that have live checks.
pub fn roles(provides: &[String]) -> Vec<&str> {
    provides.iter().map(String::as_str).filter(|role| !live::checks(role).is_empty()).collect()
}

/// The result if nothing is booted.
pub fn skipped(why: impl Into<String>) -> CheckResult {
    CheckResult { id: LIVE, outcome: Outcome::Skipped { why: why.into() } }
}

/// The result of one check.
pub fn result(id: &'static str, result: Result<(), String>) -> CheckResult {
    let outcome = match result {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed { why },
    };
    CheckResult { id, outcome }
}

/// The slots that a component fills: `ROLE=COMPONENT`.
pub fn own_slots(host: &Host, name: &str) -> Vec<String> {
    let own = host.registry.components.iter().find(|component| component.name() == name);
    let roles = own.into_iter().flat_map(|component| &component.description.provides);
    roles.map(|role| format!("{role}={name}")).collect()
}

/// The slots of a cluster in which only this component and its requirements run: `ROLE=COMPONENT`,
/// `ROLE=none`. `filled`: the component of each role in a complete cluster.
pub fn slots(host: &Host, filled: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    let components = &host.registry.components;
    let find = |name: &str| components.iter().find(|component| component.name() == name);
    let mut used = BTreeSet::new();
    let mut next = vec![name.to_owned()];
    while let Some(name) = next.pop() {
        let Some(component) = find(&name).filter(|_| used.insert(name.clone())) else { continue };
        let required = component.description.requires.iter().map(|Requirement { role, .. }| role.as_str());
        next.extend(required.filter_map(|role| filled.get(role).cloned()));
    }
    let roles: BTreeSet<&str> =
        components.iter().flat_map(|component| &component.description.provides).map(|role| role.as_str()).collect();
    let of_used = |role: &&str| used.iter().filter_map(|name| find(name)).any(|component| component.provides(role));
    let (kept, empty): (BTreeSet<&str>, BTreeSet<&str>) = roles.into_iter().partition(of_used);
    let empty = empty.into_iter().filter(|role| !kept.contains(role)).map(|role| format!("{role}=none"));
    own_slots(host, name).into_iter().chain(empty).collect()
}

/// The URL of a role by a component's plan.
pub fn url<'a>(plan: &'a Value, component: &str, role: &str) -> Option<&'a str> {
    let instances = plan["instances"].as_array()?.iter().filter(|instance| instance["component"] == component);
    let provided = instances.filter_map(|instance| instance["plan"]["provides"].as_array()).flatten();
    provided.filter(|endpoint| endpoint["role"] == role).find_map(|endpoint| endpoint["url"].as_str())
}
