//! Provider `go`: builds tools from pinned Go modules, checksummed by go.sum.
//!
//! All tools of a pin module are built in one `go build`, in a directory of their own in the cache,
//! and appear in their place once they have told the right version. It must not use anything of the
//! caller's working directory or Go workspace.

use super::ToolState;
use super::cache::{self, Workshop};
use super::command;
use super::interrupt;
use super::needs;
use super::pins::Pins;
use super::progress::{self, Line, Progress};
use super::provider::{Done, Found, Offer, Provider, Session, Wanted};
use super::table::{GoModule, ToolSpec};
use super::version;
use semver::Version;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The first Go that fetches the release that a go.mod asks for by itself.
const FIRST_TO_SWITCH: Version = Version::new(1, 21, 0);

/// How much the heap of a compiler may grow between two garbage collections, in percent. A compiler
/// or linker takes up to 1.7 GiB with this, and collects less often than with Go's default of 100.
const GOGC: &str = "400";

/// Packages that have to be compiled, one a line.
const STALE: &str =
    r#"{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}{{.ImportPath}}{{end}}"#;

/// Builds from Go modules. Asks once whether there is a Go compiler.
#[derive(Default)]
pub struct Go {
    compiler: OnceCell<Result<Compiler, String>>,
}

/// The machine's Go.
#[derive(Debug, Clone)]
struct Compiler {
    path: PathBuf,
    version: Version,
    /// Whether it may fetch a newer release of itself.
    switches: bool,
}

impl Provider for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        let Some(spec) = wanted.spec else { return Offer::Silent };
        let Some(pins) = spec.go.as_deref().and_then(|module| session.table.pins(module)) else { return Offer::Silent };
        let needed = pins.go_version();
        match self.compiler.get_or_init(|| Compiler::find(session)) {
            Err(reason) => {
                Offer::no(format!("{reason}; building it takes Go {needed} or newer, see https://go.dev/dl"))
            }
            Ok(compiler) => match compiler.refusal(&needed) {
                Some(reason) => Offer::no(reason),
                None => Offer::Can { packages: needs::missing_packages(session.table.needs(spec), session) },
            },
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, done: &mut Done<'_>) {
        let mut modules: BTreeMap<&str, Vec<Job<'_>>> = BTreeMap::new();
        for (place, Wanted { name, spec }) in wanted.iter().enumerate() {
            match (spec, spec.and_then(|spec| spec.go.as_deref())) {
                (Some(spec), Some(module)) => modules.entry(module).or_default().push(Job { place, name, spec }),
                _ => done(place, Err("it has no pin module".to_owned())),
            }
        }
        for (module, jobs) in modules {
            match self.compiler.get_or_init(|| Compiler::find(session)) {
                Ok(compiler) => build_module(compiler, module, jobs, session, done),
                Err(reason) => fail(&jobs, reason, done),
            }
        }
    }
}

impl Compiler {
    fn find(session: &Session<'_>) -> Result<Self, String> {
        let path = session.find("go").ok_or("go isn't on PATH")?;
        let mut command = command::program(&path);
        // Outside of any module, so that no go.mod makes it fetch another release just for the
        // question.
        command.args(["env", "GOVERSION", "GOTOOLCHAIN"]).current_dir("/").env("GOWORK", "off");
        let answer = command::answer(command, PATIENCE).map_err(|e| format!("`go env` failed: {e}"))?;
        let mut lines = answer.text.lines();
        let version = lines.next().and_then(|line| version::parse(line.strip_prefix("go")?));
        let version =
            version.ok_or_else(|| format!("`go env` told no version: {}", command::last_lines(&answer.text)))?;
        // `local` and a plain release don't switch; `auto`, `path` and `RELEASE+auto` do.
        let may = |toolchain: &str| toolchain.ends_with("auto") || toolchain.ends_with("path");
        let switches = version >= FIRST_TO_SWITCH && lines.next().is_some_and(may);
        Ok(Self { path, version, switches })
    }

    /// Why this Go can't build what needs `needed`, if so.
    fn refusal(&self, needed: &Version) -> Option<String> {
        let (path, version) = (self.path.display(), &self.version);
        if version >= needed || self.switches {
            None
        } else if *version < FIRST_TO_SWITCH {
            Some(format!("{path} is {version}, too old: install Go {needed} or newer, see https://go.dev/dl"))
        } else {
            let ways = "install a newer one, see https://go.dev/dl, or let it fetch one with GOTOOLCHAIN=auto";
            Some(format!("{path} is {version}, too old for what needs {needed}: {ways}"))
        }
    }

    /// A call of the Go command that only the pins decide on.
    fn command(&self, module: &GoModule, needed: &Version, dir: &Path) -> Command {
        let mut command = command::program(&self.path);
        command.current_dir(dir);
        command.env("GOFLAGS", "-mod=readonly -trimpath -buildvcs=false").env("GOWORK", "off").env("GO111MODULE", "on");
        // What it leaves goes with all else that is built here.
        command.env("GOTMPDIR", dir);
        if let Some(flags) = &module.c_flags {
            command.env("CGO_CFLAGS", flags);
        }
        if std::env::var_os("GOGC").is_none() {
            command.env("GOGC", GOGC);
        }
        command.env("CGO_ENABLED", if module.cgo { "1" } else { "0" }).env_remove("GOOS").env_remove("GOARCH");
        if self.version >= *needed {
            command.env("GOTOOLCHAIN", "local");
        }
        command::tied(&mut command);
        command
    }
}

/// A tool to build.
struct Job<'a> {
    place: usize,
    name: &'a str,
    spec: &'a ToolSpec,
}

/// The same failure for several tools.
fn fail(jobs: &[Job<'_>], error: &str, done: &mut Done<'_>) {
    jobs.iter().for_each(|job| done(job.place, Err(error.to_owned())));
}

/// Builds tools of one pin module.
fn build_module(compiler: &Compiler, name: &str, mut jobs: Vec<Job<'_>>, session: &Session<'_>, done: &mut Done<'_>) {
    if interrupt::seen() {
        return fail(&jobs, command::INTERRUPTED, done);
    }
    let (Some(module), Some(pins)) = (session.table.go.get(name), session.table.pins(name)) else {
        return fail(&jobs, &format!("there are no pins for {name}"), done);
    };
    let waiting = || {
        let message = format!("another kubernix builds {name}: waiting for it");
        session.reporter.note(message);
    };
    let workshop = match Workshop::enter(&session.dir, name, waiting) {
        Ok(workshop) => workshop,
        Err(error) => return fail(&jobs, &format!("{} can't be used: {error}", session.dir.display()), done),
    };
    // The process that had the lock before may have built the same.
    jobs.retain(|job| match cache::look_up(job.name, job.spec, session) {
        Some(found) => {
            done(job.place, Ok(found));
            false
        }
        None => true,
    });
    let build = Build { compiler, module, needed: pins.go_version(), dir: workshop.dir(), session };
    if let Err(error) = build.write_pins(pins) {
        return fail(&jobs, &error, done);
    }
    let (c, go): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.spec.c_sources.is_some());
    let label = if let [only] = &go[..] { only.name } else { name };
    match build.go_build(label, &go) {
        Ok(()) => go.iter().for_each(|job| done(job.place, build.finish(job))),
        Err(error) => fail(&go, &error, done),
    }
    for job in c {
        done(job.place, build.cc(&job).and_then(|()| build.finish(&job)));
    }
}

/// A build of tools of one pin module.
struct Build<'a> {
    compiler: &'a Compiler,
    module: &'a GoModule,
    needed: Version,
    dir: &'a Path,
    session: &'a Session<'a>,
}

impl Build<'_> {
    fn write_pins(&self, pins: &Pins) -> Result<(), String> {
        let write = |name, text: &str| fs::write(self.dir.join(name), text);
        let written = write("go.mod", &pins.go_mod).and_then(|()| write("go.sum", &pins.go_sum));
        let written = written.and_then(|()| pins.main_go.map_or(Ok(()), |text| write("main.go", text)));
        written.and_then(|()| fs::create_dir(self.dir.join("out"))).map_err(|e| self.unwritable(&e))
    }

    fn unwritable(&self, error: &std::io::Error) -> String {
        format!("{} can't be written: {error}", self.dir.display())
    }

    /// Where the compiler puts a program.
    fn out(&self, program: &str) -> PathBuf {
        self.dir.join("out").join(program)
    }

    fn go(&self) -> Command {
        self.compiler.command(self.module, &self.needed, self.dir)
    }

    /// Builds the main packages of all jobs in one go; `label` is what the progress is called.
    fn go_build(&self, label: &str, jobs: &[Job<'_>]) -> Result<(), String> {
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
                progress.say(&format!("downloading {module}"));
                true
            }
            Line::Package(_) => {
                stale += 1;
                true
            }
            Line::Blank => true,
            Line::Other => false,
        })?;

        // Linking is a step as well, but one that the Go command doesn't speak of.
        let linking = || format!("linking {}", mains.iter().map(|(_, p)| p.as_str()).collect::<Vec<_>>().join(", "));
        progress.begin(stale + mains.len() as u64, &if stale == 0 { linking() } else { "compiling".to_owned() });
        let mut build = self.go();
        build.args(["build", "-v"]).args(&flags).arg("-o");
        // A single program is named; several get the last element of their packages' paths.
        build.arg(match &mains[..] {
            [(_, program)] => self.out(program),
            _ => self.out(""),
        });
        build.args(&packages);
        command::stream(build, |line| match progress::read(line) {
            Line::Downloading(module) => {
                progress.say(&format!("downloading {module}"));
                true
            }
            Line::Package(package) => {
                progress.step(package);
                if let Some((_, program)) = mains.iter().find(|(main, _)| main == package) {
                    progress.say_now(&format!("linking {program}"));
                }
                true
            }
            Line::Blank => true,
            Line::Other => false,
        })?;
        // Each tool is told by its own name later; a line that stands for several of them ends
        // here.
        if !self.session.table.tool.contains_key(label) {
            let (version, path) = (self.module.version.to_string(), self.session.dir.clone());
            self.session.tell(label, ToolState::Ready { provider: "go".to_owned(), version, path });
        }
        Ok(())
    }

    /// Compiles the C sources that a Go module carries into one static program.
    fn cc(&self, job: &Job<'_>) -> Result<(), String> {
        let Job { name: tool, spec, .. } = *job;
        let (Some(module), Some(sources)) = (&spec.c_module, &spec.c_sources) else {
            return Err("its C sources aren't named".to_owned());
        };
        let mut progress = Progress::new(self.session, tool);
        progress.begin(1, &format!("compiling {sources}"));
        let mut download = self.go();
        download.args(["mod", "download", "-json", module]);
        let mut json = String::new();
        let lines = command::stream(download, |line| {
            json.push_str(line);
            false
        });
        lines?;
        #[derive(serde::Deserialize)]
        struct Downloaded {
            #[serde(rename = "Dir")]
            dir: PathBuf,
        }
        let downloaded: Downloaded =
            serde_json::from_str(&json).map_err(|e| format!("`go mod download` told no directory ({e}): {json}"))?;
        let dir = downloaded.dir.join(sources);
        let entries = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
        files.sort();
        let cc = self.session.find("cc").ok_or("cc isn't on PATH")?;
        let mut command = command::program(cc);
        command.args(["-std=c99", "-Os", "-Wall", "-static", "-s", "-o"]).arg(self.out(tool)).args(&files);
        command::tied(&mut command);
        command::stream(command, |_| false)
    }

    /// Asks what was built for its version, and puts it in its place.
    fn finish(&self, job: &Job<'_>) -> Result<Found, String> {
        let Job { name: tool, spec, .. } = *job;
        let finished = self.dir.join(tool);
        fs::create_dir(&finished).map_err(|e| self.unwritable(&e))?;
        for program in spec.programs(tool) {
            let path = finished.join(&program);
            fs::rename(self.out(&program), &path).map_err(|e| format!("no {program} was built: {e}"))?;
            if spec.after.is_some() {
                let (version, _) = self.session.version(&path, spec)?;
                if version != self.module.version {
                    return Err(format!("the {program} that was built says {version}, not {}", self.module.version));
                }
            }
        }
        let name = self.session.table.cache_name(tool).ok_or("it has no pins")?;
        cache::publish(&finished, &self.session.dir.join(name)).map_err(|e| self.unwritable(&e))?;
        cache::look_up(tool, spec, self.session).ok_or_else(|| format!("{tool} vanished from the cache"))
    }
}
