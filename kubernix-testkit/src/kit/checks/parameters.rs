//! Checks of parameters with arbitrary values.

use super::super::bench::{Bench, shortened, text};
use super::super::context::KitContext;
use super::super::report::{Stop, Verdict, demand, failed};
use super::super::world::ALPHA;
use std::sync::Arc;

/// Unusual values.
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
    let description = bench.description()?;
    bench.alpha()?;
    let long = "x".repeat(10_000);
    for parameter in &description.parameters {
        for value in GARBAGE.iter().copied().chain([long.as_str()]) {
            let name = &parameter.name;
            let context = Arc::new(KitContext::new(bench.world(ALPHA)?.parameter(name, value), &description));
            // A host's planner would reject `..` in paths; only the component itself is checked
            // here.
            let shown = shortened(value);
            let planned = match bench.plan(&context) {
                Err(Stop::Failed(why)) => return failed(format!("with parameter `{name}` as {shown}: {why}")),
                planned => planned?,
            };
            let Err(error) = planned else { continue };
            let message = text(&error);
            let named = message.contains(name.as_str()) || !value.trim().is_empty() && message.contains(value);
            demand(named, || format!("with parameter `{name}` as {shown} its error is {message:?}"))?;
        }
    }
    Ok(())
}
