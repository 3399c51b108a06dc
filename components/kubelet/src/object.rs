//! The planned part of the node's object. It must not know how the kubelet is run.

use kubernix_core::{Context, Error, Result, facts, quote};
use std::fmt::Write;

/// The well-known label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The effects of a taint.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The object as YAML, with labels, taints and the runtime's pod CIDR. The controller manager
/// assigns CIDRs in no fixed order, and only to nodes without one.
pub(crate) fn node(ctx: &Context<'_>) -> Result<String> {
    let node = ctx.node()?;
    let mut yaml = format!("apiVersion: v1\nkind: Node\nmetadata:\n  name: {}\n", quote(&node.name));
    let zone = ctx.fact(facts::TOPOLOGY_ZONE).map(|zone| (ZONE.to_owned(), zone));
    let labels: Vec<(String, String)> = zone.into_iter().chain(labels(&ctx.parameter("labels")?)?).collect();
    if !labels.is_empty() {
        yaml.push_str("  labels:\n");
        for (name, value) in labels {
            line(&mut yaml, format!("    {}: {}", quote(&name), quote(&value)));
        }
    }
    let cidr = quote(&node.pod_cidr);
    line(&mut yaml, format!("spec:\n  podCIDR: {cidr}\n  podCIDRs: [{cidr}]"));
    let taints = taints(&ctx.parameter("taints")?)?;
    if !taints.is_empty() {
        yaml.push_str("  taints:\n");
        for (key, value, effect) in taints {
            line(&mut yaml, format!("  - {{ key: {}, value: {}, effect: {effect} }}", quote(&key), quote(&value)));
        }
    }
    Ok(yaml)
}

fn line(yaml: &mut String, text: String) {
    writeln!(yaml, "{text}").expect("writing to a String can't fail");
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn labels(text: &str) -> Result<Vec<(String, String)>> {
    let label = |word: &str| {
        let pair = word.split_once('=').filter(|(name, _)| !name.is_empty());
        let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Error::invalid(format!("parameter `labels` has `{word}`, which is not NAME=VALUE")))
    };
    words(text).map(label).collect()
}

/// Key, value and effect of each.
fn taints(text: &str) -> Result<Vec<(String, String, String)>> {
    let taint = |word: &str| {
        let split = word.rsplit_once(':').filter(|(key, effect)| !key.is_empty() && EFFECTS.contains(effect));
        let (key, effect) = split.ok_or_else(|| {
            let effects = EFFECTS.join(", ");
            Error::invalid(format!(
                "parameter `taints` has `{word}`, which is not KEY[=VALUE]:EFFECT with one of {effects}"
            ))
        })?;
        let (key, value) = key.split_once('=').unwrap_or((key, ""));
        Ok((key.to_owned(), value.to_owned(), effect.to_owned()))
    };
    words(text).map(taint).collect()
}

#[cfg(test)]
mod tests {
    use crate::component;
    use kubernix_core::facts;
    use kubernix_testkit::{FakeContext, assert_pure, plan};

    #[test]
    fn the_node_has_its_labels_taints_and_zone() {
        let ctx = FakeContext::new().fact(facts::TOPOLOGY_ZONE, "zone-1").parameter("labels", "disk=ssd, empty=");
        let ctx = ctx.parameter("taints", "dedicated=db:NoSchedule,gpu:NoExecute");
        let yaml = &assert_pure(&component(), &ctx).manifests[0].yaml;
        for wanted in [
            "    \"topology.kubernetes.io/zone\": \"zone-1\"\n    \"disk\": \"ssd\"\n    \"empty\": \"\"\n",
            "  podCIDR: \"10.10.0.0/24\"\n",
            "  - { key: \"dedicated\", value: \"db\", effect: NoSchedule }\n  - { key: \"gpu\", value: \"\", effect: NoExecute }\n",
        ] {
            assert!(yaml.contains(wanted), "{wanted} is not in {yaml}");
        }
    }

    #[test]
    fn an_invalid_label_or_taint_is_rejected() {
        for (name, text, wanted) in [
            ("labels", "disk", "`labels` has `disk`, which is not NAME=VALUE"),
            ("taints", "a=b", "`taints` has `a=b`, which is not KEY[=VALUE]:EFFECT"),
            ("taints", "a:Never", "one of NoSchedule, PreferNoSchedule, NoExecute"),
        ] {
            let error = plan(&component(), &FakeContext::new().parameter(name, text)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
