//! Checks that members of the workspace share versions and lints.

use super::{File, Finding};

/// The keys that a member inherits from the workspace. The contract has its own version, because it
/// decides which plugins fit.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "repository"];
/// The member with its own version.
const CORE: &str = "kubernix-core/Cargo.toml";

/// Checks a member's Cargo.toml, and ignores other files. It reads lines, which is enough for these
/// manifests.
pub fn check(file: &File) -> Vec<Finding> {
    if !file.path.ends_with("/Cargo.toml") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let (mut section, mut inherited, mut lints) = ("", Vec::new(), false);
    for (at, line) in file.content.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            if let Some((_, name)) = section.split_once("dependencies.") {
                let message = format!(
                    "`{name}` has its own table: write one line for each dependency, `{name}.workspace = true`"
                );
                findings.push(Finding::new(&file.path, Some(at + 1), message));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        let shared = key.ends_with(".workspace") && value == "true" || value.contains("workspace = true");
        match section {
            "package" if shared => inherited.push(key.trim_end_matches(".workspace")),
            "lints" => lints = key == "workspace" && value == "true",
            _ if section.ends_with("dependencies") && !shared && !is_component(&file.path, value) => {
                let message =
                    format!("`{key}` must be `{key}.workspace = true`: versions are defined once, in the workspace");
                findings.push(Finding::new(&file.path, Some(at + 1), message));
            }
            _ => {}
        }
    }
    for field in INHERITED.iter().filter(|field| !inherited.contains(field)) {
        if !(*field == "version" && file.path == CORE) {
            let message = format!("`{field}.workspace = true` is missing: members share it");
            findings.push(Finding::new(&file.path, None, message));
        }
    }
    if !lints {
        findings.push(Finding::new(
            &file.path,
            None,
            "`[lints] workspace = true` is missing: one set of lints for all code",
        ));
    }
    findings
}

/// Whether a dependency is a component in the command's manifest: `cargo xtask components` writes
/// these lines.
fn is_component(manifest: &str, dependency: &str) -> bool {
    manifest == crate::components::MANIFEST && dependency.starts_with("{ path = \"../components/")
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
                        rust-version.workspace = true\nlicense.workspace = true\nrepository.workspace = true\n\
                        [dependencies]\n# why\nserde.workspace = true\nx = { workspace = true, optional = true }\n\
                        [lints]\nworkspace = true\n";

    fn found(path: &str, content: &str) -> Vec<String> {
        messages(&check(&file(path, content)))
    }

    #[test]
    fn keys_that_are_not_inherited_are_found() {
        assert_eq!(found("a/Cargo.toml", GOOD), Vec::<String>::new());
        let own = GOOD.replace("serde.workspace = true", "serde = \"1\"");
        assert!(found("a/Cargo.toml", &own)[0].starts_with("a/Cargo.toml:10: `serde` must be"));
        let listed = GOOD.replace("serde.workspace = true", "x = { path = \"../components/x\", optional = true }");
        assert_eq!(found(crate::components::MANIFEST, &listed), Vec::<String>::new());
        assert_eq!(found("a/Cargo.toml", &listed).len(), 1);
        let own = GOOD.replace("version.workspace = true\nedition", "version = \"2.0.0\"\nedition");
        assert_eq!(
            found("a/Cargo.toml", &own),
            ["a/Cargo.toml: `version.workspace = true` is missing: members share it"]
        );
        assert_eq!(found(CORE, &own), Vec::<String>::new());
        let without = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert!(found("a/Cargo.toml", &without)[0].contains("`[lints] workspace = true` is missing"));
        let table = format!("{GOOD}[target.'cfg(unix)'.dependencies.nix]\nworkspace = true\n");
        assert!(found("a/Cargo.toml", &table)[0].contains("`nix` has its own table"));
    }
}
