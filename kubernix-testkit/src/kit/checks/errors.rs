//! Checks with failing hosts: each call of `plan` to its host fails once.

use super::super::bench::{Bench, FaultRun, text};
use super::super::context::KitContext;
use super::super::fault::REFUSED;
use super::super::report::{Stop, Verdict, demand, failed, skipped};
use super::super::world::ALPHA;
use std::sync::Arc;

/// More calls than any plan makes.
const MAX_CALLS: usize = 500;

pub(super) fn contained(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    bench.alpha()?;
    let mut fault_runs = Vec::new();
    for call in 0..MAX_CALLS {
        let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &description).refusing(call));
        let result = bench.plan(&context);
        let Some(refused) = context.fault.failed_call() else { break };
        match result {
            Ok(outcome) => fault_runs.push(FaultRun { refused, outcome: outcome.map(|_| ()) }),
            Err(Stop::Failed(why)) => return failed(format!("when the call {} fails: {why}", refused.what)),
            Err(skip) => return Err(skip),
        }
    }
    bench.fault_runs = Some(fault_runs);
    hooks(bench)
}

/// The same for hooks.
fn hooks(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for hook in ["preflight", "before_stop", "import_image"] {
        for call in 0..MAX_CALLS {
            let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &description).refusing(call));
            let given = context.clone();
            let result = bench.call(hook, move |component| match hook {
                "preflight" => component.preflight(&*given).map(|_| ()),
                "before_stop" => component.before_stop(&*given),
                _ => component.import_image(&*given, "oci-archive:/a.tar", "kit.local/a:1").map(|_| ()),
            });
            let Some(refused) = context.fault.failed_call() else { break };
            if let Err(Stop::Failed(why)) = result {
                return failed(format!("when the call {} of `{hook}` fails: {why}", refused.what));
            }
        }
    }
    Ok(())
}

pub(super) fn passed_on(bench: &mut Bench) -> Verdict {
    let Some(fault_runs) = bench.fault_runs.take() else { return skipped("it doesn't return when a call fails") };
    for FaultRun { refused, outcome } in fault_runs.iter().filter(|fault_runs| fault_runs.refused.as_error) {
        let what = &refused.what;
        let Err(error) = outcome else {
            return failed(format!("`plan` succeeds although the call {what} fails"));
        };
        let message = text(error);
        let asked = what.split('`').nth(1).unwrap_or(what);
        let named = !asked.is_empty() && message.contains(asked) || message.contains(REFUSED);
        demand(named && !message.is_empty(), || {
            format!("the call {what} fails, but the error of `plan` is {message:?}")
        })?;
    }
    Ok(())
}
