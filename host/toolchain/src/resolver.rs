//! Asks the providers in order, until every tool is found or no provider is left.
//!
//! This module must not know any provider by name, nor how tools are built.

use super::error::{Error, MissingTool};
use super::interrupt;
use super::overrides;
use super::provider::host_package::Apt;
use super::provider::{self, Found, Offer, Provider, Session, Wanted};
use super::table::{Table, ToolSpec};
use super::version_cache::VersionCache;
use super::{Options, Request, Resolution, Tool, UNKNOWN_VERSION};
use super::{Reporter, ToolState};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directories of the administrator's programs, such as `nft`. Not every user's PATH has them.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// See [`super::resolve`].
pub fn resolve(
    table: &Table,
    request: &Request,
    options: &Options,
    reporter: &dyn Reporter,
) -> Result<Resolution, Error> {
    resolve_within(search_path(env::var_os("PATH").unwrap_or_default()), table, request, options, reporter)
}

/// As [`resolve`], with this search path in place of PATH.
pub fn resolve_within(
    search: OsString,
    table: &Table,
    request: &Request,
    options: &Options,
    reporter: &dyn Reporter,
) -> Result<Resolution, Error> {
    let dir = options.cache_dir.join("toolchain");
    // Compilers run in other directories.
    let dir = std::path::absolute(&dir).unwrap_or(dir);
    let versions = RefCell::new(VersionCache::read(dir.join("versions.json")));
    let session = Session { table, dir, apt: Apt::find(&search, options.install), search, versions, reporter };
    let resolution = Resolver { session: &session, providers: provider::in_order() }.resolve(request);
    session.versions.borrow_mut().save();
    resolution
}

fn search_path(path: OsString) -> OsString {
    let directories = env::split_paths(&path).filter(|dir| dir.is_absolute()).chain(SYSTEM_DIRS.map(PathBuf::from));
    // /bin may be a link to /usr/bin: each directory is searched once.
    let mut seen = BTreeSet::new();
    let new = directories.filter(|dir| dir.canonicalize().is_ok_and(|real| seen.insert(real)));
    env::join_paths(new).unwrap_or(path)
}

struct Resolver<'a> {
    session: &'a Session<'a>,
    providers: Vec<Box<dyn Provider>>,
}

/// A tool that isn't found yet.
struct Pending<'a> {
    wanted: Wanted<'a>,
    /// The index of the next provider to ask.
    at: usize,
    /// The providers that can't supply it, each with the reason.
    refusals: Vec<(&'static str, String)>,
    /// Packages that this provider needs.
    packages: Vec<String>,
    /// Packages that would have made another provider supply it.
    helpful: Vec<String>,
}

impl Resolver<'_> {
    fn resolve(&self, request: &Request) -> Result<Resolution, Error> {
        let table = self.session.table;
        let mut wanted: BTreeMap<&str, Option<&ToolSpec>> = BTreeMap::new();
        let (paths, names): (Vec<&String>, Vec<_>) = request.names.iter().partition(|name| name.starts_with('/'));
        for name in names {
            let (name, spec) = table.find(name).map_or((name.as_str(), None), |(name, spec)| (name, Some(spec)));
            wanted.insert(name, spec);
        }
        let mut resolution = Resolution::default();
        let mut unfit = Vec::new();
        let optional: Vec<&str> = request.optional.iter().map(String::as_str).collect();
        let mut optional: Vec<_> = optional.into_iter().filter(|name| !wanted.contains_key(name)).collect();
        let asked = |name: &str| {
            let tool = table.find(name).map_or(name, |(tool, _)| tool);
            wanted.contains_key(tool) || optional.contains(&tool)
        };
        let overrides: Vec<_> = request.overrides.iter().filter(|(name, _)| asked(name)).collect();
        for (name, path) in overrides {
            match overrides::check(name, path, request.any_version.contains(name), self.session) {
                Ok(found) => {
                    let spec = wanted.remove(name.as_str()).flatten();
                    optional.retain(|optional| optional != name);
                    self.add(&mut resolution, Wanted { name, spec }, "override", &found);
                }
                Err(error) => unfit.push(error),
            }
        }
        for path in paths {
            let tool = path.rsplit('/').next().unwrap_or_default();
            match overrides::check(tool, Path::new(path), request.any_version.contains(tool), self.session) {
                Ok(found) => self.add(&mut resolution, Wanted { name: path, spec: None }, "override", &found),
                Err(error) => unfit.push(error),
            }
        }
        if !unfit.is_empty() {
            return Err(Error::Overrides(unfit));
        }
        for name in optional {
            let wanted = Wanted { name, spec: table.tool.get(name) };
            let finders = self.providers.iter().filter(|provider| provider.only_finds());
            let found = finders.filter_map(|provider| match provider.offer(wanted, self.session) {
                Offer::Found(found) => Some((provider.name(), found)),
                _ => None,
            });
            if let Some((provider, found)) = found.into_iter().next() {
                self.add(&mut resolution, wanted, provider, &found);
            }
        }
        let mut pending: Vec<Pending<'_>> = wanted
            .into_iter()
            .map(|(name, spec)| Pending {
                wanted: Wanted { name, spec },
                at: 0,
                refusals: Vec::new(),
                packages: Vec::new(),
                helpful: Vec::new(),
            })
            .collect();
        while !pending.is_empty() {
            pending = self.ask_providers(pending, &mut resolution)?;
            let (ready, failed) = self.install(pending);
            pending = failed;
            pending.extend(self.supply(ready, &mut resolution));
        }
        Ok(resolution)
    }

    /// Records the tools that exist. Moves each other tool on to the next provider that can supply
    /// it.
    ///
    /// # Errors
    /// No provider can supply a tool.
    fn ask_providers<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        resolution: &mut Resolution,
    ) -> Result<Vec<Pending<'a>>, Error> {
        let (mut available, mut missing) = (Vec::new(), Vec::new());
        'tools: for mut tool in pending {
            while let Some(provider) = self.providers.get(tool.at) {
                match provider.offer(tool.wanted, self.session) {
                    Offer::Found(found) => {
                        self.add(resolution, tool.wanted, provider.name(), &found);
                        continue 'tools;
                    }
                    Offer::Available { packages } => match self.session.apt.obstacle() {
                        Some(obstacle) if !packages.is_empty() => {
                            let reason = format!("needs {}: {obstacle}", packages.join(" "));
                            tool.refusals.push((provider.name(), reason));
                            tool.helpful.extend(packages);
                        }
                        _ => {
                            tool.packages = packages;
                            available.push(tool);
                            continue 'tools;
                        }
                    },
                    Offer::Unavailable { reason, packages } => {
                        tool.refusals.push((provider.name(), reason));
                        tool.helpful.extend(packages);
                    }
                    Offer::NotApplicable => {}
                }
                tool.at += 1;
            }
            missing.push(tool);
        }
        if missing.is_empty() { Ok(available) } else { Err(self.missing(missing)) }
    }

    /// Installs the packages of all tools in one call. Returns the tools that can be supplied now,
    /// and those whose packages can't be installed, moved on to their next provider.
    fn install<'a>(&self, pending: Vec<Pending<'a>>) -> (Vec<Pending<'a>>, Vec<Pending<'a>>) {
        let packages = sorted(pending.iter().flat_map(|tool| tool.packages.iter().cloned()));
        let Some(command) = self.session.apt.command_line(&packages) else { return (pending, Vec::new()) };
        for tool in pending.iter().filter(|tool| !tool.packages.is_empty()) {
            self.session.report(tool.wanted.name, ToolState::Installing { command: command.clone() });
        }
        let Err(error) = self.session.apt.install(&packages) else { return (pending, Vec::new()) };
        let (ready, mut failed): (Vec<_>, Vec<_>) = pending.into_iter().partition(|tool| tool.packages.is_empty());
        for tool in &mut failed {
            tool.refusals.push((self.providers[tool.at].name(), format!("{command}: {error}")));
            tool.at += 1;
        }
        (ready, failed)
    }

    /// Has each provider supply its tools. Returns those that failed, moved on to their next
    /// provider.
    fn supply<'a>(&self, ready: Vec<Pending<'a>>, resolution: &mut Resolution) -> Vec<Pending<'a>> {
        let mut queues: BTreeMap<usize, Vec<Pending<'a>>> = BTreeMap::new();
        for tool in ready {
            queues.entry(tool.at).or_default().push(tool);
        }
        let mut failed = Vec::new();
        for (at, tools) in queues {
            let provider = &self.providers[at];
            let wanted: Vec<Wanted<'_>> = tools.iter().map(|tool| tool.wanted).collect();
            let mut tools: Vec<Option<Pending<'a>>> = tools.into_iter().map(Some).collect();
            provider.supply(&wanted, self.session, &mut |index, result| {
                let Some(mut tool) = tools.get_mut(index).and_then(Option::take) else { return };
                match result {
                    Ok(found) => self.add(resolution, tool.wanted, provider.name(), found),
                    Err(error) => {
                        tool.refusals.push((provider.name(), error.to_string()));
                        tool.at += 1;
                        failed.push(tool);
                    }
                }
            });
            // The provider gave no result for these.
            for mut tool in tools.into_iter().flatten() {
                tool.at += 1;
                failed.push(tool);
            }
        }
        failed
    }

    /// Records a tool. A group is recorded under its own name and those of its programs.
    fn add(&self, resolution: &mut Resolution, wanted: Wanted<'_>, provider: &str, found: &Found) {
        let version = found.version.as_ref().map_or_else(|| UNKNOWN_VERSION.to_owned(), ToString::to_string);
        let tool = |name: &str, path| Tool {
            name: name.to_owned(),
            path,
            version: version.clone(),
            provider: provider.to_owned(),
        };
        if let Some(spec) = wanted.spec.filter(|spec| spec.is_group()) {
            for program in spec.programs(wanted.name) {
                let path = found.path.join(&program);
                resolution.tools.insert(program.clone(), tool(&program, path));
            }
        }
        let tool = tool(wanted.name, found.path.clone());
        self.session.report_ready(&tool);
        resolution.tools.insert(tool.name.clone(), tool);
    }

    fn missing(&self, missing: Vec<Pending<'_>>) -> Error {
        if interrupt::received() {
            return Error::Interrupted;
        }
        let packages = sorted(missing.iter().flat_map(|tool| tool.helpful.iter().cloned()));
        let tools = missing.into_iter().map(|tool| self.missing_tool(tool)).collect();
        let error = Error::Missing { tools, packages: self.session.apt.command_line(&packages) };
        if let Error::Missing { tools, .. } = &error {
            for tool in tools {
                let refusals: Vec<String> =
                    tool.refusals.iter().map(|(provider, reason)| format!("{provider}: {reason}")).collect();
                self.session.report(&tool.name, ToolState::Failed { error: refusals.join("; ") });
            }
        }
        error
    }

    fn missing_tool(&self, tool: Pending<'_>) -> MissingTool {
        let table = self.session.table;
        let name = tool.wanted.name.to_owned();
        let wanted = tool.wanted.spec.map(|spec| match (table.version(spec), &spec.requires) {
            (Some(version), _) => version.to_string(),
            (None, requires) => requires.as_ref().map(ToString::to_string).unwrap_or_default(),
        });
        let nearest = if tool.wanted.spec.is_none() { nearest(&name, table) } else { None };
        MissingTool { name, wanted: wanted.unwrap_or_default(), refusals: tool.refusals, nearest }
    }
}

fn nearest(name: &str, table: &Table) -> Option<String> {
    let near = table.tool.keys().map(|known| (strsim::jaro_winkler(name, known), known));
    near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known.clone())
}

fn sorted(packages: impl Iterator<Item = String>) -> Vec<String> {
    let mut packages: Vec<String> = packages.collect();
    packages.sort();
    packages.dedup();
    packages
}
