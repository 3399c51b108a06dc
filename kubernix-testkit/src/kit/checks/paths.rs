//! Where the plan writes, and with which permissions.

use super::super::bench::{Bench, Planned};
use super::super::report::{Verdict, demand, failed};
use super::super::taken::said;
use kubernix_core::Scope;
use kubernix_core::abi::{AbiContext, Description};
use std::collections::BTreeSet;
use std::path::Path;

/// Where a host's data lies that isn't this cluster's.
const DATA: [&str; 8] = ["/var/", "/run/", "/tmp/", "/home/", "/root/", "/srv/", "/opt/", "/mnt/"];
/// Only the owner may write, and there is no setuid or setgid bit.
const FORBIDDEN: u32 = !0o755;

/// The directories that it may write into.
pub(super) fn own(planned: &Planned, said: &Description) -> Vec<String> {
    let directory = |name: &str| planned.context.directory(name.into()).into_result().ok().map(String::from);
    let mut own: Vec<String> = ["state", "shared", "volatile"].into_iter().filter_map(directory).collect();
    own.extend(directory("node").filter(|_| said.scope == Scope::NODE));
    own
}

/// Whether a path lies in one of these directories.
pub(super) fn within(path: &str, directories: &[String]) -> bool {
    let climbs = path.split('/').any(|part| part == "..");
    !climbs && directories.iter().any(|directory| Path::new(path).starts_with(directory))
}

pub(super) fn inside(bench: &mut Bench) -> Verdict {
    let said = bench.said()?;
    for planned in [bench.alpha()?, bench.beta()?] {
        let own = own(&planned, &said);
        let mut files = BTreeSet::new();
        for written in &planned.plan.written {
            let path = &written.path;
            demand(within(path, &own), || format!("the plan writes `{path}`, which is not in {}", own.join(" or ")))?;
            let twice = written.content.is_some() && !files.insert(path);
            demand(!twice, || format!("the plan names file `{path}` twice"))?;
        }
    }
    Ok(())
}

pub(super) fn from_context(bench: &mut Bench) -> Verdict {
    let (alpha, beta) = (bench.alpha()?, bench.beta()?);
    let fixed = |planned: &Planned| {
        let texts = planned.plan.processes.iter().flat_map(said);
        let found = texts.flat_map(paths).filter(|path| DATA.iter().any(|data| path.starts_with(data)));
        found.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    // What is in both plans, though no two directories are the same, is fixed.
    match fixed(&alpha).intersection(&fixed(&beta)).next() {
        Some(path) => failed(format!("a process is told `{path}`, whatever the context: two clusters would share it")),
        None => Ok(()),
    }
}

pub(super) fn modes(bench: &mut Bench) -> Verdict {
    for written in bench.alpha()?.plan.written {
        let what = if written.content.is_some() { "file" } else { "directory" };
        demand(written.mode & FORBIDDEN == 0, || {
            format!("{what} `{}` has mode {:04o}: others could write it, or gain by it", written.path, written.mode)
        })?;
    }
    Ok(())
}

/// The absolute paths in an argument: `--a=/b,/c`. Not those of URLs with a host.
fn paths(text: &str) -> Vec<&str> {
    let starts = text.match_indices('/').map(|(at, _)| at).filter(|at| {
        let before = &text[..*at];
        before.is_empty() || before.ends_with("://") || before.ends_with(['=', ',', ':', ';', ' ', '"', '\'', '['])
    });
    let ends = |at: usize| text[at..].find([',', ':', ';', ' ', '"', '\'', ']']).map_or(text.len(), |end| at + end);
    starts.filter(|at| !text[*at..].starts_with("//")).map(|at| &text[at..ends(at)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_arguments_and_not_in_urls() {
        assert_eq!(paths("/a/b"), ["/a/b"]);
        assert_eq!(paths("--x=/a/b,/c"), ["/a/b", "/c"]);
        assert_eq!(paths("--x=unix:///a/b.sock"), ["/a/b.sock"]);
        assert_eq!(paths("--x=a/b https://1.2.3.4:5/healthz"), [""; 0]);
    }

    #[test]
    fn what_climbs_or_only_begins_alike_is_outside() {
        let own = ["/a/b".to_owned()];
        assert!(within("/a/b/c", &own) && within("/a/b", &own));
        assert!(!within("/a/bc", &own) && !within("/a/b/../c", &own) && !within("a/b", &own));
    }
}
