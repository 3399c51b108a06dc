//! A configuration file by itself: everything that is wrong in it, for `kubernix config validate`.

use super::document::{Document, Finding};
use super::resolve::alone;
use super::{Catalogue, Defaults, Error, Id, Key, Partial, Settings, catalogue};
use std::fs;
use std::path::Path;

/// A configuration file that was read as far as possible.
#[derive(Debug)]
pub struct CheckedFile {
    document: Document,
    settings: Settings,
}

impl CheckedFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or the user has no home directory and no default for it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        let directory = std::path::absolute(path).ok().and_then(|path| Some(path.parent()?.to_owned()));
        Self::of_text(path, &text, &directory.unwrap_or_default(), &Defaults::of_process())
    }

    fn of_text(path: &Path, text: &str, directory: &Path, defaults: &Defaults) -> Result<Self, Error> {
        let mut document = Document::read(path, text);
        let mut wrong = document.partial.make_absolute(directory, defaults.home.as_deref());
        for id in Id::ALL.iter().copied() {
            let accepted = (id.setting().operations.accept)(&document.partial);
            wrong.extend(accepted.err().map(|reason| (Key::Plain(id), reason)));
        }
        for (key, message) in wrong {
            document.find(&key.to_string(), message);
        }
        // Only what finds plugins and names components. None of it can be rejected now.
        let Partial { name, root, plugins, plugin_path, addon_files, slots, components, .. } = document.partial.clone();
        let source = Partial { name, root, plugins, plugin_path, addon_files, slots, components, ..Partial::default() };
        Ok(Self { settings: alone(source, Partial::default(), defaults)?, document })
    }

    /// What finds the plugins that the file names, to build the catalogue for [`CheckedFile::findings`]. `others` are further
    /// places to search, such as those of the environment.
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

    /// Everything that is wrong, in the order of the file: also components, roles, parameters and addons that don't exist.
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
