//! The settings of one source: flags, environment variables, or a file.

use super::catalogue::BINARY;
use super::form::Read;
use super::value::{self, ValueError, absolute_text};
use super::{Error, Id, Key, Origin, Partial, set};
use crate::text::nearest::{nearest_of, words};
use std::ffi::OsString;
use std::path::Path;

/// The variable with the path of the configuration file.
const CONFIG: &str = "KUBERNIX_CONFIG";
/// The variable with a list of `--set` arguments.
const SET: &str = "KUBERNIX_SET";

impl Partial {
    /// Reads the `KUBERNIX_*` variables. Empty variables count as not set. An unknown variable is
    /// ignored, with a note if its name is similar to a known one.
    ///
    /// # Errors
    /// A value isn't valid. The error has the variable's name.
    pub fn from_env<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let mut partial = Self::default();
        for (name, text) in variables {
            let (name, text) = (name.into(), text.into());
            let Some(name) = name.to_str().filter(|name| name.starts_with("KUBERNIX_")) else { continue };
            if text.is_empty() {
                continue;
            }
            let origin = Origin::Env(name.into());
            let invalid = |reason: ValueError| Error::value(origin.clone(), reason);
            let not_utf8 = || invalid(ValueError::NotUtf8(text.clone()));
            if name == CONFIG {
                partial.config = Some(text.into());
            } else if name == SET {
                for form in set::split(text.to_str().ok_or_else(not_utf8)?) {
                    partial.set(&form, &origin).map_err(invalid)?;
                }
            } else if let Some(id) = Id::of_variable(name) {
                let text = text.to_str().ok_or_else(not_utf8)?;
                partial.put(Key::Plain(id), text, origin.clone()).map_err(invalid)?;
            } else {
                partial.note_misspelt(name);
            }
        }
        Ok(partial)
    }

    /// Adds the arguments of `--set`. The last value of each key counts.
    ///
    /// # Errors
    /// An argument has none of the forms in [`set`], or its value isn't valid.
    pub fn with_sets<S: AsRef<str>>(mut self, sets: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        for form in sets {
            let flag = Origin::Flag("--set".into());
            self.set(form.as_ref(), &flag).map_err(|reason| Error::value(flag, reason))?;
        }
        Ok(self)
    }

    /// Adds the arguments of a setting's flag. For a flag without arguments, that is the value that
    /// it stands for.
    ///
    /// # Errors
    /// The value isn't valid.
    pub fn put_flag(&mut self, id: Id, arguments: &[OsString]) -> Result<(), ValueError> {
        (id.setting().operations.put_words)(self, arguments)
    }

    fn set(&mut self, form: &str, origin: &Origin) -> Result<(), ValueError> {
        let (key, value) = set::parse(form)?;
        let origin = match origin {
            Origin::Flag(_) => key.flag(&value),
            other => other.clone(),
        };
        self.put(key, &value, origin)
    }

    /// Adds a value, given as text.
    pub(super) fn put(&mut self, key: Key, text: &str, origin: Origin) -> Result<(), ValueError> {
        self.put_read(key, Read::Text(text.into()), origin)
    }

    /// Adds a value of a file. Its origin is recorded even if the value is rejected.
    pub(super) fn put_read(&mut self, key: Key, read: Read, origin: Origin) -> Result<(), ValueError> {
        self.origins.insert(key.to_string(), origin);
        let text = || match &read {
            Read::Text(text) => text.clone(),
            Read::Items(items) => items.join(","),
        };
        match key {
            Key::Plain(id) => id.setting().put(self, &read)?,
            Key::Mirrors(prefix) => {
                self.mirrors.insert(value::parse_registry(&prefix)?, value::parse_mirrors(&text())?);
            }
            Key::Slot(role) => {
                self.slots.insert(value::parse_key(&role)?, value::parse_word(&text())?);
            }
            Key::Parameter(component, name) => {
                let parameters = self.components.entry(value::parse_key(&component)?).or_default();
                parameters.insert(value::parse_word(&name)?, text());
            }
        }
        Ok(())
    }

    /// The origin of a value.
    pub(super) fn origin(&self, key: &Key, value: &str) -> Origin {
        self.origins.get(&key.to_string()).cloned().unwrap_or_else(|| key.flag(value))
    }

    /// Makes all paths absolute.
    ///
    /// # Errors
    /// A path is empty or not UTF-8.
    pub(super) fn based_at(mut self, directory: &Path, home: Option<&Path>) -> Result<Self, Error> {
        match self.make_absolute(directory, home).into_iter().next() {
            Some((key, reason)) => Err(Error::value(self.origin(&key, ""), reason)),
            None => Ok(self),
        }
    }

    /// Makes all paths absolute. Returns the invalid ones, with the reasons.
    pub(super) fn make_absolute(&mut self, directory: &Path, home: Option<&Path>) -> Vec<(Key, ValueError)> {
        let mut invalid = Vec::new();
        for id in Id::ALL.iter().copied() {
            if let Err(reason) = (id.setting().operations.make_absolute)(self, directory, home) {
                invalid.push((Key::Plain(id), reason));
            }
        }
        for (component, parameters) in &mut self.components {
            for (name, text) in parameters.iter_mut().filter(|(name, _)| *name == BINARY) {
                match absolute_text(text, directory, home) {
                    Ok(absolute) => *text = absolute,
                    Err(reason) => invalid.push((Key::Parameter(component.clone(), name.clone()), reason)),
                }
            }
        }
        invalid
    }

    fn note_misspelt(&mut self, name: &str) {
        let mut known: Vec<String> = Id::ALL.iter().map(|id| id.setting().variable()).collect();
        known.extend([CONFIG.into(), SET.into()]);
        // Without the prefix, which would make all names similar.
        let known: Vec<&str> = known.iter().map(|name| name.trim_start_matches("KUBERNIX_")).collect();
        if let Some(near) = nearest_of(name.trim_start_matches("KUBERNIX_"), &known) {
            let near = format!("KUBERNIX_{near}");
            self.notes.push(format!("the variable `{name}` is unknown, did you mean {}?", words(&[&near])));
        }
    }
}
