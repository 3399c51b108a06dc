//! What a component says of itself.

use super::super::bench::{self, Bench, text};
use super::super::report::{Stop, Verdict, demand, failed, skipped};
use kubernix_core::abi::Handle;
use kubernix_core::{Binary, ErrorKind, Result};
use std::collections::BTreeSet;

/// How many threads ask at once.
const THREADS: usize = 4;

pub(super) fn answers(bench: &mut Bench) -> Verdict {
    match bench.call("describe", Handle::describe)? {
        Ok(said) => bench.said = Some(said),
        // Its validity is the next check's business.
        Err(error) if error.kind() == ErrorKind::INVALID => {}
        Err(error) => return failed(text(&error)),
    }
    Ok(())
}

pub(super) fn valid(bench: &mut Bench) -> Verdict {
    if bench.said.is_some() {
        return Ok(());
    }
    match bench.call("describe", Handle::describe) {
        Ok(Err(error)) if error.kind() == ErrorKind::INVALID => failed(text(&error)),
        _ => skipped("it doesn't say what it is"),
    }
}

pub(super) fn stable(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    let (first, other) = (bench.first()?, bench.make()?);
    let same = |bench: &Bench, how: &str, call| -> Verdict {
        let again: Result<_> = bench.end("describe", call)?;
        let again = again.or_else(|error| failed(format!("{how} it says: {}", text(&error))))?;
        demand(again == said, || format!("{how} it says {again:?}, and said {said:?} before"))
    };
    same(bench, "asked again", bench::start(first.clone(), Handle::describe))?;
    let calls: Vec<_> = (0..THREADS).map(|_| bench::start(first.clone(), Handle::describe)).collect();
    calls.into_iter().try_for_each(|call| same(bench, "asked by several threads", call))?;
    same(bench, "another instance asked,", bench::start(other, Handle::describe))
}

pub(super) fn binaries(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    let mut seen = BTreeSet::new();
    for binary in &said.binaries {
        demand(seen.insert(binary), || format!("it names binary `{binary}` twice"))?;
        // A host checks what a parameter names.
        let Some(name) = binary.tool() else { continue };
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '/') && name != "..";
        demand(plain, || format!("{name:?} can't name a binary"))?;
    }
    Ok(())
}

pub(super) fn parameters(bench: &mut Bench) -> Verdict {
    for parameter in bench.said()?.parameters {
        let name = &parameter.name;
        let explained = !parameter.help.trim().is_empty() && !parameter.help.contains(char::is_control);
        demand(explained, || format!("parameter `{name}` doesn't say in one line what it does: {:?}", parameter.help))?;
        demand(name != "binary", || "parameter `binary` is the host's: it replaces the first of `binaries`".into())?;
    }
    Ok(())
}

pub(super) fn manifest(bench: &mut Bench) -> Verdict {
    let declared = bench.declared().cloned().ok_or_else(|| Stop::Skipped("there is no manifest".into()))?;
    let said = bench.said()?;
    let sorted = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let provides = said.provides.iter().map(ToString::to_string).collect();
    let requires = said.requires.iter().map(|required| required.role.to_string()).collect();
    let names = |binaries: &[Binary]| binaries.iter().map(ToString::to_string).collect::<Vec<_>>();
    let version = bench.subject.version.clone().unwrap_or_default();
    let sides = [
        ("name", vec![declared.name], vec![said.name]),
        ("version", vec![declared.version], vec![version]),
        ("provides", sorted(declared.provides), sorted(provides)),
        ("requires", sorted(declared.requires), sorted(requires)),
        ("binaries", names(&declared.binaries), names(&said.binaries)),
    ];
    sides.into_iter().try_for_each(|(key, manifest, own)| {
        let listed = |names: &[String]| names.join(", ");
        demand(manifest == own, || {
            format!("`{key}` is `{}` in the manifest, but it says `{}` itself", listed(&manifest), listed(&own))
        })
    })
}
