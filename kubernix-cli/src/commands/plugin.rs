//! `plugin`: components that others ship, as files.

use super::App;
use crate::cli::{Output, PluginDirectory, PluginSearch};
use crate::exit::{Exit, Refusal};
use crate::output::{self, Table};
use crate::settings;
use anyhow::Result;
use kubernix_host::plugins::{self, Discovery, Found, Installed, Kind, Manifest, Problem, Search, Trust};
use kubernix_host::root::Root;
use kubernix_host::spec::nearest;
use kubernix_host::toolchain;
use serde::Serialize;
use std::path::PathBuf;

/// A plugin as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    /// The component's name; for what can't be read, the file's.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// The roles that it can fill, as far as its file tells.
    provides: Vec<String>,
    path: PathBuf,
    /// Which place it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<plugins::Place>,
    state: State,
    /// Files that would provide the same, and lose.
    shadows: Vec<PathBuf>,
    /// Why it isn't used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is what was installed.
    Installed,
    /// It may be used, and nobody installed it.
    Found,
    /// It isn't used.
    Refused,
}

/// All that is known of a plugin without loading it.
#[derive(Debug, Serialize)]
struct Info {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    manifest: Option<Said>,
    /// The tools that it brings a way to get for.
    tools: Vec<toolchain::Known>,
}

/// What a manifest says.
#[derive(Debug, Serialize)]
struct Said {
    description: String,
    authors: Vec<String>,
    license: String,
    homepage: String,
    requires: Vec<String>,
    contract: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    binaries: Vec<String>,
}

/// A plugin that was removed.
#[derive(Debug, Serialize)]
struct Removed {
    name: String,
    version: String,
    directory: PathBuf,
}

impl App {
    pub(super) fn plugin_list(&self, search: &PluginSearch) -> Result<()> {
        let rows = rows(self.discover(search)?);
        output::show(self.output(), &rows, |rows| listed(rows))
    }

    pub(super) fn plugin_info(&self, name: &str, search: &PluginSearch) -> Result<()> {
        let discovery = self.discover(search)?;
        let names: Vec<String> = discovery.found.iter().map(|found| found.name.clone()).collect();
        let Some(found) = discovery.found.into_iter().find(|found| found.name == name) else {
            let mut refused = format!("no plugin `{name}` is found{}", nearest(name, names.iter().map(String::as_str)));
            for problem in &discovery.problems {
                refused.push_str(&format!("\n  {}", problem.error));
            }
            return Err(Refusal::error(Exit::Usage, refused));
        };
        let tools = toolchain::known(&found.tools);
        let manifest = found.manifest.as_ref().map(said);
        let info = Info { row: row(found), manifest, tools };
        match self.output() {
            Output::Text => output::print(output::outline(&serde_json::to_value(&info)?)),
            Output::Json => output::show(Output::Json, &info, |_| ""),
        }
    }

    pub(super) fn plugin_install(&self, source: &str, to: &PluginDirectory) -> Result<()> {
        // What can be told of a library without loading it is in its manifest.
        let installed = plugins::install(source, &directory(to)?, &|_, _| Ok(()))?;
        output::show(self.output(), &installed, |all| all.iter().map(told).collect::<String>())
    }

    pub(super) fn plugin_remove(&self, name: &str, from: &PluginDirectory) -> Result<()> {
        let directory = directory(from)?;
        let entry = plugins::remove(name, &directory)?;
        let removed = Removed { name: entry.name, version: entry.version, directory };
        output::show(self.output(), &removed, |removed| {
            format!("removed {} from {}", named(&removed.name, &removed.version), removed.directory.display())
        })
    }

    /// What is found in all places, those of the cluster that is meant among them.
    pub(super) fn discover(&self, search: &PluginSearch) -> Result<Discovery> {
        let place = settings::locate(&self.flags)?;
        let root = Root::new(&place.root, &place.name);
        Ok(Search::of_process(search.plugins.clone(), Some(root.path())).run(&Trust::of_process()))
    }
}

/// The directory to install into, or to remove from.
fn directory(named: &PluginDirectory) -> Result<PathBuf> {
    let search = Search::of_process(Vec::new(), None);
    let chosen = match (&named.dir, named.system) {
        (Some(dir), _) => Some(dir.clone()),
        (None, true) => search.system.into_iter().next(),
        (None, false) => search.user,
    };
    chosen.ok_or_else(|| {
        Refusal::error(Exit::Usage, "no home directory is known to install into: set HOME or give --dir")
    })
}

fn rows(discovery: Discovery) -> Vec<Row> {
    let found = discovery.found.into_iter().map(row);
    found.chain(discovery.problems.into_iter().map(refused)).collect()
}

fn row(found: Found) -> Row {
    Row {
        name: found.name,
        version: found.version,
        kind: Some(found.kind),
        provides: found.provides,
        path: found.path,
        source: Some(found.source),
        state: if found.locked { State::Installed } else { State::Found },
        shadows: found.shadows,
        error: None,
    }
}

fn refused(problem: Problem) -> Row {
    Row {
        name: problem.path.file_name().unwrap_or(problem.path.as_os_str()).to_string_lossy().into_owned(),
        version: None,
        kind: None,
        provides: Vec::new(),
        path: problem.path,
        source: None,
        state: State::Refused,
        shadows: Vec::new(),
        error: Some(problem.error.to_string()),
    }
}

fn said(manifest: &Manifest) -> Said {
    Said {
        description: manifest.description.clone(),
        authors: manifest.authors.clone(),
        license: manifest.license.clone(),
        homepage: manifest.homepage.clone(),
        requires: manifest.requires.clone(),
        contract: manifest.contract.to_string(),
        host: manifest.host.as_ref().map(ToString::to_string),
        binaries: manifest.binaries.clone(),
    }
}

/// The table, and below it what is shadowed or refused: both are too long for a column.
fn listed(rows: &[Row]) -> String {
    let table = rows.iter().fold(Table::new(&["NAME", "VERSION", "ROLES", "SOURCE", "STATE", "FILE"]), |table, row| {
        let dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
        let state = match row.state {
            State::Installed => "installed",
            State::Found => "found",
            State::Refused => "refused",
        };
        table.row([
            row.name.clone(),
            dash(row.version.clone()),
            dash(Some(row.provides.join(", "))),
            dash(row.source.map(|source| source.to_string())),
            state.into(),
            row.path.display().to_string(),
        ])
    });
    let mut text = table.to_string();
    for row in rows {
        for shadowed in &row.shadows {
            text.push_str(&format!("{} shadows {}\n", row.path.display(), shadowed.display()));
        }
        if let Some(error) = &row.error {
            text.push_str(&format!("{error}\n"));
        }
    }
    text
}

fn told(installed: &Installed) -> String {
    let Installed { name, version, path, replaced } = installed;
    let instead = match replaced {
        Some(old) if old == version => " again".to_owned(),
        Some(old) if old.is_empty() => " in place of another one".to_owned(),
        Some(old) => format!(" in place of {old}"),
        None => String::new(),
    };
    format!("installed {}{instead}: {}\n", named(name, version), path.display())
}

/// A plugin with its version, where it has one.
fn named(name: &str, version: &str) -> String {
    format!("{name} {version}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_list_tells_what_wins_what_loses_and_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for name in ["one", "two"] {
            let (dir, file) = (base.join(name), base.join(name).join("kwok.toml"));
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(&file, "[component]\nversion = \"1.0.0\"\n").unwrap();
            // Whatever the umask.
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        std::fs::write(base.join("two/libx.so"), "").unwrap();
        std::fs::set_permissions(base.join("two/libx.so"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let search = Search { given: vec![base.join("one"), base.join("two")], ..Search::default() };
        let text = listed(&rows(search.run(&Trust::of_process())));
        let base = base.display();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[1].starts_with("kwok     1.0.0    -      --plugin  found    "), "{text}");
        assert!(lines[2].starts_with("libx.so  -        -      -         refused  "), "{text}");
        assert_eq!(lines[3], format!("{base}/one/kwok.toml shadows {base}/two/kwok.toml"));
        assert!(lines[4].starts_with(&format!("`{base}/two/libx.so` has no manifest: write")), "{text}");
    }

    #[test]
    fn what_was_installed_is_told_in_a_line() {
        let told = |replaced: Option<&str>| {
            let replaced = replaced.map(Into::into);
            super::told(&Installed { name: "x".into(), version: "2.0.0".into(), path: "/p/libx.so".into(), replaced })
        };
        assert_eq!(told(None), "installed x 2.0.0: /p/libx.so\n");
        assert_eq!(told(Some("2.0.0")), "installed x 2.0.0 again: /p/libx.so\n");
        assert_eq!(told(Some("1.0.0")), "installed x 2.0.0 in place of 1.0.0: /p/libx.so\n");
    }
}
