//! The environment of clients of a cluster: `kubernix.env` for shells to source, and the same as
//! variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The environment of clients of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `KUBECONFIG`.
    pub kubeconfig: PathBuf,
    /// Directories of the cluster's binaries, which come first in `PATH`.
    pub path: Vec<PathBuf>,
    /// Endpoints of the cluster's components: `CONTAINER_RUNTIME_ENDPOINT`, ...
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// The text of `kubernix.env`, for POSIX shells. Sourcing it twice has the same effect as once.
    pub fn render(&self) -> String {
        let mut text = String::from("# Reach this cluster from a shell: source this file. Rewritten at each boot.\n");
        text += &format!("export KUBECONFIG={}\n", quote(&self.kubeconfig.to_string_lossy()));
        // In reverse order, because each directory is put in front of the others.
        for directory in self.path.iter().rev() {
            let directory = quote(&directory.to_string_lossy());
            text += &format!("case \":$PATH:\" in *:{directory}:*) ;; *) PATH={directory}:\"$PATH\" ;; esac\n");
        }
        text += "export PATH\n";
        for (name, value) in &self.variables {
            text += &format!("export {name}={}\n", quote(value));
        }
        text
    }

    /// The same as variables for a child process. `path`: the `PATH` to extend.
    pub fn variables(&self, path: Option<&OsStr>) -> Vec<(String, OsString)> {
        let old = path.map(std::env::split_paths).into_iter().flatten().filter(|entry| !self.path.contains(entry));
        // A directory with a colon in its name can't be in any PATH.
        let ours = self.path.iter().filter(|entry| !entry.as_os_str().as_encoded_bytes().contains(&b':')).cloned();
        let joined = std::env::join_paths(ours.chain(old)).unwrap_or_else(|_| path.unwrap_or_default().to_owned());
        let mut variables =
            vec![("KUBECONFIG".to_owned(), self.kubeconfig.clone().into()), ("PATH".to_owned(), joined)];
        variables.extend(self.variables.iter().map(|(name, value)| (name.clone(), value.into())));
        variables
    }
}

/// Quotes a text as one word of a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nasty() -> Environment {
        Environment {
            kubeconfig: "/a b/it's $HOME `id` \"x\" \\n/admin".into(),
            path: vec!["/first dir".into(), "/second'dir".into()],
            variables: BTreeMap::from([("A_B".into(), "unix:///run/a;b/crio.sock".into())]),
        }
    }

    #[test]
    fn a_shell_reads_the_quoted_values_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubernix.env");
        std::fs::write(&file, nasty().render()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a real shell is the judge of the quoting")]
        let output = std::process::Command::new("sh")
            .args(["-euc", r#". "$0"; . "$0"; printf '%s\n' "$KUBECONFIG" "$PATH" "$A_B""#])
            .arg(&file)
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect();
        let expected = nasty();
        assert_eq!(lines[0], expected.kubeconfig.to_string_lossy());
        assert_eq!(lines[1], "/first dir:/second'dir:/usr/bin:/bin");
        assert_eq!(lines[2], expected.variables["A_B"]);
    }

    #[test]
    fn variables_agree_with_the_file() {
        let variables = nasty().variables(Some(OsStr::new("/usr/bin:/first dir:/bin")));
        assert_eq!(variables[1], ("PATH".to_owned(), OsString::from("/first dir:/second'dir:/usr/bin:/bin")));
        let without = Environment { variables: BTreeMap::new(), ..nasty() };
        assert!(!without.render().contains("A_B"));
        assert_eq!(without.variables(None).len(), 2);
    }
}
