//! Random clusters, and random changes of them.

use crate::engine::reducer::tests::spec::{
    background, checked, on_node, one_shot, process, server, spec, with_processes, with_roles,
};
use crate::engine::reducer::{ChangePlan, InstanceId, InstanceSpec};
use fastrand::Rng;
use kubernix_core::{Restart, roles};
use std::collections::BTreeSet;
use std::time::Duration;

/// The instances of a state, in boot order.
pub(super) type Instances = Vec<(InstanceId, InstanceSpec)>;

pub(super) fn random(rng: &mut Rng) -> Vec<InstanceSpec> {
    let mut all = vec![server("etcd", &[]), with_roles("api", &[roles::APISERVER, "port"], &["etcd"])];
    if rng.bool() {
        all.push(with_roles("runtime", &[roles::CRI], &[]));
    }
    for node in 1..=rng.usize(..3) {
        all.extend(of_node(rng, &format!("n{node}")));
    }
    for addon in 0..rng.usize(..3) {
        all.push(addon_of(rng, &format!("addon{addon}")));
    }
    all
}

fn of_node(rng: &mut Rng, node: &str) -> Vec<InstanceSpec> {
    let runtime = format!("{}@{node}", roles::CRI);
    let mut all = vec![on_node(node, with_roles(&format!("runtime {node}"), &[&runtime], &[]))];
    if rng.bool() {
        all.push(on_node(node, with_roles(&format!("kubelet {node}"), &[], &[&runtime, roles::APISERVER])));
    }
    all
}

fn addon_of(rng: &mut Rng, name: &str) -> InstanceSpec {
    let needs: &[&str] = if rng.bool() { &[roles::APISERVER] } else { &[] };
    let base = if rng.bool() { server(name, needs) } else { with_roles(name, &[], needs) };
    let base = match rng.u8(..6) {
        4 => {
            let processes = vec![process("first", Restart::ALWAYS), one_shot("once"), process("last", Restart::ALWAYS)];
            InstanceSpec { processes, ..base }
        }
        5 => InstanceSpec { processes: vec![one_shot("once"), checked(name, Restart::ALWAYS)], ..base },
        0 => with_processes(base, &[Restart::ALWAYS, Restart::ALWAYS]),
        1 => with_processes(base, &[Restart::ALWAYS, Restart::NEVER]),
        2 => InstanceSpec { processes: Vec::new(), ..base },
        _ => InstanceSpec { processes: vec![process(name, Restart::ALWAYS)], ..base },
    };
    let base = InstanceSpec { has_builds: rng.bool(), has_manifests: rng.bool(), ..base };
    if rng.bool() { background(base) } else { base }
}

/// A change of these instances. New ones get IDs from `next` on.
pub(super) fn change(rng: &mut Rng, before: &Instances, next: &mut u32) -> ChangePlan {
    let nodes: BTreeSet<&String> = before.iter().filter_map(|(_, spec)| spec.own_node.as_ref()).collect();
    let nodes: Vec<&String> = nodes.into_iter().collect();
    let node = if nodes.is_empty() { None } else { Some(nodes[rng.usize(..nodes.len())].clone()) };
    let on_it = |spec: &InstanceSpec| node.is_some() && spec.own_node == node;
    let mut plan = ChangePlan { limit: Duration::from_secs(30), ..ChangePlan::default() };
    let mut after = Instances::new();
    let mut stops = BTreeSet::new();
    let mut starts = Vec::new();
    match rng.u8(..8) {
        0 => starts.push(addon_of(rng, "new addon")),
        1 => starts.extend(of_node(rng, "n7")),
        2 => {
            starts.extend(of_node(rng, "n8"));
            starts.push(on_node("n9", spec("lonely")));
        }
        3 => stops.extend(before.iter().filter(|(_, spec)| spec.name.contains("addon")).map(|(id, _)| *id)),
        4 => {
            stops.extend(before.iter().filter(|(_, spec)| on_it(spec)).map(|(id, _)| *id));
            plan.drain = node.clone().into_iter().collect();
        }
        5 => {
            // The node is switched off, or on again.
            let of_node: Vec<_> = before.iter().filter(|(_, spec)| on_it(spec)).collect();
            stops.extend(of_node.iter().map(|(id, _)| *id));
            let is_off = of_node.iter().any(|(_, spec)| spec.off);
            starts.extend(of_node.into_iter().map(|(_, spec)| InstanceSpec { off: !is_off, ..spec.clone() }));
            let name: Vec<String> = node.clone().into_iter().collect();
            let (change, back) =
                if is_off { (&mut plan.on, &mut plan.off_before) } else { (&mut plan.off, &mut plan.on_before) };
            (*change, *back) = (name.clone(), name);
        }
        6 => {
            let (id, spec) = &before[rng.usize(..before.len())];
            stops.insert(*id);
            starts.push(spec.clone());
        }
        _ => {}
    }
    // Names are unique.
    starts.retain(|new| before.iter().all(|(id, old)| stops.contains(id) || old.name != new.name));
    let starts: Instances = starts
        .into_iter()
        .map(|spec| {
            *next += 1;
            (InstanceId(*next), spec)
        })
        .collect();
    after.extend(before.iter().filter(|(id, _)| !stops.contains(id)).cloned());
    after.extend(starts.clone());
    plan.order = after.iter().map(|(id, _)| *id).collect();
    plan.stops = stops.into_iter().collect();
    plan.starts = starts;
    plan
}
