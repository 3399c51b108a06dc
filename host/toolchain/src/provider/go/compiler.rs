//! The Go compiler of this machine: its version, and how it is called.

use crate::command;
use crate::provider::Session;
use crate::table::GoModule;
use crate::version;
use semver::Version;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first Go that downloads the release that a go.mod requires.
const FIRST_TO_SWITCH: Version = Version::new(1, 21, 0);

/// How much the heap of a compiler may grow between two garbage collections, in percent. A compiler
/// or linker takes up to 1.7 GiB with this, and collects less often than with Go's default of 100.
const GOGC: &str = "400";

/// Why Go can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompilerError {
    /// There is none.
    #[error("go isn't on PATH")]
    NotFound,
    /// It can't be run.
    #[error("`go env` failed: {0}")]
    Run(io::Error),
    /// Its output has no version.
    #[error("`go env` printed no version: {0}")]
    NoVersion(String),
}

/// The Go compiler of this machine.
#[derive(Debug, Clone)]
pub(super) struct Compiler {
    path: PathBuf,
    version: Version,
    /// Whether it may download a newer release of itself.
    switches: bool,
}

impl Compiler {
    pub fn find(session: &Session<'_>) -> Result<Self, CompilerError> {
        let path = session.find("go").ok_or(CompilerError::NotFound)?;
        let mut command = command::program(&path);
        // In a go.mod's directory, Go might download another release to run this command.
        command.args(["env", "GOVERSION", "GOTOOLCHAIN"]).current_dir("/").env("GOWORK", "off");
        let output = command::query(command).map_err(CompilerError::Run)?;
        let mut lines = output.text.lines();
        let version = lines.next().and_then(|line| version::parse(line.strip_prefix("go")?));
        let version = version.ok_or_else(|| CompilerError::NoVersion(command::last_lines(&output.text)))?;
        // `local` and a plain release don't switch. `auto`, `path` and `RELEASE+auto` do.
        let may_switch = |toolchain: &str| toolchain.ends_with("auto") || toolchain.ends_with("path");
        let switches = version >= FIRST_TO_SWITCH && lines.next().is_some_and(may_switch);
        Ok(Self { path, version, switches })
    }

    /// Why this Go can't build a module that requires `required`. `None` if it can.
    pub fn rejection(&self, required: &Version) -> Option<String> {
        let (path, version) = (self.path.display(), &self.version);
        if version >= required || self.switches {
            None
        } else if *version < FIRST_TO_SWITCH {
            Some(format!("{path} is {version}, too old: install Go {required} or newer, see https://go.dev/dl"))
        } else {
            let ways = "install a newer one, see https://go.dev/dl, or let it download one with GOTOOLCHAIN=auto";
            Some(format!("{path} is {version}, but {required} is required: {ways}"))
        }
    }

    /// A call of the Go command that depends on nothing but the pins.
    pub fn command(&self, module: &GoModule, required: &Version, dir: &Path) -> Command {
        let mut command = command::program(&self.path);
        command.current_dir(dir);
        command.env("GOFLAGS", "-mod=readonly -trimpath -buildvcs=false").env("GOWORK", "off").env("GO111MODULE", "on");
        // Temporary files that it leaves behind are removed with the build directory.
        command.env("GOTMPDIR", dir);
        if let Some(flags) = &module.c_flags {
            command.env("CGO_CFLAGS", flags);
        }
        if std::env::var_os("GOGC").is_none() {
            command.env("GOGC", GOGC);
        }
        command.env("CGO_ENABLED", if module.cgo { "1" } else { "0" }).env_remove("GOOS").env_remove("GOARCH");
        if self.version >= *required {
            command.env("GOTOOLCHAIN", "local");
        }
        command::kill_with_parent(&mut command);
        command
    }
}
