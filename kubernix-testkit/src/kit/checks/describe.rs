//! Checks of a component's description.

use super::super::bench::{self, Bench, text};
use super::super::report::{Stop, Verdict, demand, failed, skipped};
use kubernix_core::abi::Handle;
use kubernix_core::{Binary, ErrorKind, Result};
use std::collections::BTreeSet;

/// How many threads call at once.
const THREADS: usize = 4;

pub(super) fn answers(bench: &mut Bench) -> Verdict {
    match bench.call("describe", Handle::describe)? {
        Ok(description) => bench.description = Some(description),
        // The next check looks at its validity.
        Err(error) if error.kind() == ErrorKind::INVALID => {}
        Err(error) => return failed(text(&error)),
    }
    Ok(())
}

pub(super) fn valid(bench: &mut Bench) -> Verdict {
    if bench.description.is_some() {
        return Ok(());
    }
    match bench.call("describe", Handle::describe) {
        Ok(Err(error)) if error.kind() == ErrorKind::INVALID => failed(text(&error)),
        _ => skipped("it has no description"),
    }
}

pub(super) fn stable(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    let (first, other) = (bench.first()?, bench.make()?);
    let same = |bench: &Bench, how: &str, call| -> Verdict {
        let again: Result<_> = bench.end("describe", call)?;
        let again = again.or_else(|error| failed(format!("{how} it fails: {}", text(&error))))?;
        demand(again == description, || format!("{how} its description is {again:?}, and was {description:?} before"))
    };
    same(bench, "asked again", bench::start(first.clone(), Handle::describe))?;
    let calls: Vec<_> = (0..THREADS).map(|_| bench::start(first.clone(), Handle::describe)).collect();
    calls.into_iter().try_for_each(|call| same(bench, "called by several threads", call))?;
    same(bench, "another instance asked,", bench::start(other, Handle::describe))
}

pub(super) fn binaries(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    let mut seen = BTreeSet::new();
    for binary in &description.binaries {
        demand(seen.insert(binary), || format!("it names binary `{binary}` twice"))?;
        // A host checks the value of a parameter.
        let Some(name) = binary.tool() else { continue };
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '/') && name != "..";
        demand(plain, || format!("{name:?} can't name a binary"))?;
    }
    Ok(())
}

pub(super) fn parameters(bench: &mut Bench) -> Verdict {
    for parameter in bench.description()?.parameters {
        let name = &parameter.name;
        let explained = !parameter.help.trim().is_empty() && !parameter.help.contains(char::is_control);
        demand(explained, || format!("parameter `{name}` doesn't have a help text of one line: {:?}", parameter.help))?;
        demand(name != "binary", || {
            "parameter `binary` is reserved for the host: it replaces the first of `binaries`".into()
        })?;
    }
    Ok(())
}

pub(super) fn manifest(bench: &mut Bench) -> Verdict {
    let declared = bench.declared().cloned().ok_or_else(|| Stop::Skipped("there is no manifest".into()))?;
    let description = bench.description()?;
    let sorted = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let provides = description.provides.iter().map(ToString::to_string).collect();
    let requires = description.requires.iter().map(|required| required.role.to_string()).collect();
    let names = |binaries: &[Binary]| binaries.iter().map(ToString::to_string).collect::<Vec<_>>();
    let version = bench.subject.version.clone().unwrap_or_default();
    let sides = [
        ("name", vec![declared.name], vec![description.name]),
        ("version", vec![declared.version], vec![version]),
        ("provides", sorted(declared.provides), sorted(provides)),
        ("requires", sorted(declared.requires), sorted(requires)),
        ("binaries", names(&declared.binaries), names(&description.binaries)),
    ];
    sides.into_iter().try_for_each(|(key, manifest, own)| {
        let listed = |names: &[String]| names.join(", ");
        demand(manifest == own, || {
            format!("`{key}` is `{}` in the manifest, but `{}` in its description", listed(&manifest), listed(&own))
        })
    })
}
