//! The live part: a cluster of nothing but what is checked, and of what that requires, in which the checks of its roles talk to
//! it. This module knows how such a cluster is put together, and not what is asked of it.

use kubernix_core::Requirement;
use kubernix_host::cluster::Host;
use kubernix_testkit::kit::{CheckResult, Outcome};
use kubernix_testkit::live;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A host makes a plan of it, with the context that components really get.
pub const PLANS: &str = "host-plans";
/// It boots, and its probes pass.
pub const BOOTS: &str = "live-boots";
/// Its cluster stops in order.
pub const STOPS: &str = "live-stops";
/// What stands for all live checks where there are none.
const LIVE: &str = "live";

/// The roles of a component that are asked something once they run.
pub fn roles(provides: &[String]) -> Vec<&str> {
    provides.iter().map(String::as_str).filter(|role| !live::checks(role).is_empty()).collect()
}

/// The report's line where nothing is booted.
pub fn skipped(why: impl Into<String>) -> CheckResult {
    CheckResult { id: LIVE, outcome: Outcome::Skipped { why: why.into() } }
}

/// The report's line for what worked, or didn't.
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

/// The slots of a cluster in which only this component runs, and whatever it requires: `ROLE=COMPONENT`, `ROLE=none`.
/// `filled`: what fills each role of a whole cluster.
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

/// Where a component's plan says that a role answers.
pub fn url<'a>(plan: &'a Value, component: &str, role: &str) -> Option<&'a str> {
    let instances = plan["instances"].as_array()?.iter().filter(|instance| instance["component"] == component);
    let provided = instances.filter_map(|instance| instance["plan"]["provides"].as_array()).flatten();
    provided.filter(|endpoint| endpoint["role"] == role).find_map(|endpoint| endpoint["url"].as_str())
}
