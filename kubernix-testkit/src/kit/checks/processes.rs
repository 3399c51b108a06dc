//! Checks of a plan's processes.

use super::super::bench::{Bench, Planned};
use super::super::context::KitContext;
use super::super::recorder::{RecordedPlan, process_texts};
use super::super::report::{Verdict, demand, failed};
use super::super::world::{ALPHA, World};
use kubernix_core::abi::AbiPlanner;
use kubernix_core::{Error, Plan, Restart, Signal, is_name};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The valid signals (signal(7)). SIGSTOP doesn't end a process.
const SIGNALS: std::ops::RangeInclusive<u32> = 1..=64;
const SIGSTOP: Signal = Signal(19);
/// The longest grace, the same as the time limit of a hook.
const GRACE: Duration = Duration::from_secs(60);

pub(super) fn named(bench: &mut Bench) -> Verdict {
    let mut seen = BTreeSet::new();
    for process in bench.alpha()?.plan.processes {
        demand(is_name(&process.name), || format!("process {:?} is not named by a DNS label", process.name))?;
        let known = [Restart::ALWAYS, Restart::NEVER].contains(&process.restart);
        demand(known, || {
            format!("process `{}` has {}, which this contract doesn't know", process.name, process.restart)
        })?;
        // The rules of a host's own planner.
        if is_name(&process.name) && process.program.starts_with('/') {
            let answer = AbiPlanner::process(&mut Plan::default(), (&process).into()).into_result();
            answer.or_else(|error| failed(Error::from(error).frames().join(": ")))?;
        }
        demand(seen.insert(process.name.clone()), || format!("the plan names process `{}` twice", process.name))?;
    }
    Ok(())
}

/// Whether a program is a binary from the host, or a script of the plan.
pub(super) fn is_known(program: &str, world: World, context: &KitContext, plan: &RecordedPlan) -> bool {
    let directory = format!("{}/", world.binaries());
    let given = program.strip_prefix(&directory).is_some_and(|name| context.asked().contains(name));
    given || plan.written.iter().any(|w| w.path == program && w.content.is_some() && w.mode & 0o100 != 0)
}

pub(super) fn programs(bench: &mut Bench) -> Verdict {
    let Planned { world, context, plan } = bench.alpha()?;
    for process in &plan.processes {
        demand(is_known(&process.program, world, &context, &plan), || {
            let (name, program) = (&process.name, &process.program);
            format!(
                "process `{name}` runs `{program}`, which is neither a binary from its context nor a script of the plan"
            )
        })?;
    }
    Ok(())
}

pub(super) fn stop(bench: &mut Bench) -> Verdict {
    for process in bench.alpha()?.plan.processes {
        let (name, signal, grace) = (&process.name, process.stop_signal, process.stop_grace);
        let asks = SIGNALS.contains(&signal.0) && signal != SIGSTOP;
        demand(asks, || format!("process `{name}` has the stop signal {signal}, which doesn't end a process"))?;
        demand(grace <= GRACE, || format!("process `{name}` has a grace of {grace:?}: use a minute at most"))?;
    }
    Ok(())
}

pub(super) fn secrets(bench: &mut Bench) -> Verdict {
    const MARK: &str = "kit-secret-4711";
    let plan = bench.alpha()?.plan;
    let declared = bench.description()?;
    for mark in ["-----BEGIN", "PRIVATE KEY"] {
        if let Some(name) = process_with(&plan, mark) {
            return failed(format!(
                "process `{name}` gets a key or certificate as an argument or variable: use the file's path"
            ));
        }
    }
    for parameter in declared.parameters.iter().filter(|parameter| is_secret(&parameter.name)) {
        let fake = bench.world(ALPHA)?.parameter(&parameter.name, MARK);
        let plan = bench.plan(&Arc::new(KitContext::new(fake, &declared)))?;
        if let Some(process) = plan.ok().and_then(|plan| process_with(&plan, MARK)) {
            let name = &parameter.name;
            return failed(format!(
                "process `{process}` gets the secret parameter `{name}` as an argument or variable: write it into a file"
            ));
        }
    }
    Ok(())
}

/// The name of the first process with this text in its arguments or environment.
fn process_with(plan: &RecordedPlan, text: &str) -> Option<String> {
    let found = plan.processes.iter().find(|process| process_texts(process).any(|value| value.contains(text)));
    found.map(|process| process.name.clone())
}

/// Whether a parameter's value is a secret, judging by its name.
fn is_secret(parameter: &str) -> bool {
    ["password", "token", "secret"].iter().any(|word| parameter.contains(word))
}
