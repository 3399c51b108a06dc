//! Embeds the files that `kubernix plugin new` writes: the templates of `templates/plugin`,
//! components of this workspace that serve as templates, and the crates of the contract with this
//! workspace's versions. So an installed `kubernix` needs neither a checkout nor a published crate.
//! It also writes the registry of components.
//!
//! It must not know the content of the templates.

#[path = "build/components.rs"]
mod components;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The crates for writing and testing a component. Their dependencies in this workspace are added.
const CRATES: [&str; 2] = ["kubernix-core", "kubernix-testkit"];
/// The templates whose sources are those of a component, with another name and type: pairs of
/// template and component.
const MADE_OF: [(&str, &str); 1] = [("cri", "containerd")];
/// The module that exports such a component as a plugin.
const PLUGIN: &str = "plugin";
/// The fields that a crate inherits from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "repository"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Content by relative path.
type Files = BTreeMap<String, Vec<u8>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/components.rs");
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here.parent().ok_or("this crate is in its workspace")?;
    let mut templates = Files::new();
    pack(&here.join("templates/plugin"), "", &mut templates)?;
    for (template, component) in MADE_OF {
        let mut sources = Files::new();
        pack(&workspace.join("components").join(component).join("src"), "", &mut sources)?;
        for (path, source) in sources {
            let source = nameless(&path, &String::from_utf8(source)?, component)?;
            templates.insert(format!("{template}/src/{path}"), source.into_bytes());
        }
    }
    let (contract, lock, edition) = contract(workspace)?;

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut code = String::new();
    for (name, files) in [("TEMPLATES", templates), ("CONTRACT", contract)] {
        writeln!(code, "const {name}: &[(&str, &str)] = &[")?;
        for (path, content) in files {
            writeln!(code, "    ({path:?}, {:?}),", String::from_utf8(content)?)?;
        }
        writeln!(code, "];")?;
    }
    writeln!(code, "const LOCK: &str = {lock:?};")?;
    writeln!(code, "const EDITION: &str = {edition:?};")?;
    fs::write(out.join("components.rs"), components::registry(&read(&here.join("Cargo.toml"))?.parse()?)?)?;
    Ok(fs::write(out.join("scaffold.rs"), code)?)
}

/// All files below a directory.
fn pack(directory: &Path, below: &str, files: &mut Files) -> Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_str().ok_or("a file name that isn't UTF-8")?);
        if entry.file_type()?.is_dir() {
            pack(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, read(&entry.path())?.into_bytes());
        }
    }
    Ok(())
}

/// A component's source with placeholders for its name and its type. Adds the module [`PLUGIN`] to
/// lib.rs.
fn nameless(path: &str, source: &str, component: &str) -> Result<String> {
    let once = |source: &str, old: &str, new: &str| match source.matches(old).count() {
        1 => Ok(source.replacen(old, new, 1)),
        count => Err(format!(
            "{component}/src/{path}, the template of a plugin, must have `{old}` once, and has it {count} times"
        )),
    };
    let mut source = source.to_owned();
    let (first, rest) = component.split_at(1);
    let of_type = first.to_uppercase() + rest;
    if path == "lib.rs" {
        source = once(&source, &format!("const NAME: &str = \"{component}\";"), "const NAME: &str = \"__NAME__\";")?;
        source = once(&source, "\nmod registries;\n", &format!("\nmod {PLUGIN};\nmod registries;\n"))?;
        // The template exports it from the module `PLUGIN`.
        let export = format!("\n#[cfg(feature = \"plugin\")]\nkubernix_core::export_component!({of_type});\n");
        source = once(&source, &export, "")?;
    }
    Ok(source.replace(&of_type, "__TYPE__"))
}

fn read(path: &Path) -> Result<String> {
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The sources of the contract's crates with standalone manifests, their part of Cargo.lock, and
/// their edition of Rust.
fn contract(workspace: &Path) -> Result<(Files, String, String)> {
    let root: Table = read(&workspace.join("Cargo.toml"))?.parse()?;
    let root = root["workspace"].as_table().ok_or("[workspace] is a table")?;
    let mut files = Files::from([("LICENSE".to_owned(), read(&workspace.join("LICENSE"))?.into_bytes())]);
    let mut wanted: Vec<String> = CRATES.map(String::from).into();
    let mut packed = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !packed.insert(name.clone()) {
            continue;
        }
        let path = root["dependencies"][&name]["path"].as_str().ok_or("a member has a path")?;
        let directory = workspace.join(path);
        let manifest: Table = read(&directory.join("Cargo.toml"))?.parse()?;
        let (manifest, members) = standalone(&manifest, root)?;
        wanted.extend(members);
        files.insert(format!("{name}/Cargo.toml"), manifest.into_bytes());
        pack(&directory.join("src"), &format!("{name}/src/"), &mut files)?;
    }
    let edition = root["package"]["edition"].as_str().ok_or("an edition")?.to_owned();
    Ok((files, lock(&read(&workspace.join("Cargo.lock"))?.parse()?)?, edition))
}

/// A manifest with all inherited fields and without development dependencies, and the members of
/// the workspace that it depends on.
fn standalone(manifest: &Table, workspace: &Table) -> Result<(String, Vec<String>)> {
    let mut package = manifest["package"].as_table().ok_or("[package] is a table")?.clone();
    for key in INHERITED {
        if package.get(key).is_some_and(Value::is_table) {
            package.insert(key.to_owned(), workspace["package"][key].clone());
        }
    }
    let mut own = Table::from_iter([("package".to_owned(), Value::Table(package))]);
    let mut members = Vec::new();
    for section in ["features", "dependencies"] {
        let Some(Value::Table(entries)) = manifest.get(section) else { continue };
        let mut entries = entries.clone();
        for (name, entry) in entries.iter_mut().filter(|_| section == "dependencies") {
            *entry = dependency(name, entry, workspace)?;
            if entry.get("path").is_some() {
                members.push(name.clone());
            }
        }
        own.insert(section.to_owned(), Value::Table(entries));
    }
    Ok((toml::to_string(&own)?, members))
}

/// A dependency with the fields of the workspace and of the member. Members are siblings in a
/// directory.
fn dependency(name: &str, entry: &Value, workspace: &Table) -> Result<Value> {
    let mut full = match workspace["dependencies"].get(name).ok_or_else(|| format!("`{name}` has no table"))? {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    if full.contains_key("path") {
        full.insert("path".to_owned(), format!("../{name}").into());
    }
    for (key, value) in entry.as_table().into_iter().flatten().filter(|(key, _)| *key != "workspace") {
        match (full.get_mut(key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
            _ => drop(full.insert(key.clone(), value.clone())),
        }
    }
    Ok(Value::Table(full))
}

/// The packages of the contract's crates in the tested versions. Cargo removes unneeded ones.
fn lock(lock: &Table) -> Result<String> {
    let packages = lock["package"].as_array().ok_or("[[package]] is a list")?;
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut wanted: Vec<String> = CRATES.map(String::from).into();
    let mut kept = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        // `NAME`, or `NAME VERSION` if there are several of that name.
        let (name, version) = name.split_once(' ').unwrap_or((&name, ""));
        let named = |package: &&Value| text(package, "name") == name && text(package, "version").starts_with(version);
        let package = packages.iter().find(named).ok_or_else(|| format!("`{name}` isn't in Cargo.lock"))?;
        if kept.insert((name.to_owned(), text(package, "version")), package.clone()).is_none() {
            let needs = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
            wanted.extend(needs.filter_map(Value::as_str).map(String::from));
        }
    }
    let kept = Value::Array(kept.into_values().collect());
    let own = Table::from_iter([("version".to_owned(), lock["version"].clone()), ("package".to_owned(), kept)]);
    Ok(toml::to_string(&own)?)
}
