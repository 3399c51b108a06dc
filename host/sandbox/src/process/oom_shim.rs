//! Wraps the OCI runtime on hosts where the `oom_score_adj` can't be lowered: a container that asks
//! for a negative value gets the current one, and starts.
//!
//! It replaces itself with the OCI runtime by exec, so it leaves no process. It must not know which
//! runtimes call it and which it calls.

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Executes the OCI runtime `args[0]` with the remaining arguments. If these create a container, a
/// negative `process.oomScoreAdj` in the bundle's `config.json` is raised to this process's own
/// value first.
///
/// Returns only the error if that fails. An unreadable or invalid `config.json` is left to the
/// runtime, which reports it best.
pub fn run(args: Vec<OsString>) -> Error {
    let Some((runtime, args)) = args.split_first() else {
        return Error::new(ErrorKind::InvalidInput, "no OCI runtime given");
    };
    if let Some(bundle) = bundle(args)
        && let Err(error) = raise(&bundle.join("config.json"), Path::new("/proc/self/oom_score_adj"))
    {
        return Error::new(error.kind(), format!("raising oomScoreAdj in bundle `{}`: {error}", bundle.display()));
    }
    // std's exec resets the signals to their defaults; this process ignores SIGPIPE.
    #[expect(clippy::disallowed_methods, reason = "replaces this process instead of starting another")]
    let error = std::process::Command::new(runtime).args(args).exec();
    Error::new(error.kind(), format!("executing OCI runtime `{}`: {error}", runtime.display()))
}

/// The bundle of a command that creates a container. `None` for other commands.
fn bundle(args: &[OsString]) -> Option<PathBuf> {
    let command = args.iter().position(|arg| arg == "create" || arg == "run")?;
    let mut options = args[command + 1..].iter();
    while let Some(option) = options.next() {
        if option == "--bundle" || option == "-b" {
            return options.next().map(PathBuf::from);
        }
        if let Some(path) = option.to_str().and_then(|text| text.strip_prefix("--bundle=")) {
            return Some(path.into());
        }
    }
    // The default of OCI runtimes.
    Some(".".into())
}

/// Raises a negative `process.oomScoreAdj` in `config` to the value in `own`.
fn raise(config: &Path, own: &Path) -> io::Result<()> {
    let Some((mut spec, wanted)) = fs::read(config).ok().and_then(|bytes| {
        let spec: Value = serde_json::from_slice(&bytes).ok()?;
        let wanted = spec.pointer("/process/oomScoreAdj")?.as_i64()?;
        Some((spec, wanted))
    }) else {
        return Ok(());
    };
    let text = fs::read_to_string(own)?;
    let current =
        text.trim().parse().map_err(|_| Error::new(ErrorKind::InvalidData, format!("`{text}` isn't a number")))?;
    if wanted >= 0 || wanted >= current {
        return Ok(());
    }
    spec["process"]["oomScoreAdj"] = Value::from(current);
    replace(config, &serde_json::to_vec(&spec)?)
}

/// Replaces a file atomically. The permissions stay.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::metadata(path).and_then(|old| {
        fs::write(&temporary, content)?;
        fs::set_permissions(&temporary, old.permissions())?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // The first error matters more.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn args(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_commands_that_create_a_container_have_a_bundle() {
        for (text, wanted) in [
            ("--root /r --systemd-cgroup create --bundle /b --pid-file /p ID", Some("/b")),
            ("create -b /b ID", Some("/b")),
            ("run --bundle=/b ID", Some("/b")),
            ("create ID", Some(".")),
            ("--root /r start ID", None),
            ("exec --bundle /b ID", None),
        ] {
            assert_eq!(bundle(&args(text)), wanted.map(PathBuf::from), "{text}");
        }
    }

    /// The `config.json` after a call by a process with the score `own`.
    fn raised(config: &str, own: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (path, score) = (dir.path().join("config.json"), dir.path().join("oom_score_adj"));
        fs::write(&path, config).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&score, own).unwrap();
        raise(&path, &score).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn only_negative_scores_are_raised_to_the_current_one() {
        let config =
            r#"{"ociVersion":"1.2.1","process":{"args":["a","ü"],"oomScoreAdj":-997},"x":9223372036854771712}"#;
        assert_eq!(raised(config, "0\n"), config.replace("-997", "0"));
        assert_eq!(raised(config, "200\n"), config.replace("-997", "200"));
        assert_eq!(raised(config, "-500\n"), config.replace("-997", "-500"));
    }

    #[test]
    fn other_configs_are_unchanged() {
        for config in [
            r#"{ "process": { "oomScoreAdj": 1000 } }"#,
            r#"{ "process": { "oomScoreAdj": -100 } }"#,
            r#"{ "process": {} }"#,
            "not json",
        ] {
            assert_eq!(raised(config, "-100"), config);
        }
    }

    #[test]
    fn a_missing_config_is_no_error() {
        assert!(raise(Path::new("/nonexistent/config.json"), Path::new("/proc/self/oom_score_adj")).is_ok());
    }

    #[test]
    fn a_missing_runtime_is_named() {
        let error = run(args("/nonexistent/runc state ID"));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("executing OCI runtime `/nonexistent/runc`"), "{error}");
        assert_eq!(run(Vec::new()).to_string(), "no OCI runtime given");
    }
}
