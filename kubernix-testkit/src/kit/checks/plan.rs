//! Checks that the plan is a pure function of the context.

use super::super::bench::{Bench, Planned, start_plan, text};
use super::super::context::{KitContext, Rendezvous};
use super::super::recorder::RecordedPlan;
use super::super::report::{Verdict, demand, failed, skipped};
use super::super::world::{ALPHA, BETA};
use std::fmt::Debug;
use std::sync::Arc;

/// How many threads call `plan` at once.
const THREADS: usize = 4;

/// Creates the plans for other checks. The next check reports a missing plan.
pub(super) fn answers(bench: &mut Bench) -> Verdict {
    for world in [ALPHA, BETA] {
        let context = Arc::new(KitContext::new(bench.world(world)?, &bench.description()?));
        if let Ok(plan) = bench.plan(&context)? {
            let planned = Some(Planned { world, context, plan });
            if world == ALPHA { bench.alpha = planned } else { bench.beta = planned }
        }
    }
    Ok(())
}

pub(super) fn defaults(bench: &mut Bench) -> Verdict {
    if bench.alpha.is_some() && bench.beta.is_some() {
        return Ok(());
    }
    for world in [ALPHA, BETA] {
        let context = Arc::new(KitContext::new(bench.world(world)?, &bench.description()?));
        match bench.plan(&context) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return failed(text(&error)),
            Err(_) => return skipped("it has no plan"),
        }
    }
    failed("`plan` failed the first time and succeeds now")
}

pub(super) fn same(bench: &mut Bench) -> Verdict {
    let Planned { context, plan, .. } = bench.alpha()?;
    equal("called again", &plan, &bench.planned(&context)?)?;
    let copy = Arc::new(KitContext::new(bench.world(ALPHA)?, &bench.description()?));
    equal("for another context of the same content", &plan, &bench.planned(&copy)?)?;
    let other = bench.make()?;
    let other = bench.end("plan", start_plan(other, copy))?;
    match other {
        Ok(other) => equal("in another instance", &plan, &other),
        Err(error) => failed(format!("in another instance it fails: {}", text(&error))),
    }
}

pub(super) fn threads(bench: &mut Bench) -> Verdict {
    let plan = bench.alpha()?.plan;
    let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &bench.description()?));
    if bench.planned(&context).ok().as_ref() != Some(&plan) {
        return skipped("it doesn't give the same plan on one thread");
    }
    let (first, rendezvous) = (bench.first()?, Rendezvous::of(THREADS));
    let mut calls = Vec::new();
    for _ in 0..THREADS {
        let context = KitContext::new(bench.world(ALPHA)?, &bench.description()?).rendezvous(rendezvous.clone());
        calls.push(start_plan(first.clone(), Arc::new(context)));
    }
    calls.into_iter().try_for_each(|call| match bench.end("plan", call)? {
        Ok(other) => equal("called by several threads", &plan, &other),
        Err(error) => failed(format!("called by several threads it fails: {}", text(&error))),
    })
}

pub(super) fn not_remembered(bench: &mut Bench) -> Verdict {
    bench.alpha()?;
    let beta = bench.beta()?;
    for (place, text) in beta.plan.texts() {
        if let Some(mark) = ALPHA.marks().iter().find(|mark| text.contains(*mark)) {
            return failed(format!(
                "{place} of the plan for one context has `{mark}`, which belongs to another context"
            ));
        }
    }
    Ok(())
}

pub(super) fn runs_nothing(bench: &mut Bench) -> Verdict {
    let commands = bench.alpha()?.context.commands();
    commands.first().map_or(Ok(()), |command| failed(format!("`plan` runs {}", command.program)))
}

pub(super) fn asks_declared(bench: &mut Bench) -> Verdict {
    let undeclared = bench.alpha()?.context.undeclared();
    let listed = || undeclared.iter().cloned().collect::<Vec<_>>().join(", ");
    demand(undeclared.is_empty(), || format!("it uses {}, which it doesn't declare", listed()))
}

pub(super) fn extras(bench: &mut Bench) -> Verdict {
    let plan = bench.alpha()?.plan;
    for image in plan.images.iter().chain(plan.builds.iter().map(|build| &build.reference)) {
        let plain = !image.is_empty() && image.chars().all(|c| c.is_ascii_graphic());
        demand(plain, || format!("{image:?} isn't a valid image reference"))?;
    }
    for (name, yaml) in &plan.manifests {
        demand(!name.trim().is_empty(), || "a manifest has no name".into())?;
        demand(!yaml.trim().is_empty(), || format!("manifest `{name}` is empty"))?;
    }
    for build in &plan.builds {
        let has_program = build.parts.iter().any(|(part, _)| part.starts_with("program /"));
        demand(has_program, || format!("image `{}` has no program", build.reference))?;
    }
    for (name, _) in &plan.variables {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        demand(plain, || format!("{name:?} isn't a valid name of a variable: use A-Z, 0-9 and _"))?;
    }
    Ok(())
}

/// Fails with the first difference between two plans.
fn equal(how: &str, one: &RecordedPlan, other: &RecordedPlan) -> Verdict {
    part(how, "processes", &one.processes, &other.processes)?;
    part(how, "files", &one.written, &other.written)?;
    part(how, "roles", &one.filled, &other.filled)?;
    part(how, "manifests", &one.manifests, &other.manifests)?;
    part(how, "images", &one.images, &other.images)?;
    part(how, "images to build", &one.builds, &other.builds)?;
    part(how, "variables", &one.variables, &other.variables)
}

fn part<T: PartialEq + Debug>(how: &str, what: &str, one: &[T], other: &[T]) -> Verdict {
    demand(one.len() == other.len(), || format!("{how} it plans {} {what} and not {}", other.len(), one.len()))?;
    let differ = one.iter().zip(other).find(|(one, other)| one != other);
    differ.map_or(Ok(()), |(one, other)| failed(format!("{how} it plans {other:?} and not {one:?}")))
}
