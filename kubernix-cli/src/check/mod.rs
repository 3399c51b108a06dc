//! `kubernix plugin check`: loads plugins from files and runs the checks of the conformance kit on
//! them.
//!
//! Must not know any component.

pub mod inside;
pub mod live;

use kubernix_core::abi::{self, Handle};
use kubernix_core::{Error, ErrorKind, Result};
use kubernix_host::chain;
use kubernix_host::plugins::{self, Discovery, Found, Kind, Manifest, Search, Trust, declared};
use kubernix_testkit::kit::{self, CheckResult, Declared, Outcome, Report, Subject};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The first check: a host accepts the file, its manifest and its layout.
const LOADS: &str = "file-loads";

/// The results for the plugin of one file.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The file.
    pub file: PathBuf,
    /// The roles that it fills. Empty if it doesn't load.
    pub roles: Vec<String>,
    /// The results of the checks.
    #[serde(flatten)]
    pub report: Report,
}

impl Checked {
    /// Whether it loads, so that further checks are possible.
    pub fn loads(&self) -> bool {
        !self.report.failed().contains(&LOADS)
    }
}

/// Checks the plugin of a file, or all plugins of a directory. Starts no process and writes no
/// file.
pub fn plugins(path: &Path) -> Vec<Checked> {
    let search = Search { given: vec![path.to_owned()], ..Search::default() };
    let Discovery { found, problems } = search.run(&Trust::of_process());
    let refused = problems.into_iter().map(|problem| {
        let name = problem.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        refused(problem.path, name, chain(&problem.error))
    });
    found.into_iter().map(checked).chain(refused).collect()
}

fn checked(found: Found) -> Checked {
    let subject = match subject(&found) {
        Ok(subject) => subject,
        Err(why) => return refused(found.path, found.name, why),
    };
    let mut report = kit::check(&subject);
    report.checks.insert(0, CheckResult { id: LOADS, outcome: Outcome::Passed });
    Checked { file: found.path, roles: found.provides, report }
}

fn refused(file: PathBuf, component: String, why: String) -> Checked {
    let failed = CheckResult { id: LOADS, outcome: Outcome::Failed { why } };
    Checked { file, roles: Vec::new(), report: Report { component, checks: vec![failed] } }
}

/// The component and its manifest, in the form that the kit expects. The error is the reason of the
/// failed check.
fn subject(found: &Found) -> std::result::Result<Subject, String> {
    let path = found.path.clone();
    match (found.kind, &found.manifest) {
        (Kind::SharedLibrary, Some(manifest)) => {
            manifest.fits_this_host().map_err(|refusal| refusal.to_string())?;
            let version = plugins::load(&path).map_err(|error| chain(&error))?.version;
            Ok(Subject::new(move || library(&path)).declared(declared(manifest), version))
        }
        (Kind::SharedLibrary, None) => Err(format!("{}: it has no manifest", path.display())),
        (Kind::Toml, _) => {
            declared::read(&path).map_err(|error| chain(&error))?;
            Ok(Subject::new(move || without_rust(&path)))
        }
    }
}

fn library(path: &Path) -> Result<Handle> {
    Ok(plugins::load(path).map_err(|error| Error::new(ErrorKind::OTHER, chain(&error)))?.handle)
}

fn without_rust(path: &Path) -> Result<Handle> {
    Ok(abi::component(declared::read(path).map_err(|error| Error::new(ErrorKind::OTHER, chain(&error)))?))
}

fn declared(manifest: &Manifest) -> Declared {
    Declared {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        provides: manifest.provides.clone(),
        requires: manifest.requires.clone(),
        binaries: manifest.binaries.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(probe: &str) -> String {
        format!(
            "[component]\nname = \"note\"\nversion = \"1.0.0\"\ndescription = \"x\"\nphase = \"Addon\"\nprovides = \
             [\"note\"]\nrequires = [\"apiserver\"]\n[[provide]]\nrole = \"note\"\nurl = \"\"\nprobe = {probe}\n\
             [[manifest]]\nname = \"note\"\nyaml = \"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: note}}}}\"\n"
        )
    }

    #[test]
    fn every_file_of_a_directory_is_checked_and_a_load_error_is_a_failed_check() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(base.join(name), text).unwrap();
            std::fs::set_permissions(base.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        };
        write(
            "a.toml",
            &toml("{ kind = \"http\", target = \"{{endpoint.apiserver}}/healthz\", identity = \"admin\" }"),
        );
        write("b.toml", &toml("{ kind = \"nothing\" }").replace("note", "other"));
        write("libc.so", "no library");
        let all = plugins(&base);
        let failed: Vec<_> = all.iter().map(|one| (one.report.component.as_str(), one.report.failed())).collect();
        assert_eq!(failed, [("note", vec![]), ("other", vec![LOADS]), ("libc", vec![LOADS])], "{all:#?}");
        assert_eq!(all[0].report.checks.len(), kit::checks().len() + 1);
        let json = serde_json::to_value(&all[1]).unwrap();
        assert!(json["checks"][0]["why"].as_str().unwrap().contains("b.toml"), "{json}");
    }
}
