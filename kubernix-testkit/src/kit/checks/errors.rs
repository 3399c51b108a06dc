//! Hosts that fail: each call of the plan to its host is refused once.

use super::super::bench::{Bench, Walked, text};
use super::super::context::KitContext;
use super::super::report::{Stop, Verdict, demand, failed, skipped};
use super::super::turn::REFUSED;
use super::super::world::ALPHA;
use std::sync::Arc;

/// More calls than any plan makes.
const MOST: usize = 500;

pub(super) fn contained(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    bench.alpha()?;
    let mut walked = Vec::new();
    for call in 0..MOST {
        let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &said).refusing(call));
        let result = bench.plan(&context);
        let Some(refused) = context.turn.refused() else { break };
        match result {
            Ok(outcome) => walked.push(Walked { refused, outcome: outcome.map(|_| ()) }),
            Err(Stop::Failed(why)) => return failed(format!("when it is refused {}: {why}", refused.what)),
            Err(skip) => return Err(skip),
        }
    }
    bench.walked = Some(walked);
    hooks(bench)
}

/// The same for what runs beside the plan.
fn hooks(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    for hook in ["preflight", "before_stop", "import_image"] {
        for call in 0..MOST {
            let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &said).refusing(call));
            let given = context.clone();
            let result = bench.call(hook, move |component| match hook {
                "preflight" => component.preflight(&*given).map(|_| ()),
                "before_stop" => component.before_stop(&*given),
                _ => component.import_image(&*given, "oci-archive:/a.tar", "kit.local/a:1").map(|_| ()),
            });
            let Some(refused) = context.turn.refused() else { break };
            if let Err(Stop::Failed(why)) = result {
                return failed(format!("when `{hook}` is refused {}: {why}", refused.what));
            }
        }
    }
    Ok(())
}

pub(super) fn passed_on(bench: &mut Bench) -> Verdict {
    let Some(walked) = bench.walked.take() else { return skipped("it doesn't return when a call fails") };
    for Walked { refused, outcome } in walked.iter().filter(|walked| walked.refused.as_error) {
        let what = &refused.what;
        let Err(error) = outcome else {
            return failed(format!("it is refused {what}, and plans as if nothing were"));
        };
        let said = text(error);
        let asked = what.split('`').nth(1).unwrap_or(what);
        let named = !asked.is_empty() && said.contains(asked) || said.contains(REFUSED);
        demand(named && !said.is_empty(), || format!("it is refused {what}, and says only {said:?}"))?;
    }
    Ok(())
}
