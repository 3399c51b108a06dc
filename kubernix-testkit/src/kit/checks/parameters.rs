//! What users may write into a config.

use super::super::bench::{Bench, shortened, text};
use super::super::context::KitContext;
use super::super::report::{Stop, Verdict, demand, failed};
use super::super::world::ALPHA;
use std::sync::Arc;

/// What no parameter expects.
const GARBAGE: [&str; 14] = [
    "",
    " ",
    "-1",
    "99999999999999999999999",
    "1e9",
    "\u{202e}\u{e4}",
    "a\nb: c",
    "\0",
    "'; touch /tmp/x #",
    "$(id)",
    "../../../etc/passwd",
    "%s%n",
    "{{node.ip}}",
    "--other-flag=x",
];

pub(super) fn guarded(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    bench.alpha()?;
    let long = "x".repeat(10_000);
    for parameter in &said.parameters {
        for value in GARBAGE.iter().copied().chain([long.as_str()]) {
            let name = &parameter.name;
            let context = Arc::new(KitContext::new(bench.world(ALPHA)?.parameter(name, value), &said));
            // A host's planner would refuse paths that climb; here it is the component that is
            // looked at.
            let shown = shortened(value);
            let planned = match bench.plan(&context) {
                Err(Stop::Failed(why)) => return failed(format!("with parameter `{name}` as {shown}: {why}")),
                planned => planned?,
            };
            let Err(error) = planned else { continue };
            let said = text(&error);
            let named = said.contains(name.as_str()) || !value.trim().is_empty() && said.contains(value);
            demand(named, || format!("with parameter `{name}` as {shown} it says only {said:?}"))?;
        }
    }
    Ok(())
}
