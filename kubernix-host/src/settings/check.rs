//! Checks a single configuration file, for `kubernix config validate`.

use super::document::{Document, Finding};
use super::resolve::resolve_single;
use super::{Catalogue, Defaults, Error, Id, Key, Partial, Settings, catalogue};
use std::fs;
use std::path::Path;

/// A configuration file, read as far as possible.
#[derive(Debug)]
pub struct CheckedFile {
    document: Document,
    settings: Settings,
}

impl CheckedFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The file can't be read, or a default is missing because the user has no home directory.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        let directory = std::path::absolute(path).ok().and_then(|path| Some(path.parent()?.to_owned()));
        Self::parse(path, &text, &directory.unwrap_or_default(), &Defaults::of_process())
    }

    fn parse(path: &Path, text: &str, directory: &Path, defaults: &Defaults) -> Result<Self, Error> {
        let mut document = Document::read(path, text);
        let mut invalid = document.partial.make_absolute(directory, defaults.home.as_deref());
        for id in Id::ALL.iter().copied() {
            let accepted = (id.setting().operations.accept)(&document.partial);
            invalid.extend(accepted.err().map(|reason| (Key::Plain(id), reason)));
        }
        for (key, reason) in invalid {
            document.find(&key.to_string(), reason.to_string());
        }
        // Only the settings that find plugins and name components. They are valid at this point.
        let Partial { name, root, plugins, plugin_path, addon_files, slots, components, .. } = document.partial.clone();
        let source = Partial { name, root, plugins, plugin_path, addon_files, slots, components, ..Partial::default() };
        Ok(Self { settings: resolve_single(source, Partial::default(), defaults)?, document })
    }

    /// The settings that find plugins, to build the catalogue for [`CheckedFile::findings`].
    /// `others` has further places to search, such as those of the environment.
    ///
    /// # Errors
    /// A path of `others` is empty or not UTF-8.
    pub fn settings(&self, others: Partial, cwd: &Path) -> Result<Settings, Error> {
        let mut settings = self.settings.clone();
        let Partial { plugins, plugin_path, .. } = others.based_at(cwd, Defaults::of_process().home.as_deref())?;
        settings.plugins.extend(plugins.into_iter().flatten());
        settings.plugin_path.extend(plugin_path.into_iter().flatten());
        Ok(settings)
    }

    /// All errors, in the order of the file. They include components, roles, parameters and addons
    /// that don't exist.
    pub fn findings(&self, catalogue: &Catalogue) -> Vec<Finding> {
        let mut document = self.document.clone();
        for error in catalogue::findings(&self.settings, catalogue) {
            let key = error.key().unwrap_or_default();
            document.find(&key, error.to_string());
        }
        let addons = self.document.partial.addons.iter().flatten();
        for name in addons.filter(|name| catalogue.get(name).is_none()) {
            let hint = super::nearest(name, catalogue.components.iter().map(|entry| entry.name.as_str()));
            document.find(Id::Addons.setting().key(), format!("there is no addon `{name}`{hint}"));
        }
        document.findings.sort();
        document.findings
    }
}

impl Document {
    fn find(&mut self, key: &str, message: String) {
        let (line, column) = self.positions.get(key).copied().unwrap_or((1, 1));
        self.findings.push(Finding { line, column, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let entry = |name: &str, role: &str| super::super::Entry {
            name: name.into(),
            provides: vec![role.into()],
            parameters: vec![kubernix_core::Parameter::new("log-level", "info", "help")],
            binaries: vec![name.into()],
        };
        Catalogue { components: vec![entry("crio", "cri"), entry("coredns", "dns")], tools: Vec::new() }
    }

    fn findings(text: &str) -> Vec<String> {
        let home = Some("/home/me".into());
        let defaults = Defaults { root: Some("/s".into()), cache_dir: Some("/c".into()), home, config: None };
        let file = CheckedFile::parse(Path::new("k.toml"), text, Path::new("/d"), &defaults).unwrap();
        let found = file.findings(&catalogue()).into_iter();
        found.map(|it| format!("{}:{}: {}", it.line, it.column, it.message)).collect()
    }

    #[test]
    fn findings_are_all_errors_in_the_order_of_the_file() {
        let text = "colour = 1\nname = \"A\"\ncidr = \"10.0.0.0/28\"\nport = \"x\"\nroot = \"\"\naddons = [\"corends\"]\n\
                    [slots]\ncri = \"criio\"\n  cry = \"crio\"\n[components.crio]\nlog-levl = 1\nbinary = \"\"\nx = []\n\
                    [node.node-1.slot]\n";
        let expected = [
            "1:1: unknown key `colour`",
            "2:8: `A` can't name a cluster",
            "3:8: `10.0.0.0/28` is too small",
            "4:8: `port` must be a number",
            "5:8: a path can't be empty",
            "6:10: there is no addon `corends`, did you mean `coredns`?",
            "8:7: unknown component `criio`, did you mean `crio`?",
            "9:9: unknown role `cry`, did you mean `cri`?",
            "11:12: unknown parameter `log-levl` of `crio`, did you mean `log-level`?",
            "12:10: a path can't be empty",
            "13:5: `components.crio.x` must be text",
            "14:14: unknown key `slot` of a node, did you mean `slots`?",
        ];
        let found = findings(text);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}: {expected}");
        }
    }

    #[test]
    fn a_valid_file_has_no_findings() {
        let text = "name = \"a\"\nport = 7000\naddons = []\nplugins = [\"~/p\"]\n[slots]\ncri = \"crio\"\ndns = \"none\"\n\
                    [components.crio]\nlog-level = \"debug\"\n[node.node-1.components.crio]\nlog-level = \"debug\"\n";
        assert_eq!(findings(text), Vec::<String>::new());
        assert_eq!(findings(""), Vec::<String>::new());
    }

    #[test]
    fn a_file_with_syntax_errors_has_no_other_findings() {
        let found = findings("a = = 1\nport = 7000\nb = [1\ncolour = 2\nname = \"x\n");
        assert!(found.len() > 1 && found[0].starts_with("1:5: "), "{found:#?}");
        assert!(found.iter().all(|it| !it.contains("colour")), "{found:#?}");
    }

    #[test]
    fn plugins_are_searched_relative_to_the_file_and_in_other_places() {
        let defaults = Defaults { root: Some("/s".into()), cache_dir: Some("/c".into()), home: None, config: None };
        let text = "name = \"a\"\nplugins = [\"p\"]\n";
        let file = CheckedFile::parse(Path::new("k.toml"), text, Path::new("/d"), &defaults).unwrap();
        let others = Partial { plugin_path: Some(vec!["q".into()]), ..Partial::default() };
        let settings = file.settings(others, Path::new("/here")).unwrap();
        assert_eq!((settings.plugins, settings.plugin_path), (vec!["/d/p".into()], vec!["/here/q".into()]));
        assert_eq!((settings.name.as_str(), settings.root), ("a", "/s".into()));
    }
}
