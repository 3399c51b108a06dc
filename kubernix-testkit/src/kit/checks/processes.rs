//! What the plan runs.

use super::super::bench::{Bench, Planned};
use super::super::context::KitContext;
use super::super::report::{Verdict, demand, failed};
use super::super::taken::{Taken, said};
use super::super::world::{ALPHA, World};
use kubernix_core::abi::AbiPlanner;
use kubernix_core::{Error, Plan, Restart, Signal, is_name};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Signals that don't ask a process to end: none, SIGSTOP and what is no signal (signal(7)).
const SIGNALS: std::ops::RangeInclusive<u32> = 1..=64;
const SIGSTOP: Signal = Signal(19);
/// The longest time to end that a cluster waits for: as long as a hook may take.
const GRACE: Duration = Duration::from_secs(60);

pub(super) fn named(bench: &mut Bench) -> Verdict {
    let mut seen = BTreeSet::new();
    for process in bench.alpha()?.plan.processes {
        demand(is_name(&process.name), || format!("process {:?} is not named by a DNS label", process.name))?;
        let known = [Restart::ALWAYS, Restart::NEVER].contains(&process.restart);
        demand(known, || format!("process `{}` has {}, which no host knows", process.name, process.restart))?;
        // The rules that a host's own planner has.
        if is_name(&process.name) && process.program.starts_with('/') {
            let answer = AbiPlanner::process(&mut Plan::default(), (&process).into()).into_result();
            answer.or_else(|error| failed(Error::from(error).frames().join(": ")))?;
        }
        demand(seen.insert(process.name.clone()), || format!("the plan names process `{}` twice", process.name))?;
    }
    Ok(())
}

/// Whether a program is a binary that the host gave, or a script of the plan.
pub(super) fn is_known(program: &str, world: World, context: &KitContext, plan: &Taken) -> bool {
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
                "process `{name}` runs `{program}`, which is neither a binary that it asked its context for nor a script of the plan"
            )
        })?;
    }
    Ok(())
}

pub(super) fn stop(bench: &mut Bench) -> Verdict {
    for process in bench.alpha()?.plan.processes {
        let (name, signal, grace) = (&process.name, process.stop_signal, process.stop_grace);
        let asks = SIGNALS.contains(&signal.0) && signal != SIGSTOP;
        demand(asks, || format!("process `{name}` is stopped by {signal}, which ends nothing"))?;
        demand(grace <= GRACE, || format!("process `{name}` has {grace:?} to end: a minute is the most"))?;
    }
    Ok(())
}

pub(super) fn secrets(bench: &mut Bench) -> Verdict {
    const MARK: &str = "kit-secret-4711";
    let plan = bench.alpha()?.plan;
    let declared = bench.said()?;
    let told = |plan: &Taken, secret: &str| {
        let found = plan.processes.iter().find(|process| said(process).any(|text| text.contains(secret)));
        found.map(|process| process.name.clone())
    };
    for mark in ["-----BEGIN", "PRIVATE KEY"] {
        if let Some(name) = told(&plan, mark) {
            return failed(format!("process `{name}` is told a key or certificate itself: tell it the file's path"));
        }
    }
    let telling = |name: &str| ["password", "token", "secret"].iter().any(|word| name.contains(word));
    for parameter in declared.parameters.iter().filter(|parameter| telling(&parameter.name)) {
        let fake = bench.world(ALPHA)?.parameter(&parameter.name, MARK);
        let plan = bench.plan(&Arc::new(KitContext::new(fake, &declared)))?;
        if let Some(process) = plan.ok().and_then(|plan| told(&plan, MARK)) {
            let name = &parameter.name;
            return failed(format!("process `{process}` is told parameter `{name}` itself: write it into a file"));
        }
    }
    Ok(())
}
