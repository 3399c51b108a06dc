//! `kubernix plugin new`: creates the crate of a component, which builds, passes its tests and
//! boots without changes.
//!
//! All files are embedded in this program, including the contract's sources (`build.rs` packs
//! them), so no checkout and no published crate is needed. Must not know what components do: only
//! the templates do.

mod name;
mod role;
mod write;

use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/scaffold.rs"));

/// A crate that was created.
#[derive(Debug, Serialize)]
pub struct CreatedCrate {
    /// The component's name.
    pub name: String,
    /// The role that it fills.
    pub role: String,
    /// The crate's directory.
    pub directory: PathBuf,
    /// The next commands, to be run in that directory.
    pub next: Vec<String>,
}

/// Writes the crate of a component into a new directory of its name below `parent`. Without `role`,
/// the component fills a role of its own name. `reserved`: names that a plugin can't have.
///
/// # Errors
/// The name or role is invalid, the directory exists, or it can't be written. No files are left
/// then.
pub fn create(parent: &Path, name: &str, role: Option<&str>, reserved: &[&str], program: &str) -> Result<CreatedCrate> {
    let name = name::Name::parse(name, reserved)?;
    let kind = role::Kind::of(&name, role)?;
    let values = [name.placeholders(), kind.placeholders(), versions()].concat();
    let mut files = Vec::new();
    for template in ["common", kind.template()] {
        let prefix = format!("{template}/");
        for (path, text) in TEMPLATES.iter().filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text))) {
            // Templates are called Cargo.toml.in, because Cargo treats every Cargo.toml as a
            // package.
            let path = path.strip_suffix(".in").unwrap_or(path);
            files.push((fill(path, &values), fill(text, &values)));
        }
    }
    files.extend(CONTRACT.iter().map(|(path, text)| (format!("contract/{path}"), (*text).to_owned())));
    files.push(("Cargo.lock".to_owned(), LOCK.to_owned()));
    let directory = write::crate_of(parent, name.text(), &files)?;
    let library = format!("target/release/lib{}.so", name.ident());
    let next = vec![
        "cargo test".to_owned(),
        "cargo build --release".to_owned(),
        format!("{program} plugin check {library}"),
        format!("{program} up --plugin target/release{}", kind.choice(&name)),
    ];
    Ok(CreatedCrate { name: name.text().to_owned(), role: kind.role().to_owned(), directory, next })
}

type Placeholders = Vec<(&'static str, String)>;

/// The versions for crates and manifests.
fn versions() -> Placeholders {
    let minor = |version: &str| version.rsplit_once('.').map_or(version, |(minor, _)| minor).to_owned();
    vec![
        ("__CONTRACT__", minor(kubernix_core::VERSION)),
        ("__HOST__", minor(env!("CARGO_PKG_VERSION"))),
        ("__RUST__", env!("CARGO_PKG_RUST_VERSION").to_owned()),
        ("__EDITION__", EDITION.to_owned()),
    ]
}

fn fill(text: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
}

#[cfg(test)]
mod tests;
