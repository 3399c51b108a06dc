//! Checks of hooks and of dropping a component.

use super::super::bench::{Bench, start, start_plan, text};
use super::super::context::KitContext;
use super::super::report::{Stop, Verdict, demand, failed, skipped};
use super::super::watch;
use super::super::world::{ALPHA, failing, program_name};
use super::processes::is_known;
use kubernix_core::Command;
use kubernix_core::abi::Handle;
use std::sync::Arc;

/// Names of images, valid and hostile.
const NAMES: [&str; 8] =
    ["kit.local/plain:1", "kit.local/a;touch /tmp/x", "$(id)", "`id`", "a b", "a\nb", "'\"\\", "--option"];
/// Programs that take code as an argument.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "zsh", "busybox", "env"];

pub(super) fn preflight(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for _ in 0..2 {
        let context = KitContext::new(bench.world(ALPHA)?, &description);
        match bench.call("preflight", move |component| component.preflight(&context))? {
            Ok(findings) => {
                let says = findings.iter().all(|finding| !finding.message.trim().is_empty());
                demand(says, || "a finding of `preflight` has no message".into())?;
            }
            // The check itself may fail, since this host doesn't exist.
            Err(error) => demand(!text(&error).trim().is_empty(), || "an error of `preflight` has no message".into())?,
        }
    }
    Ok(())
}

pub(super) fn stop_twice(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for time in ["the first time", "the second time"] {
        let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &description));
        let given = context.clone();
        let stopped = bench.call("before_stop", move |component| component.before_stop(&*given))?;
        stopped.or_else(|error| failed(format!("`before_stop` fails {time}: {}", text(&error))))?;
        let plan = bench.alpha().map(|planned| planned.plan).unwrap_or_default();
        for command in context.commands() {
            known(&command, &context, &plan, "`before_stop` runs")?;
        }
    }
    let context = KitContext::new(bench.world(ALPHA)?.output(failing()), &description);
    // It may report or ignore the failed command.
    bench.call("before_stop", move |component| component.before_stop(&context)).map(|_| ())
}

fn known(command: &Command, context: &KitContext, plan: &super::super::recorder::RecordedPlan, what: &str) -> Verdict {
    let program = &command.program;
    demand(is_known(program, ALPHA, context, plan), || {
        format!("{what} `{program}`, which is neither a binary from its context nor a script of the plan")
    })
}

pub(super) fn import(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    let plan = bench.alpha().map(|planned| planned.plan).unwrap_or_default();
    let mut commands = 0;
    for name in NAMES {
        for archive in ["oci-archive:/a.tar", "docker-archive:/x y;z.tar:kit.local/x:1", "", "/no-transport"] {
            let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &description));
            let given = context.clone();
            let import = move |component: &Handle| component.import_image(&*given, archive, name);
            // It may reject names and archives.
            let Ok(Some(command)) = bench.call("import_image", import)? else { continue };
            commands += 1;
            known(&command, &context, &plan, "`import_image` runs")?;
            one_argument(&command, name)?;
        }
    }
    if commands == 0 { skipped("it imports no images") } else { Ok(()) }
}

/// Checks that the name is in exactly one argument, which isn't shell code.
fn one_argument(command: &Command, name: &str) -> Verdict {
    let with: Vec<usize> = (0..command.args.len()).filter(|at| command.args[*at].contains(name)).collect();
    let &[at] = &with[..] else {
        return failed(format!("an image named {name:?} is in {} arguments of `{}`", with.len(), command.program));
    };
    let before = &command.args[..at];
    let code =
        before.last().is_some_and(|flag| flag.starts_with('-') && !flag.starts_with("--") && flag.ends_with('c'));
    demand(!(SHELLS.contains(&program_name(command)) && code), || {
        format!("an image's name is part of what a shell reads as code: {:?}", command.args[at])
    })?;
    let option = command.args[at] == name && name.starts_with('-') && !before.iter().any(|arg| arg == "--");
    demand(!option, || format!("an image named {name:?} would be an option of `{}`", command.program))
}

pub(super) fn drop_contained(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    let sees_all = watch::listens();
    let plan = bench.alpha().ok().map(|planned| planned.plan);
    let (one, other) = (bench.make()?, bench.make()?);
    let context = Arc::new(KitContext::new(bench.world(ALPHA)?, &description));
    if plan.is_some() {
        // `plan` may leave state behind, so it is called before the drop.
        let _ = bench.end("plan", start_plan(one.clone(), context.clone()));
    }
    let panics = bench.drop_one(one)?;
    demand(panics.is_empty(), || format!("its drop panicked: {}", panics[0]))?;
    let again = bench.end("describe", start(other.clone(), Handle::describe))?;
    demand(again.is_ok_and(|again| again.name == description.name), || {
        "another instance has a different description once one is dropped".into()
    })?;
    if plan.is_some() {
        let again = bench.end("plan", start_plan(other, context))?;
        demand(again.is_ok(), || "another instance has no plan once one is dropped".into())?;
    }
    if sees_all {
        Ok(())
    } else {
        Err(Stop::Skipped("the log isn't forwarded, so a plugin's panic wouldn't be seen".into()))
    }
}
