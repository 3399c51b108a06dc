//! Asks a role from inside of its cluster, in a process of its own, and hands the results on as JSON in a file.

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

/// What is asked, of whom.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Ask {
    role: String,
    url: String,
    /// The cluster's certificates.
    #[arg(long)]
    pki: PathBuf,
    #[arg(long)]
    image: String,
    /// Where the results go.
    #[arg(long)]
    output: PathBuf,
}

/// The arguments that ask a role at its URL; results go to `output`.
pub fn arguments(role: &str, url: &str, pki: &Path, image: &str, output: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [COMMAND, role, url, "--image", image, "--pki"].map(Into::into).into();
    arguments.extend([pki.as_os_str().to_owned(), "--output".into(), output.as_os_str().to_owned()]);
    arguments
}

/// Asks: see [`arguments`].
///
/// # Errors
/// A certificate can't be read, or the results can't be written. What the role does wrong is a result.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let ask = Ask::try_parse_from(args).map_err(io::Error::other)?;
    // Who uses a datastore does so as the API server.
    let read = |name: &str| fs::read_to_string(ask.pki.join(name));
    let (ca, cert, key) =
        (read("etcd-ca.crt")?, read("apiserver-etcd-client.crt")?, read("apiserver-etcd-client.key")?);
    let results = live::check(&ask.role, &Target { url: ask.url, ca, cert, key, image: ask.image });
    fs::write(&ask.output, serde_json::to_vec(&results)?)
}

/// Reads what [`run`] wrote.
///
/// # Errors
/// It wrote nothing.
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
    fn results_arrive_as_they_were_found() {
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
