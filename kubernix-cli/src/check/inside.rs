//! Runs the checks of a role inside its cluster, in a separate process that writes the results as
//! JSON into a file.

use clap::Parser;
use kubernix_testkit::kit::{CheckResult, Outcome};
use kubernix_testkit::live::{self, Target};
use serde::Deserialize;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The hidden command.
pub const COMMAND: &str = "__check-role";

/// The arguments of the hidden command.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Arguments {
    role: String,
    url: String,
    /// The cluster's certificates.
    #[arg(long)]
    pki: PathBuf,
    #[arg(long)]
    image: String,
    /// The file for the results.
    #[arg(long)]
    output: PathBuf,
}

/// The command line that checks a role at its URL and writes the results to `output`.
pub fn arguments(role: &str, url: &str, pki: &Path, image: &str, output: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [COMMAND, role, url, "--image", image, "--pki"].map(Into::into).into();
    arguments.extend([pki.as_os_str().to_owned(), "--output".into(), output.as_os_str().to_owned()]);
    arguments
}

/// Runs the checks, see [`arguments`].
///
/// # Errors
/// A certificate can't be read, or the results can't be written. A failed check is a result, not an
/// error.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let arguments = Arguments::try_parse_from(args).map_err(io::Error::other)?;
    // The checks of a datastore use the API server's client certificate.
    let read = |name: &str| fs::read_to_string(arguments.pki.join(name));
    let (ca, cert, key) =
        (read("etcd-ca.crt")?, read("apiserver-etcd-client.crt")?, read("apiserver-etcd-client.key")?);
    let target = Target { url: arguments.url, ca, cert, key, image: arguments.image };
    let results = live::check(&arguments.role, &target);
    fs::write(&arguments.output, serde_json::to_vec(&results)?)
}

/// Reads what [`run`] wrote.
///
/// # Errors
/// The file doesn't exist or isn't valid.
pub fn read(role: &str, output: &Path) -> io::Result<Vec<CheckResult>> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        outcome: String,
        #[serde(default)]
        why: String,
    }
    let lines: Vec<Line> = serde_json::from_slice(&fs::read(output)?)?;
    let result = |line: Line| {
        let id = live::checks(role).iter().find(|id| **id == line.id)?;
        let outcome = match line.outcome.as_str() {
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped { why: line.why },
            _ => Outcome::Failed { why: line.why },
        };
        Some(CheckResult { id, outcome })
    };
    lines.into_iter().map(|line| result(line).ok_or(io::Error::from(io::ErrorKind::InvalidData))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_written_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["etcd-ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let output = dir.path().join("results.json");
        let url = format!("unix://{}/none.sock", dir.path().display());
        let arguments = arguments("cri", &url, dir.path(), "a/b:1", &output);
        assert_eq!(arguments[0], COMMAND);
        run(&arguments[1..]).unwrap();
        let results = read("cri", &output).unwrap();
        assert_eq!(results.iter().map(|result| result.id).collect::<Vec<_>>(), live::checks("cri"));
        assert!(matches!(&results[0].outcome, Outcome::Failed { why } if !why.is_empty()), "{results:?}");
        assert!(results[1..].iter().all(|result| matches!(result.outcome, Outcome::Skipped { .. })), "{results:?}");
        assert!(read("cri", &dir.path().join("nothing")).is_err());
    }
}
