//! `plugin list`, `info`, `install` and `remove`: components as files.

use super::App;
use crate::cli::{BootArgs, Output, PluginDirectory, PluginSearch};
use crate::exit::{Exit, Refusal};
use crate::output::{self, Table};
use anyhow::Result;
use kubernix_core::Binary;
use kubernix_host::plugins::{self, Installed, Manifest, Plugin, PluginState, Registry, Search};
use kubernix_host::settings::nearest;
use kubernix_host::toolchain;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The output of `plugin info`.
#[derive(Debug, Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    plugin: &'a Plugin,
    #[serde(flatten)]
    manifest: Option<ManifestInfo>,
}

/// The fields of a manifest that `plugin list` doesn't show.
#[derive(Debug, Serialize)]
struct ManifestInfo {
    description: String,
    authors: Vec<String>,
    license: String,
    homepage: String,
    requires: Vec<String>,
    contract: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    binaries: Vec<Binary>,
    /// The tools for which the manifest has a source.
    tools: Vec<toolchain::Known>,
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
        output::show(self.output(), &self.gather(search)?.plugins, |plugins| listed(plugins))
    }

    pub(super) fn plugin_info(&self, name: &str, search: &PluginSearch) -> Result<()> {
        let plugins = self.gather(search)?.plugins;
        let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name) else {
            let hint = nearest(name, plugins.iter().map(|plugin| plugin.name.as_str()));
            return Err(Refusal::error(Exit::Usage, format!("no plugin `{name}` is found{hint}")));
        };
        let info = Info { plugin, manifest: plugin.manifest.as_ref().map(manifest_info) };
        match self.output() {
            Output::Text => output::print(output::outline(&serde_json::to_value(&info)?)),
            Output::Json => output::show(Output::Json, &info, |_| ""),
        }
    }

    pub(super) fn plugin_manifest(&self, library: &Path, write: bool) -> Result<()> {
        let generated = plugins::generate(library)?;
        if write {
            generated.write()?;
        }
        output::show(self.output(), &generated, |generated| {
            if write { format!("wrote {}\n", generated.path.display()) } else { generated.text.clone() }
        })
    }

    pub(super) fn plugin_install(&self, source: &str, to: &PluginDirectory) -> Result<()> {
        let installed = plugins::install(source, &directory(to)?, &plugins::check_headers)?;
        output::show(self.output(), &installed, |all| all.iter().map(installed_line).collect::<String>())
    }

    pub(super) fn plugin_remove(&self, name: &str, from: &PluginDirectory) -> Result<()> {
        let directory = directory(from)?;
        let entry = plugins::remove(name, &directory)?;
        let removed = Removed { name: entry.name, version: entry.version, directory };
        output::show(self.output(), &removed, |removed| {
            format!("removed {} from {}", named(&removed.name, &removed.version), removed.directory.display())
        })
    }

    /// All components: compiled in, plugins that a boot would find, and those in `search`.
    pub(super) fn gather(&self, search: &PluginSearch) -> Result<Registry> {
        let resolved = self.resolve(&BootArgs::of_plugins(search.plugins.clone()))?;
        Ok(self.host(&resolved.settings)?.registry)
    }
}

/// The directory to install into, or to remove from.
fn directory(flags: &PluginDirectory) -> Result<PathBuf> {
    let search = Search::of_process(Vec::new(), None);
    let chosen = match (&flags.dir, flags.system) {
        (Some(dir), _) => Some(dir.clone()),
        (None, true) => search.system.into_iter().next(),
        (None, false) => search.user,
    };
    chosen.ok_or_else(|| {
        Refusal::error(Exit::Usage, "no home directory is known to install into: set HOME or give --dir")
    })
}

fn manifest_info(manifest: &Manifest) -> ManifestInfo {
    ManifestInfo {
        description: manifest.description.clone(),
        authors: manifest.authors.clone(),
        license: manifest.license.clone(),
        homepage: manifest.homepage.clone(),
        requires: manifest.requires.clone(),
        contract: manifest.contract.to_string(),
        host: manifest.host.as_ref().map(ToString::to_string),
        binaries: manifest.binaries.clone(),
        tools: toolchain::known(&manifest.tools),
    }
}

/// The table, and below it the shadowed and rejected plugins with the reason, which is too long for
/// a column.
fn listed(plugins: &[Plugin]) -> String {
    let columns = ["NAME", "VERSION", "ROLES", "SOURCE", "STATE", "FILE"];
    let table = plugins.iter().fold(Table::new(&columns), |table, plugin| {
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let state = match (plugin.state, plugin.locked) {
            (PluginState::Loaded, true) => "installed",
            (PluginState::Loaded, false) => "loaded",
            (PluginState::Refused, _) => "refused",
        };
        table.row([
            plugin.name.clone(),
            dash(plugin.version.clone().unwrap_or_default()),
            dash(plugin.roles.join(", ")),
            dash(plugin.place.map(|place| place.to_string()).unwrap_or_default()),
            state.into(),
            plugin.path.display().to_string(),
        ])
    });
    let mut text = table.to_string();
    for plugin in plugins {
        let path = plugin.path.display();
        if plugin.shadows_built_in {
            text.push_str(&format!("{path} shadows the {} that is compiled in\n", plugin.name));
        }
        for shadowed in &plugin.shadows {
            text.push_str(&format!("{path} shadows {}\n", shadowed.display()));
        }
        if let Some(error) = &plugin.error {
            text.push_str(&format!("{error}\n"));
        }
    }
    text
}

fn installed_line(installed: &Installed) -> String {
    let Installed { name, version, path, replaced } = installed;
    let instead = match replaced {
        Some(old) if old == version => " again".to_owned(),
        Some(old) if old.is_empty() => " in place of another one".to_owned(),
        Some(old) => format!(" in place of {old}"),
        None => String::new(),
    };
    format!("installed {}{instead}: {}\n", named(name, version), path.display())
}

/// A plugin's name, with its version if it has one.
fn named(name: &str, version: &str) -> String {
    format!("{name} {version}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_list_shows_shadowed_and_rejected_plugins_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        // Independent of the umask.
        let mode =
            |path: &PathBuf, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for name in ["one", "two"] {
            let dir = base.join(name);
            std::fs::create_dir(&dir).unwrap();
            mode(&dir, 0o755);
            for (file, text) in [("libx.so", ""), ("x.toml", "name = \"x\"\nversion = \"1.0.0\"\ncontract = \"1\"\n")] {
                std::fs::write(dir.join(file), text).unwrap();
                mode(&dir.join(file), 0o644);
            }
        }
        std::fs::remove_file(base.join("two/x.toml")).unwrap();
        let search = Search { given: vec![base.join("one"), base.join("two")], ..Search::default() };
        let text = listed(&Registry::gather(Vec::new(), &search).plugins);
        let base = base.display();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[1].starts_with("x     1.0.0    -      --plugin  refused  "), "{text}");
        assert!(lines[2].starts_with("libx  -        -      -         refused  "), "{text}");
        assert!(lines[3].starts_with(&format!("{base}/one/libx.so: not an ELF file")), "{text}");
        assert!(lines[4].starts_with(&format!("`{base}/two/libx.so` has no manifest: write")), "{text}");
    }

    #[test]
    fn an_installation_is_described_in_a_line() {
        let line = |replaced: Option<&str>| {
            let replaced = replaced.map(Into::into);
            installed_line(&Installed {
                name: "x".into(),
                version: "2.0.0".into(),
                path: "/p/libx.so".into(),
                replaced,
            })
        };
        assert_eq!(line(None), "installed x 2.0.0: /p/libx.so\n");
        assert_eq!(line(Some("2.0.0")), "installed x 2.0.0 again: /p/libx.so\n");
        assert_eq!(line(Some("1.0.0")), "installed x 2.0.0 in place of 1.0.0: /p/libx.so\n");
    }
}
