//! `cargo xtask components`: the members below `components/`, written into the manifest of the
//! command as features and optional dependencies. Its build script makes the registry of these.
//!
//! It must not know any component by name.

use crate::run;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

/// The command that writes the lists, as messages name it.
pub const COMMAND: &str = "cargo xtask components";
/// The manifest with the lists: first the features, then the dependencies.
pub const MANIFEST: &str = "kubernix-cli/Cargo.toml";

/// The folder of the components.
const FOLDER: &str = "components/";
/// How the package of a component begins; its folder's name follows.
const PREFIX: &str = "kubernix-";
/// The lines around a written list.
const BEGIN: &str = "# components: begin";
const END: &str = "# components: end";

/// Writes the lists.
pub fn run() -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let path = workspace.root.join(MANIFEST);
    let old = fs::read_to_string(&path).with_context(|| format!("can't read {MANIFEST}"))?;
    let names = names(&workspace);
    let new = updated(&old, &names)?;
    if new == old {
        println!("{MANIFEST} is up to date: {} components", names.len());
        return Ok(ExitCode::SUCCESS);
    }
    fs::write(&path, new).with_context(|| format!("can't write {MANIFEST}"))?;
    // Cargo.lock lists the dependencies of each member.
    run::output(run::cargo().args(["update", "--workspace", "--offline"]).current_dir(&workspace.root))?;
    println!("wrote {MANIFEST}: {} components", names.len());
    Ok(ExitCode::SUCCESS)
}

/// The names of the components, sorted: those of their folders.
pub fn names(workspace: &Workspace) -> Vec<&str> {
    let mut names: Vec<&str> =
        workspace.packages.iter().filter_map(|package| package.folder.strip_prefix(FOLDER)).collect();
    names.sort_unstable();
    names
}

/// The package of a component.
pub fn package(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The manifest with these components in both lists.
///
/// # Errors
/// A pair of marks is missing.
pub fn updated(manifest: &str, names: &[&str]) -> Result<String> {
    let mut text = String::with_capacity(manifest.len());
    let mut rest = manifest;
    for list in [features(names)?, dependencies(names)?] {
        let begin = format!("{BEGIN}\n");
        let (before, after) = rest.split_once(&begin).with_context(|| missing(BEGIN))?;
        let (_, after) = after.split_once(END).with_context(|| missing(END))?;
        text.extend([before, &begin, &list, END]);
        rest = after;
    }
    ensure!(!rest.contains(BEGIN), "{MANIFEST} has more than two lists of components: remove the last `{BEGIN}`");
    Ok(text + rest)
}

fn missing(mark: &str) -> String {
    format!("{MANIFEST} has no line `{mark}`: it needs one pair in [features] and one in [dependencies]")
}

fn features(names: &[&str]) -> Result<String> {
    let mut text = "default = [\n".to_owned();
    for name in names {
        writeln!(text, "    \"{name}\",")?;
    }
    text.push_str("]\n");
    for name in names {
        writeln!(text, "{name} = [\"dep:{}\"]", package(name))?;
    }
    Ok(text)
}

fn dependencies(names: &[&str]) -> Result<String> {
    let mut text = String::new();
    for name in names {
        writeln!(text, "{} = {{ path = \"../{FOLDER}{name}\", optional = true }}", package(name))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "[features]\n# components: begin\n# components: end\nown = []\n\n[dependencies]\n\
                         # components: begin\nstale\n# components: end\n\n[lints]\n";

    #[test]
    fn both_lists_are_written_and_the_rest_is_kept() {
        let once = updated(EMPTY, &["a", "b-c"]).unwrap();
        assert_eq!(
            once,
            "[features]\n# components: begin\ndefault = [\n    \"a\",\n    \"b-c\",\n]\na = [\"dep:kubernix-a\"]\n\
             b-c = [\"dep:kubernix-b-c\"]\n# components: end\nown = []\n\n[dependencies]\n# components: begin\n\
             kubernix-a = { path = \"../components/a\", optional = true }\n\
             kubernix-b-c = { path = \"../components/b-c\", optional = true }\n# components: end\n\n[lints]\n"
        );
        assert_eq!(updated(&once, &["a", "b-c"]).unwrap(), once);
        assert_ne!(updated(&once, &["a"]).unwrap(), once);
    }

    #[test]
    fn a_missing_mark_is_named() {
        let error = updated("[features]\n", &[]).unwrap_err().to_string();
        assert!(error.contains("no line `# components: begin`"), "{error}");
        let error = updated(&EMPTY.replacen(END, "", 2), &[]).unwrap_err().to_string();
        assert!(error.contains("no line `# components: end`"), "{error}");
        assert!(updated(&format!("{EMPTY}{BEGIN}\n{END}\n"), &[]).is_err());
    }
}
