//! Checks that the command lists all components of this checkout, and finds the names of those that
//! fill `cri`.

use super::{File, Finding};
use crate::components::{COMMAND, MANIFEST, package, updated};

/// A component that fills `cri`. The rest of the code must not know its names.
#[derive(Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Its folder, with a slash at the end.
    pub folder: String,
    /// Its name, its title, and the title in lower case.
    pub names: Vec<String>,
}

/// Checks the lists of components in the command's manifest, and the names of the packages.
pub fn check(files: &[File], names: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in names {
        let path = format!("components/{name}/Cargo.toml");
        let expected = format!("name = \"{}\"", package(name));
        let own = files.iter().find(|file| file.path == path);
        if own.is_some_and(|file| !file.content.lines().any(|line| line == expected)) {
            let message = format!("the package of a component has the name of its folder: {expected}");
            findings.push(Finding::new(&path, None, message));
        }
    }
    if let Some(manifest) = files.iter().find(|file| file.path == MANIFEST) {
        match updated(&manifest.content, names) {
            Ok(text) if text == manifest.content => {}
            Ok(_) => {
                let message =
                    format!("the lists of components differ from the folders of components/: run `{COMMAND}`");
                findings.push(Finding::new(MANIFEST, None, message));
            }
            Err(error) => findings.push(Finding::new(MANIFEST, None, error.to_string())),
        }
    }
    findings
}

/// The components whose `lib.rs` provides `cri`.
pub fn runtimes(files: &[File]) -> Vec<Runtime> {
    let runtime = |file: &File| {
        let name = file.path.strip_prefix("components/")?.strip_suffix("/src/lib.rs")?;
        body(&file.content, "provides")?.contains("roles::CRI").then_some(())?;
        let mut names = vec![name.to_owned()];
        let title = body(&file.content, "title").and_then(|body| body.split('"').nth(1));
        names.extend(title.into_iter().flat_map(|title| [title.to_owned(), title.to_lowercase()]));
        names.sort_unstable();
        names.dedup();
        Some(Runtime { folder: format!("components/{name}/"), names })
    };
    files.iter().filter_map(runtime).collect()
}

/// The body of a method.
fn body<'a>(source: &'a str, method: &str) -> Option<&'a str> {
    let (_, rest) = source.split_once(&format!("\n    fn {method}(&self)"))?;
    rest.split("\n    }\n").next()
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn component(name: &str, role: &str, title: &str) -> File {
        let source = format!(
            "impl Component for X {{\n    fn name(&self) -> &str {{\n        \"{name}\"\n    }}\n{title}\n    \
             fn provides(&self) -> Vec<Role> {{\n        vec![roles::{role}.into()]\n    }}\n}}\n"
        );
        file(&format!("components/{name}/src/lib.rs"), &source)
    }

    #[test]
    fn runtimes_are_those_that_provide_cri() {
        let title = "    fn title(&self) -> &str {\n        \"CRI-O\"\n    }\n";
        let files =
            [component("crio", "CRI", title), component("etcd", "DATASTORE", ""), component("other", "CRI", "")];
        let names: Vec<Vec<String>> = runtimes(&files).into_iter().map(|runtime| runtime.names).collect();
        assert_eq!(names, [vec!["CRI-O", "cri-o", "crio"], vec!["other"]]);
    }

    #[test]
    fn a_component_that_is_not_listed_is_a_finding_with_the_command() {
        let lists = "[features]\n# components: begin\n# components: end\n[dependencies]\n# components: begin\n\
                     # components: end\n";
        let listed = |names: &[&str]| {
            [
                file(MANIFEST, &updated(lists, names).unwrap()),
                file("components/b/Cargo.toml", "name = \"kubernix-b\"\n"),
            ]
        };
        assert_eq!(check(&listed(&["b"]), &["b"]), []);
        let found = messages(&check(&listed(&[]), &["b"]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(MANIFEST) && found[0].ends_with("run `cargo xtask components`"), "{found:?}");
        let wrong = [file("components/b/Cargo.toml", "name = \"b\"\n")];
        assert!(messages(&check(&wrong, &["b"]))[0].contains("name = \"kubernix-b\""));
    }
}
