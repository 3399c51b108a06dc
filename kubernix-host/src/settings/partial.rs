//! What one source sets: the flags, the environment, or a file.

use super::catalogue::BINARY;
use super::form::Read;
use super::value::{self, absolute_text};
use super::{Error, Id, Key, Origin, Partial, set};
use crate::text::nearest::{nearest_of, words};
use std::ffi::OsString;
use std::path::Path;

/// The variable that names the configuration file.
const CONFIG: &str = "KUBERNIX_CONFIG";
/// The variable that holds a list of `--set` forms.
const SET: &str = "KUBERNIX_SET";

impl Partial {
    /// What the `KUBERNIX_*` variables say. Empty ones count as not set; other variables are
    /// ignored, unless they look like a misspelt one: that is noted.
    ///
    /// # Errors
    /// A value doesn't fit, by the variable's name.
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
            let refused = |reason: String| Error::value(origin.clone(), reason);
            let not_text = || refused(format!("`{}` is not UTF-8", text.display()));
            if name == CONFIG {
                partial.config = Some(text.into());
            } else if name == SET {
                for form in set::split(text.to_str().ok_or_else(not_text)?) {
                    partial.set(&form, &origin).map_err(refused)?;
                }
            } else if let Some(id) = Id::of_variable(name) {
                let text = text.to_str().ok_or_else(not_text)?;
                partial.put(Key::Plain(id), text, origin.clone()).map_err(refused)?;
            } else {
                partial.note_misspelt(name);
            }
        }
        Ok(partial)
    }

    /// Adds what `--set` flags say; the last of each key counts.
    ///
    /// # Errors
    /// One has none of the two forms, see [`set`].
    pub fn with_sets<S: AsRef<str>>(mut self, sets: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        for form in sets {
            let flag = Origin::Flag("--set".into());
            self.set(form.as_ref(), &flag).map_err(|reason| Error::value(flag, reason))?;
        }
        Ok(self)
    }

    /// Adds the arguments of a setting's flag. A flag without arguments has its meaning as the only
    /// one.
    ///
    /// # Errors
    /// The setting can't have this value.
    pub fn put_flag(&mut self, id: Id, arguments: &[OsString]) -> Result<(), String> {
        (id.setting().operations.put_words)(self, arguments)
    }

    fn set(&mut self, form: &str, origin: &Origin) -> Result<(), String> {
        let (key, value) = set::parse(form)?;
        let origin = match origin {
            Origin::Flag(_) => key.flag(&value),
            other => other.clone(),
        };
        self.put(key, &value, origin)
    }

    /// Takes one value as text.
    pub(super) fn put(&mut self, key: Key, text: &str, origin: Origin) -> Result<(), String> {
        self.put_read(key, Read::Text(text.into()), origin)
    }

    /// Takes one value of a file. The origin is noted also if the value is rejected.
    pub(super) fn put_read(&mut self, key: Key, read: Read, origin: Origin) -> Result<(), String> {
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
                self.slots.insert(value::parse_place(&role)?, value::parse_word(&text())?);
            }
            Key::Parameter(component, name) => {
                let parameters = self.components.entry(value::parse_place(&component)?).or_default();
                parameters.insert(value::parse_word(&name)?, text());
            }
        }
        Ok(())
    }

    /// Where a value of this source came from.
    pub(super) fn origin(&self, key: &Key, value: &str) -> Origin {
        self.origins.get(&key.to_string()).cloned().unwrap_or_else(|| key.flag(value))
    }

    /// The same with all paths absolute.
    pub(super) fn based_at(mut self, directory: &Path, home: Option<&Path>) -> Result<Self, Error> {
        match self.make_absolute(directory, home).into_iter().next() {
            Some((key, reason)) => Err(Error::value(self.origin(&key, ""), reason)),
            None => Ok(self),
        }
    }

    /// Makes all paths absolute. Returns those that can't be, with the reasons.
    pub(super) fn make_absolute(&mut self, directory: &Path, home: Option<&Path>) -> Vec<(Key, String)> {
        let mut wrong = Vec::new();
        for id in Id::ALL.iter().copied() {
            if let Err(reason) = (id.setting().operations.make_absolute)(self, directory, home) {
                wrong.push((Key::Plain(id), reason));
            }
        }
        for (component, parameters) in &mut self.components {
            for (name, text) in parameters.iter_mut().filter(|(name, _)| *name == BINARY) {
                match absolute_text(text, directory, home) {
                    Ok(absolute) => *text = absolute,
                    Err(reason) => wrong.push((Key::Parameter(component.clone(), name.clone()), reason)),
                }
            }
        }
        wrong
    }

    fn note_misspelt(&mut self, name: &str) {
        let mut known: Vec<String> = Id::ALL.iter().map(|id| id.setting().variable()).collect();
        known.extend([CONFIG.into(), SET.into()]);
        // Without the prefix, or everything with it would look alike.
        let known: Vec<&str> = known.iter().map(|name| name.trim_start_matches("KUBERNIX_")).collect();
        if let Some(near) = nearest_of(name.trim_start_matches("KUBERNIX_"), &known) {
            let near = format!("KUBERNIX_{near}");
            self.notes.push(format!("the variable `{name}` means nothing, did you mean {}?", words(&[&near])));
        }
    }
}
