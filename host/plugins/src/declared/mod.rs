//! TOML components: one file has a component's plan as data, with placeholders for values of its
//! context.
//!
//! `docs/toml-components.md` is the reference of the format. This module parses, checks and renders
//! such files. It must not know where they are searched, nor any component by name.

mod check;
mod component;
mod error;
mod file;
mod placeholder;
mod render;
mod source;
mod template;
mod values;

pub use error::Error;
pub use file::Head;

use file::Document;
use kubernix_toolchain::text::Located;
use source::Source;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The longest file, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// A component of a TOML file, checked by [`read`].
#[derive(Debug)]
pub struct Declared {
    document: Document,
    source: Source,
}

/// Reads a component file.
///
/// # Errors
/// The file can't be read or isn't valid.
pub fn read(path: &Path) -> Result<Declared, Error> {
    let unreadable = |cause| Error::Read { path: path.to_owned(), cause };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    if file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(unreadable)? as u64 > MAX_SIZE {
        return Err(unreadable(io::Error::other(format!("it is larger than {} MiB", MAX_SIZE >> 20))));
    }
    parse(path, text)
}

/// As [`read`], for a text. `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: impl Into<String>) -> Result<Declared, Error> {
    let source = Source { path: path.to_owned(), text: text.into() };
    let document: Document = toml::from_str(&source.text).map_err(|error| Located::toml(path, &source.text, &error))?;
    check::check(&document, &source)?;
    Ok(Declared { document, source })
}

impl Declared {
    /// The component's own section, `[component]`.
    pub fn head(&self) -> &Head {
        &self.document.component
    }
}

#[cfg(test)]
mod tests;
