//! Checks of the paths that a plan writes, and their permissions.

use super::super::bench::{Bench, Planned};
use super::super::recorder::process_texts;
use super::super::report::{Verdict, demand, failed};
use kubernix_core::Scope;
use kubernix_core::abi::{AbiContext, Description};
use std::collections::BTreeSet;
use std::path::Path;

/// Directories with data of the host.
const DATA: [&str; 8] = ["/var/", "/run/", "/tmp/", "/home/", "/root/", "/srv/", "/opt/", "/mnt/"];
/// Forbidden bits: write permission for others than the owner, setuid, setgid, sticky.
const FORBIDDEN: u32 = !0o755;

/// The directories that it may write into.
pub(super) fn own(planned: &Planned, description: &Description) -> Vec<String> {
    let directory = |name: &str| planned.context.directory(name.into()).into_result().ok().map(String::from);
    let mut own: Vec<String> = ["state", "shared", "volatile"].into_iter().filter_map(directory).collect();
    own.extend(directory("node").filter(|_| description.scope == Scope::NODE));
    own
}

/// Whether a path lies in one of these directories.
pub(super) fn within(path: &str, directories: &[String]) -> bool {
    let climbs = path.split('/').any(|part| part == "..");
    !climbs && directories.iter().any(|directory| Path::new(path).starts_with(directory))
}

pub(super) fn inside(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for planned in [bench.alpha()?, bench.beta()?] {
        let own = own(&planned, &description);
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
        let texts = planned.plan.processes.iter().flat_map(process_texts);
        let found = texts.flat_map(paths).filter(|path| DATA.iter().any(|data| path.starts_with(data)));
        found.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    // The two plans have no directory in common, so a path in both plans is fixed.
    match fixed(&alpha).intersection(&fixed(&beta)).next() {
        Some(path) => failed(format!("a process uses `{path}` in every context: two clusters would share it")),
        None => Ok(()),
    }
}

pub(super) fn modes(bench: &mut Bench) -> Verdict {
    for written in bench.alpha()?.plan.written {
        let what = if written.content.is_some() { "file" } else { "directory" };
        demand(written.mode & FORBIDDEN == 0, || {
            format!(
                "{what} `{}` has mode {:04o}: use no write permission for others, setuid, setgid or sticky bit",
                written.path, written.mode
            )
        })?;
    }
    Ok(())
}

/// The absolute paths in an argument: `--a=/b,/c`. Skips URLs with a host.
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
    fn parent_components_and_common_prefixes_are_not_within() {
        let own = ["/a/b".to_owned()];
        assert!(within("/a/b/c", &own) && within("/a/b", &own));
        assert!(!within("/a/bc", &own) && !within("/a/b/../c", &own) && !within("a/b", &own));
    }
}
