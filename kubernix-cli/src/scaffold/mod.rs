//! `kubernix plugin new`: a crate for a component that builds, passes its tests and boots as it is.
//!
//! All that is written lies inside of this program, the contract's sources included (`build.rs` packs them): no checkout and no
//! published crate is needed. It must not know what components do: that is the templates' business.

mod name;
mod role;
mod write;

use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/scaffold.rs"));

/// A crate that was written.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The component's name.
    pub name: String,
    /// The role that it fills.
    pub role: String,
    /// Where the crate lies.
    pub directory: PathBuf,
    /// What to type next, in there.
    pub next: Vec<String>,
}

/// Writes the crate of a component into a new directory of its name below `parent`. Without a role the component gets one of
/// its own. `taken` are names that a plugin can't have.
///
/// # Errors
/// Name or role can't be, the directory exists, or it can't be written. Nothing is left then.
pub fn create(parent: &Path, name: &str, role: Option<&str>, taken: &[&str], program: &str) -> Result<Made> {
    let name = name::Name::parse(name, taken)?;
    let kind = role::Kind::of(&name, role)?;
    let values = [name.placeholders(), kind.placeholders(), versions()].concat();
    let mut files = Vec::new();
    for template in ["common", kind.template()] {
        let prefix = format!("{template}/");
        for (path, text) in TEMPLATES.iter().filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text))) {
            // Cargo takes every Cargo.toml that it comes across for a package.
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
    Ok(Made { name: name.text().to_owned(), role: kind.role().to_owned(), directory, next })
}

type Placeholders = Vec<(&'static str, String)>;

/// What crates and manifests have to say of this build.
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
