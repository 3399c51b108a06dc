//! A build of the tools of one pin module.

use super::Job;
use super::compiler::Compiler;
use crate::ToolState;
use crate::command::{self, RunError};
use crate::pins::Pins;
use crate::progress::{self, Line, Progress};
use crate::provider::cache;
use crate::provider::{Found, Session};
use crate::table::GoModule;
use crate::version_cache::VersionError;
use semver::Version;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages that have to be compiled, one a line.
const STALE: &str =
    r#"{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}{{.ImportPath}}{{end}}"#;

/// Why a tool isn't built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// Its entry of the table has no pin module.
    #[error("it has no pin module")]
    NoModule,
    /// Its module has no go.mod and go.sum.
    #[error("there are no pins for {0}")]
    NoPins(String),
    /// A directory of the cache can't be used.
    #[error("{} can't be used: {cause}", path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A compiler failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its entry of the table doesn't name its C sources.
    #[error("its C sources aren't named")]
    NoSources,
    /// Go downloaded the module of its C sources, but didn't print where.
    #[error("`go mod download` printed no directory ({cause}): {printed}")]
    NoDirectory {
        /// The cause.
        cause: serde_json::Error,
        /// The output.
        printed: String,
    },
    /// The directory of its C sources can't be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// There is no C compiler.
    #[error("cc isn't on PATH")]
    NoCompiler,
    /// The compiler succeeded, but a program is missing.
    #[error("no {program} was built: {cause}")]
    NotBuilt {
        /// The program.
        program: String,
        /// The cause.
        cause: io::Error,
    },
    /// A program that was built reports no version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A program that was built reports another version.
    #[error("the {program} that was built has version {found}, not {expected}")]
    WrongVersion {
        /// The program.
        program: String,
        /// The version that it reports.
        found: Version,
        /// The version of its module.
        expected: Version,
    },
    /// The tool was published, but isn't found in the cache.
    #[error("{0} was built, but is missing in the cache")]
    Missing(String),
}

/// A build of the tools of one pin module.
pub(super) struct Build<'a> {
    pub compiler: &'a Compiler,
    pub module: &'a GoModule,
    /// The Go release that the pins require.
    pub required: Version,
    pub dir: &'a Path,
    pub session: &'a Session<'a>,
}

impl Build<'_> {
    pub fn write_pins(&self, pins: &Pins) -> Result<(), BuildError> {
        let write = |name, text: &str| fs::write(self.dir.join(name), text);
        let written = write("go.mod", &pins.go_mod).and_then(|()| write("go.sum", &pins.go_sum));
        let written = written.and_then(|()| pins.main_go.map_or(Ok(()), |text| write("main.go", text)));
        written.and_then(|()| fs::create_dir(self.dir.join("out"))).map_err(|cause| self.unusable(cause))
    }

    fn unusable(&self, cause: io::Error) -> BuildError {
        BuildError::Cache { path: self.dir.to_owned(), cause }
    }

    /// Where the compiler puts a program.
    fn out(&self, program: &str) -> PathBuf {
        self.dir.join("out").join(program)
    }

    fn go(&self) -> Command {
        self.compiler.command(self.module, &self.required, self.dir)
    }

    /// Builds the main packages of all jobs together. `label` is the name of the progress.
    pub fn go_build(&self, label: &str, jobs: &[Job<'_>]) -> Result<(), BuildError> {
        let mains: Vec<(String, String)> = jobs.iter().flat_map(|job| job.spec.main_packages(job.name)).collect();
        if mains.is_empty() {
            return Ok(());
        }
        let packages: Vec<&str> = mains.iter().map(|(package, _)| package.as_str()).collect();
        let mut progress = Progress::new(self.session, label);
        progress.begin(0, "reading the sources");
        let flags = self.module.flags();
        let mut list = self.go();
        list.args(["list", "-deps", "-f", STALE]).args(&flags).args(&packages);
        let mut stale = 0;
        command::stream(list, |line| match progress::read(line) {
            Line::Downloading(module) => {
                progress.report(&format!("downloading {module}"));
                true
            }
            Line::Package(_) => {
                stale += 1;
                true
            }
            Line::Blank => true,
            Line::Other => false,
        })?;

        // Linking is a step as well, but the Go command doesn't print it.
        let linking = || format!("linking {}", mains.iter().map(|(_, p)| p.as_str()).collect::<Vec<_>>().join(", "));
        progress.begin(stale + mains.len() as u64, &if stale == 0 { linking() } else { "compiling".to_owned() });
        let mut build = self.go();
        build.args(["build", "-v"]).args(&flags).arg("-o");
        // A single program is named. Of several, each gets the last element of its package's path.
        build.arg(match &mains[..] {
            [(_, program)] => self.out(program),
            _ => self.out(""),
        });
        build.args(&packages);
        command::stream(build, |line| match progress::read(line) {
            Line::Downloading(module) => {
                progress.report(&format!("downloading {module}"));
                true
            }
            Line::Package(package) => {
                progress.step(package);
                if let Some((_, program)) = mains.iter().find(|(main, _)| main == package) {
                    progress.report_now(&format!("linking {program}"));
                }
                true
            }
            Line::Blank => true,
            Line::Other => false,
        })?;
        // Each tool is reported by its own name later. A progress line of several tools ends here.
        if !self.session.table.tool.contains_key(label) {
            let (version, path) = (self.module.version.to_string(), self.session.dir.clone());
            self.session.report(label, ToolState::Ready { provider: "go".to_owned(), version, path });
        }
        Ok(())
    }

    /// Compiles the C sources that a Go module carries into one static program.
    pub fn cc(&self, job: &Job<'_>) -> Result<(), BuildError> {
        let Job { name: tool, spec, .. } = *job;
        let (Some(module), Some(sources)) = (&spec.c_module, &spec.c_sources) else {
            return Err(BuildError::NoSources);
        };
        let mut progress = Progress::new(self.session, tool);
        progress.begin(1, &format!("compiling {sources}"));
        let mut download = self.go();
        download.args(["mod", "download", "-json", module]);
        let mut json = String::new();
        command::stream(download, |line| {
            json.push_str(line);
            false
        })?;
        #[derive(serde::Deserialize)]
        struct Downloaded {
            #[serde(rename = "Dir")]
            dir: PathBuf,
        }
        let downloaded: Downloaded = match serde_json::from_str(&json) {
            Ok(downloaded) => downloaded,
            Err(cause) => return Err(BuildError::NoDirectory { cause, printed: json }),
        };
        let dir = downloaded.dir.join(sources);
        let entries = fs::read_dir(&dir).map_err(|cause| BuildError::Unreadable { path: dir.clone(), cause })?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
        files.sort();
        let cc = self.session.find("cc").ok_or(BuildError::NoCompiler)?;
        let mut command = command::program(cc);
        command.args(["-std=c99", "-Os", "-Wall", "-static", "-s", "-o"]).arg(self.out(tool)).args(&files);
        command::kill_with_parent(&mut command);
        Ok(command::stream(command, |_| false)?)
    }

    /// Checks the versions of the programs that were built, and publishes them.
    pub fn finish(&self, job: &Job<'_>) -> Result<Found, BuildError> {
        let Job { name: tool, spec, .. } = *job;
        let finished = self.dir.join(tool);
        fs::create_dir(&finished).map_err(|cause| self.unusable(cause))?;
        for program in spec.programs(tool) {
            let path = finished.join(&program);
            fs::rename(self.out(&program), &path)
                .map_err(|cause| BuildError::NotBuilt { program: program.clone(), cause })?;
            if spec.after.is_some() {
                let (found, _) = self.session.version(&path, spec)?;
                let expected = &self.module.version;
                if found != *expected {
                    return Err(BuildError::WrongVersion { program, found, expected: expected.clone() });
                }
            }
        }
        let name = self.session.table.cache_name(tool).ok_or_else(|| BuildError::NoPins(tool.to_owned()))?;
        cache::publish(&finished, &self.session.dir.join(name)).map_err(|cause| self.unusable(cause))?;
        cache::look_up(tool, spec, self.session).ok_or_else(|| BuildError::Missing(tool.to_owned()))
    }
}
